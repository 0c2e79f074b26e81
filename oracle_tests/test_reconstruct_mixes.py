"""Quantized and real values mixed at the quantizers, and parameters that follow a schedule."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradient
from oracle_tests.network_samples import Cube, plain
from oracle_tests.reconstruct_cases import (
    BITS,
    CASE_112,
    changed,
    images,
    normed,
    residual,
    run_of,
    task_of,
)
from refquant.components import BorderActivations
from refquant.methods import METHODS, Mix
from refquant.methods.aquant import AQUANT
from refquant.network import Network, backward, forward, insert_quantizers
from refquant.optim.schedules import RoundingSchedule
from refquant.reconstruct.batches import mixed_inputs
from refquant.reconstruct.unit import driven, gradients, learnt_keys, shares

X = np.random.default_rng(7).normal(size=(5, 3))
SHARE = np.random.default_rng(8).uniform(size=(5, 3))


def cubed():
    """A network that only quantizes its input, by a smooth stand-in."""
    network = Network("cube", (3,), (plain("y", "identity", "input"),), {})
    return insert_quantizers(network, {"input": Cube()})


def mixed(x, s, share):
    params = {("input.q", "s"): np.asarray(s), ("input.q", "share"): np.asarray(share)}
    return forward(cubed(), x, params=params)


def test_a_share_mixes_quantized_and_real_values():
    """methods.md 10.1: y = m Q(x) + (1 - m) x, and the gradients that follow."""
    trace = mixed(X, 0.5, SHARE)
    np.testing.assert_array_equal(trace.values["y"], SHARE * (0.5 * X * X * X) + (1.0 - SHARE) * X)
    d_y = np.random.default_rng(9).normal(size=X.shape)
    grads = backward(cubed(), trace, {"y": d_y})
    check_gradient(
        lambda x: float((d_y * mixed(x, 0.5, SHARE).values["y"]).sum()), X, grads.values["input"]
    )
    check_gradient(
        lambda s: float((d_y * mixed(X, s, SHARE).values["y"]).sum()),
        np.array(0.5),
        np.asarray(grads.params[("input.q", "s")]),
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_of_zero_and_one(share):
    """P30: 1 is the plain quantizer, bit for bit; 0 is the identity, with no gradient to s."""
    trace, whole = (
        mixed(X, 0.5, share),
        forward(cubed(), X, params={("input.q", "s"): np.array(0.5)}),
    )
    np.testing.assert_array_equal(trace.values["y"], whole.values["y"] if share else X)
    grads, plainly = (backward(cubed(), t, {"y": np.ones_like(X)}) for t in (trace, whole))
    step = grads.params[("input.q", "s")]
    assert step == (plainly.params[("input.q", "s")] if share else 0.0)


def dropping(keep, rule="bernoulli", elementwise=False, **fields):
    mix = Mix(at="quantizers", keep=keep, rule=rule, elementwise=elementwise)
    return changed(CASE_112, mix=(mix,), **fields)


def test_dropping_nothing_is_not_mixing():
    """P30 through the whole loop: keep 1 gives the state of a run without the mix, bit for bit."""
    _, plainly, _ = run_of(residual(), CASE_112)
    _, kept, _ = run_of(residual(), dropping(1.0))
    assert plainly.keys() == kept.keys()
    for key, value in plainly.items():
        np.testing.assert_array_equal(kept[key], value)


def test_dropping_everything_leaves_the_steps_alone():
    """P30: with keep 0 no activation is quantized: its step has no gradient and does not move."""
    task, own = task_of(residual(), images(residual()), dropping(0.0, penalty=None), unit=1)
    grads = gradients(task, own, 3).grads
    steps = [value for (_, name), value in grads.items() if name == "s_x"]
    assert steps and all(value == 0.0 for value in steps)
    assert any(np.any(value) for (_, name), value in grads.items() if name == "alpha")


def test_masks_are_drawn_per_step_node_and_sample():
    """P76: half of them are 1; the same step draws the same, another step and node others."""
    task, _ = task_of(residual(), images(residual()), dropping(0.5), unit=1)
    batch = np.zeros((200, 1))
    first, again, later = (shares((5, 0, 1, t), task, batch, 0.5) for t in (1, 1, 2))
    assert set(first) == {(node, "share") for node in task.unit.nodes if node.endswith(".q")}
    for key, value in first.items():
        assert set(np.unique(value)) == {0.0, 1.0} and abs(value.mean() - 0.5) < 0.05
        np.testing.assert_array_equal(value, again[key])
        assert np.any(value != later[key])
        assert np.any(value[0] != value[1])
    one, other = [value.reshape(200, -1)[:, :16] for value in first.values()][:2]
    assert np.any(one != other)


def test_an_annealed_mixture_ends_quantized():
    """methods.md 11: one scalar, from real to quantized, and nothing real for the last part."""
    mix = dropping(0.5, rule="anneal")
    task, _ = task_of(residual(), images(residual()), mix, unit=1)
    at = [shares((0, 0, 0, t), task, np.zeros((4, 1)), t / 10) for t in range(1, 11)]
    values = [float(next(iter(found.values()))) for found in at]
    np.testing.assert_allclose(values, [min(1.0, t / 8) for t in range(1, 11)], rtol=1e-15)


def test_an_annealed_choice_keeps_as_many_as_the_mixture_mixes():
    """methods.md 11, Bernoulli(P): a choice for each element, quantized ever more often."""
    mix = dropping(0.5, rule="anneal", elementwise=True)
    task, _ = task_of(residual(), images(residual()), mix, unit=1)
    for t in range(1, 11):
        drawn = next(iter(shares((0, 0, 0, t), task, np.zeros((200, 1)), t / 10).values()))
        keep = min(1.0, t / 8)
        assert set(np.unique(drawn)) <= {0.0, 1.0}
        assert abs(drawn.mean() - keep) <= 5 * np.sqrt(keep * (1 - keep) / drawn.size)
    real, quantized = {"e": np.zeros((4, 50))}, {"e": np.ones((4, 50))}
    chosen = (Mix(at="input", rule="anneal", elementwise=True),)
    found = mixed_inputs((0, 0, 0, 4), quantized, real, np.arange(4), chosen, progress=0.4)["e"]
    assert set(np.unique(found)) == {0.0, 1.0} and abs(found.mean() - 0.5) < 5 * np.sqrt(1 / 800)


def test_a_driven_parameter_follows_its_schedule_and_ends_at_its_end():
    """AQuant's a_t (D10): 0 for a fifth of the steps, then linearly to exactly 1."""
    setting = replace(AQUANT, phases=(replace(AQUANT.phases[0], batch=8, unit="layer"),))
    task, own = task_of(residual(), images(residual()), setting, unit=1)
    values = [[float(v) for v in driven(task, own, t).values()] for t in range(1, 11)]
    assert all(len(set(row)) == 1 for row in values)
    np.testing.assert_allclose([row[0] for row in values], [0, 0, *np.arange(1, 9) / 8])
    assert not {key for key in learnt_keys(task, own) if key[1] == "a"}
    _, state, _ = run_of(residual(), setting)
    ends = [value for (_, name), value in state.items() if name == "a"]
    assert ends and all(value == 1.0 for value in ends)


