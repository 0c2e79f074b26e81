"""Every method under every addition: it runs, deploys in integers with equal codes, or says why."""

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import classes, images, normed
from refquant.components import FreeBias
from refquant.deploy import run_fake, run_integer
from refquant.methods import ADDITIONS, METHODS, resolve
from refquant.pipeline import quantize

NETWORK = normed()
X = images(NETWORK, 48)
OPTIONS = {"weight_bits": 3, "act_bits": 3, "steps": 2, "labels": classes(X)}
BASES = [name for name in METHODS if "+" not in name and METHODS[name].weights is not None]
# Redistributions find no pattern in this network; what they do has tests of its own.
ADDED = [name for name, adds in ADDITIONS.items() if not adds.prepare]
TWICE = ("qdrop+adaqtransform+bias-correction", "aquant+closed-form+adaqtransform+equal-rounding")
pytestmark = pytest.mark.filterwarnings("ignore:.*xi is:UserWarning")


def refusal(base, addition):
    """The words in which the pair is refused, or None if it is to run."""
    setting, adds = METHODS[base], ADDITIONS[addition]
    if adds.penalty and not any(phase.penalty for phase in setting.phases):
        return "a method with a penalty"
    if adds.output is not None and not isinstance(setting.output, FreeBias | None):
        return "parts that do not overlap"
    if adds.calibration and not hasattr(setting.weights, "calibration"):
        return "a step that is calibrated"
    if adds.begin and "b0" not in setting.learnable:
        return "learns nothing|needs b0|inputs of layers|a phase that rounds activations"
    if set(adds.begin) & set(setting.finish):
        return "set FitBorder"
    if (adds.learn or adds.begin or adds.normalize) and not setting.phases:
        return "learns nothing"
    if adds.normalize and (setting.asks_for_labels or setting.phases[0].solver == "gram"):
        return "whose loss has one scale"
    if "bias" in setting.learnt and "bias" in {n for step in adds.finish for n in step.writes}:
        return "overwrites 'bias'"
    return None


def check_deployed(result):
    """Codes, accumulators and logits of both networks are the same bits."""
    fake, integer = run_fake(result.plan, X), run_integer(result.plan, X)
    assert fake.codes and all(np.array_equal(v, integer.codes[e]) for e, v in fake.codes.items())
    assert all(np.array_equal(v, integer.accumulators[n]) for n, v in fake.accumulators.items())
    assert fake.output.tobytes() == integer.output.tobytes()
    assert np.isfinite(fake.output).all() and fake.output.std() > 0.0


@pytest.mark.parametrize("addition", ADDED)
@pytest.mark.parametrize("base", BASES)
def test_a_method_with_an_addition(base, addition):
    """a+b runs and is deployed with equal codes; where it cannot, the message says what to do."""
    words = refusal(base, addition)
    if words is not None:
        with pytest.raises(ValueError, match=words):
            resolve(f"{base}+{addition}")
        return
    assert resolve(f"{base}+{addition}").name == f"{base}+{addition}"
    if addition in ("equal-rounding", "normalized"):
        return  # the same parts as without it
    result = quantize(NETWORK, X, f"{base}+{addition}", **OPTIONS)
    check_deployed(result)
    if ADDITIONS[addition].output is not None:
        assert all(
            layer.xi is not None and layer.eta is not None for layer in result.layers.values()
        )


@pytest.mark.parametrize("name", TWICE)
def test_several_additions(name):
    """From left to right, all of them present in what is deployed."""
    result = quantize(NETWORK, X, name, **OPTIONS)
    check_deployed(result)
    assert set(result.setting.learnt) >= {"alpha", "s_x", "xi", "eta"}
    assert all(np.any(layer.xi != 1.0) for layer in result.layers.values())
