"""What a step is made of besides gradients: rates, projection, penalty, and who is soft."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    CASE_12,
    CASE_111,
    CASE_112,
    adaround,
    dense,
    images,
    residual,
    task_of,
)
from refquant.components import XiEta
from refquant.methods import Learn, Penalty
from refquant.optim.schedules import BetaSchedule
from refquant.reconstruct.model import harden, part_of
from refquant.reconstruct.unit import (
    descend,
    gradients,
    learnt_keys,
    penalties,
    project,
    rate,
    thaw,
)


def changed(setting, **fields):
    """`setting` with fields of its first phase changed."""
    return replace(setting, phases=(replace(setting.phases[0], **fields), *setting.phases[1:]))


def hardened_if_needed(phase):
    """In a second phase the first one has fixed the codes."""
    return lambda model: harden(model, model.start, tuple(model.weights)) if phase else model.start


def test_the_penalty_is_off_in_the_warm_up_and_counts_every_layer():
    """methods.md 5.5: steps 1 of 10 are off (t < 2), step 2 is at beta 20; lambda once a weight."""
    network = residual()
    setting = changed(CASE_112, penalty=Penalty(lam=0.25))
    task, own = task_of(network, images(network), setting, unit=1)
    own = {k: np.zeros_like(v) if k[1] == "alpha" else v for k, v in own.items()}
    assert penalties(task, own, task.unit.layers, 1) == (0.0, 20.0, {})
    value, beta, grads = penalties(task, own, task.unit.layers, 2)
    # h = 1/2 everywhere: R = lambda * number of weights, gradient 0 (P20).
    assert (value, beta) == (0.25 * (4 * 9 + 16), 20.0)
    assert set(grads) == {("dw", "alpha"), ("point", "alpha")}
    assert all(not d.any() for d in grads.values())
    assert penalties(task, own, ("dw",), 10)[:2] == (0.25 * 36, 2.0)


def test_the_first_step_of_a_dialect_shifts_the_schedule():
    """D9: counted from 0, step 3 of 10 is t = 2, where beta starts to fall."""
    from_zero = Penalty(beta=BetaSchedule(first_step=0))
    task, own = task_of(residual(), images(residual()), adaround(penalty=from_zero))
    betas = [penalties(task, own, (), step)[1] for step in (2, 3, 10)]
    assert betas == [20.0, 20.0, 2.0 + 18.0 * (1.0 - 7.0 / 8.0)]


@pytest.mark.parametrize(
    ("learn", "expected"),
    [
        (Learn(lr=1e-3), [2.0, 2.0]),
        (Learn(lr=1e-3, keep_travel=False), [1e-3, 1e-3]),
        (Learn(lr=1e-3, schedule="cosine"), [2.0, 2.0 * (1 + np.cos(0.9 * np.pi)) / 2]),
        (Learn(lr=1e-3, relative=True), [2.0 * 1.5, 2.0 * 1.5]),
        (Learn(lr=1e-3, schedule="steps", milestones=(0.5, 2 / 3)), [2.0, 2.0 / 100]),
        (Learn(lr=1e-3, schedule="steps", milestones=(0.9,), factor=0.5), [2.0, 1.0]),
        (Learn(lr=1e-3, schedule="steps", milestones=(0.95,), factor=0.5), [2.0, 1.0]),
    ],
)
def test_rates_follow_schedule_travel_and_unit(learn, expected):
    """methods.md 5.7: 20000 published steps in 10, cosine from the full rate, relative to 3/2."""
    task, _ = task_of(dense(), images(dense()), adaround(learn=(("alpha", learn),)))
    start = np.array([-1.0, 2.0])
    found = [rate(task, dict(task.phase.learn)["alpha"], start, step) for step in (1, 10)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_projection_clips_to_the_closed_interval():
    """Without one, nothing happens."""
    value = np.array([-1.0, 0.5, 3.0])
    np.testing.assert_array_equal(project(value, Learn(lr=1.0, project=(0.0, 1.0))), [0, 0.5, 1])
    assert project(value, Learn(lr=1.0)) is value


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_step_that_crossed_zero_comes_back(dtype):
    """s <- max(|s|, 1.19e-7) of methods.md 2.1: that, and clipping, where they differ."""
    crossed = np.array([[0.5], [-0.25], [0.0], [-1e-9], [1.2e-7]], dtype)
    learn = Learn(lr=1.0, project=(1.19e-7, 1e5), reflect=True)
    expected = np.array([[0.5], [0.25], [1.19e-7], [1.19e-7], [1.2e-7]], dtype)
    np.testing.assert_array_equal(project(crossed, learn), expected)
    clipped = project(crossed, replace(learn, reflect=False))
    np.testing.assert_array_equal(clipped[[1]], np.array([[1.19e-7]], dtype))
    assert project(crossed, learn).dtype == dtype


@pytest.mark.parametrize(
    ("name", "kind", "placement", "n_p"),
    [
        ("s_x", "none", "output", 1),
        ("s_x", "qdrop", "output", 8 * 64 * 15),
        ("s_x", "lsq_activation", "output", 64 * 15),
        ("s_x", "qdrop", "input", 8 * 9 * 64 * 15),
        ("s_w", "qdrop", "output", 9 * 3),
        ("s_w", "lsq_weight", "output", 9 * 3),
    ],
)
def test_the_loop_scales_the_gradients_of_steps(monkeypatch, name, kind, placement, n_p):
    """c = 1 / sqrt(N p) (methods.md 2.1, D34), N p by hand: a batch of 8, one by one.

    Maps of 4 channels at 4 x 4 places, in patches of 9 taps; filters of 9 weights, a step each.
    4 bits affine end at 15, 3 bits signed at 3.
    """
    monkeypatch.setattr("refquant.reconstruct.portions.BYTES", 1)
    network, found = residual(), []
    for scale in ("none", kind):
        learn = ((name, Learn(lr=1e-3, grad_scale=scale, project=(1e-7, 1e5))),)
        setting = replace(changed(CASE_12, learn=learn), placement=placement)
        task, own = task_of(network, images(network), setting, 1)
        found.append(gradients(task, own, 1).grads)
    key = ({"output": "r1.q", "input": "dw.patches.q"}[placement] if name == "s_x" else "dw", name)
    plain, scaled = (grads[key] for grads in found)
    assert np.all(plain != 0.0) and isinstance(scaled, np.ndarray)
    np.testing.assert_allclose(scaled, plain / np.sqrt(n_p), rtol=1e-14)


def test_only_a_phase_that_learns_the_weights_makes_them_soft_again():
    """1.1.1: s_x is learnt in front of the codes that the first phase fixed."""
    network = residual()
    hard = hardened_if_needed(True)
    task, own = task_of(network, images(network), CASE_111, unit=1, phase=1, state=hard)
    assert thaw(task, own) == own and ("dw", "codes") in own
    again, _ = task_of(network, images(network), CASE_111, unit=1, phase=0, state=hard)
    state = part_of(hard(task.model), task.unit)
    assert set(state) - set(thaw(again, state)) == {("dw", "codes")}


def test_parameters_without_axes_stay_arrays():
    """One number moves like any other, with and without a projection, in both dtypes."""
    free = Learn(lr=1e-3, keep_travel=False)
    learn = (("s_x", replace(free, project=(1e-3, 1e3))), ("xi", free))
    setting = changed(replace(CASE_112, output=XiEta(xi="layer")), learn=learn, penalty=None)
    for dtype in (np.float32, np.float64):
        network = residual()
        params = {key: value.astype(dtype) for key, value in network.params.items()}
        network = replace(network, params=params)
        task, own = task_of(network, images(network).astype(dtype), setting, 1, steps=3)
        moved = descend(task, own, lambda: None, lambda *seen: None)
        keys = learnt_keys(task, own)
        assert {name for _, name in keys} == {"s_x", "xi"}
        for key in keys:
            assert isinstance(moved[key], np.ndarray) and moved[key].dtype == dtype
            assert moved[key].shape == () and moved[key] != own[key]