def test_a_schedule_is_checked_when_it_is_made():
    with pytest.raises(ValueError, match="hold"):
        RoundingSchedule(hold=1.5)


def test_borders_have_a_coefficient_for_every_channel_and_tap():
    """P16 on a network: (c_in, taps) for convolutions, (features, 1) for the classifier."""
    setting = replace(AQUANT, activations=BorderActivations())
    model, _, _ = run_of(residual(), replace(setting, phases=()), bits=BITS)
    shapes = {node: v.shape for (node, name), v in model.start.items() if name == "b0"}
    assert shapes == {
        "stem.patches.q": (2, 9),
        "dw.patches.q": (4, 9),
        "point.patches.q": (4, 1),
        "fc.patches.q": (4, 1),
    }


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].phases])
def test_what_a_method_learns_moves(name):
    """Every learnt parameter that the loss can reach leaves its start."""
    network = normed() if "gamma" in METHODS[name].learnt else residual()
    setting = METHODS[name]
    if "z_x" in setting.learnt:  # behind a relu it stays at 0; the input's is learnt network-wide
        setting = changed(setting, unit="network")
    model, state, _ = run_of(network, setting, steps=6)
    for parameter in setting.learnt:
        keys = [key for key in model.start if key[1] == parameter]
        assert keys, f"{name} has no {parameter}"
        assert any(np.any(state[key] != model.start[key]) for key in keys), parameter
