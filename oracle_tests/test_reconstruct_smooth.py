"""Gradients of the loop where soft weights are smooth: those of central differences of its loss.

Activations stay real, so nothing jumps and nothing has to be frozen (methods.md 23). What rounds on
the way has its gradients checked in `test_reconstruct_unit`, and where the quantizers are tested.
"""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradients
from oracle_tests.reconstruct_cases import images, normed, residual, task_of
from refquant.methods import METHODS
from refquant.reconstruct.unit import driven, gradients, thaw

STEP = 4
CASES = {  # method: phase, learnt names of weights or behind the product, network
    "nwq-asoftmax": (0, ("logits",), residual),
    "pos": (0, ("v_w",), residual),
    "pos-closed-form": (0, ("h",), residual),
    "case-2.2-bias": (0, ("alpha", "s_w_out", "bias"), residual),
    "adaqtransform-pixel": (0, ("xi", "eta"), residual),
    "bn-unfolded": (0, ("gamma", "beta"), normed),
}


def shaken(own, names):
    """The learnt floats a little away from where they start, inside their bounds."""
    rng = np.random.default_rng(3)
    moved = dict(own)
    for key, value in own.items():
        if key[1] in names:
            near = value * rng.uniform(0.9, 1.1, value.shape) + rng.normal(0, 0.02, value.shape)
            moved[key] = np.clip(near, 0.05, 0.95) if key[1] == "h" else near
    return moved


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_central_differences(name):
    """P55: of every entry of every parameter learnt, through the whole unit."""
    number, names, network = CASES[name]
    setting = METHODS[name]
    phase = setting.phases[number]
    learn = tuple((learnt, how) for learnt, how in phase.learn if learnt in names)
    penalty = phase.penalty if "alpha" in names else None
    weights_only = {"learn": learn, "quantize": ("weights",), "penalty": penalty}
    smooth = replace(setting, phases=(replace(phase, **weights_only, mix=(), begin=()),))
    net = network()
    task, own = task_of(net, images(net, 4), smooth, unit=0 if phase.unit == "network" else 1)
    own = shaken(thaw(task, own) | driven(task, own, STEP), names)
    found = gradients(task, own, STEP)
    assert {key[1] for key in found.grads} == set(names)

    def value(state):
        step = gradients(task, state, STEP)
        return step.loss + step.penalty

    check_gradients(value, own, found.grads, name)
