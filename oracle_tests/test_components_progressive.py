"""POS: linear rounding, its two stages, weights that absorb the error of activations."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from oracle_tests.reconstruct_cases import correlated, dense, images, residual, run_of, task_of
from refquant import numerics as nx
from refquant.calibrate.ranges import MinMax
from refquant.components import NearestWeights, ProgressiveWeights
from refquant.methods import METHODS, Learn
from refquant.methods.absorb import AbsorbError
from refquant.methods.pos import POS, POS_CLOSED_FORM, STAGE_B
from refquant.network.run import evaluate
from refquant.optimal.absorb_error import absorb_error
from refquant.optimal.moments import input_moments
from refquant.pipeline import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.linear_rounding import (
    init_share,
    linear_rounding_backward,
    linear_rounding_codes,
    linear_rounding_forward,
)
from refquant.reconstruct.fit import begun
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.model import Bits, hard_params, weight_of
from refquant.reconstruct.unit import thaw


def test_linear_rounding_by_hand():
    """Levels -4..3 of 1/2: F = -2, 1, 3; the last is clipped from above, and so has no gradient."""
    w, h = np.array([-0.8, 0.7, 1.9]), np.array([0.25, 0.5, 0.75])
    qparams = make_qparams(np.float64(0.5), 0, Grid("signed", 3))
    w_hat, cache = linear_rounding_forward(w, h, qparams)
    assert w_hat.tolist() == [-0.875, 0.75, 1.5]
    assert linear_rounding_backward(np.array([1.0, 2.0, 4.0]), cache).tolist() == [0.5, 1.0, 0.0]
    assert linear_rounding_codes(w, h, qparams).tolist() == [-2, 2, 3]
    shares = init_share(np.array([-0.75, 0.5, 0.625, np.nan, np.inf]), qparams)
    assert shares.tolist() == [0.5, 0.0, 0.25, 0.0, 0.0]


@given(seed=st.integers(0, 2**32 - 1))
def test_the_gradient_is_the_derivative(seed):
    """Off the kinks of the level clip."""
    rng = np.random.default_rng(seed)
    w, h, d = rng.uniform(-1.5, 1.2, 6), rng.uniform(0.1, 0.9, 6), rng.normal(size=6)
    qparams = make_qparams(np.float64(0.5), 0, Grid("signed", 3))
    _, cache = linear_rounding_forward(w, h, qparams)
    grad = linear_rounding_backward(d, cache)
    check_gradient(lambda v: float(np.sum(linear_rounding_forward(w, v, qparams)[0] * d)), h, grad)


def test_a_phase_says_whether_the_weights_are_real():
    """Stage A computes with W + V and moves V alone; stage B starts at the shares of W + V."""
    w = np.random.default_rng(0).normal(size=(2, 6))
    component = ProgressiveWeights(bits=5, calibration=MinMax())
    params = component.start(w)
    first = {**params, **component.enter(w, params, {"v_w", "s_x"})}
    moved = {**first, "v_w": np.full_like(w, 0.03)}
    w_hat, cache = component.forward(w, moved)
    np.testing.assert_array_equal(w_hat, w + 0.03)
    assert set(component.backward(w, cache)) == {"v_w"}
    second = {**moved, **component.enter(w, moved, {"h"})}
    soft, cache = component.forward(w, second)
    inside = np.abs((w + 0.03) / params["s_w"]) < 15.0
    np.testing.assert_allclose(soft[inside], (w + 0.03)[inside], rtol=1e-12)
    assert set(component.backward(w, cache)) == {"h"}
    np.testing.assert_array_equal(component.codes(w, moved), component.codes(w, second))


def test_the_stages_of_a_run():
    """A leaves nothing rounded, B rounds what A has made; s_x moves in A alone."""
    network, x = residual(), images(residual())
    result = quantize(network, x, POS, weight_bits=3, act_bits=4, steps=4)
    assert [record.phase for record in result.history] == [0, 1, 0, 1, 0, 1]
    alone = replace(POS, phases=(STAGE_B,))
    model, state, _ = run_of(network, alone, x=x, steps=4)
    assert all(not np.any(v) for key, v in state.items() if key[1] == "v_w")
    for key, value in state.items():
        if key[1] == "s_x":
            np.testing.assert_array_equal(value, model.start[key])
    model, state, _ = run_of(network, POS, x=x, steps=4)
    assert all(np.any(v) for key, v in state.items() if key[1] == "v_w")
    shares = np.concatenate([v.ravel() for key, v in state.items() if key[1] == "h"])
    assert shares.min() >= 0.0 and shares.max() <= 1.0


def test_a_learnt_share_stays_one():
    """methods.md 10.4: v is clipped to [0, 1] after every step, whatever the setting says."""
    fast = replace(STAGE_B, learn=(("h", Learn(lr=9.0)),))
    _, state, _ = run_of(residual(), replace(POS, phases=(fast,)), steps=6)
    shares = np.concatenate([v.ravel() for key, v in state.items() if key[1] == "h"])
    assert shares.min() == 0.0 and shares.max() == 1.0


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.3])
def test_the_absorbed_error_is_the_least_squares_solution(mode, ridge):
    """Against LAPACK's least squares with the ridge as rows of data."""
    rng = np.random.default_rng(5)
    w, x = rng.normal(size=(3, 7)), rng.normal(size=(7, 90))
    x_hat = np.rint(2.0 * x) / 2.0
    with nx.arithmetic(mode):
        shift = absorb_error(w, input_moments(x, x_hat), ridge)
    size = np.mean(x_hat**2)
    data = np.concatenate([x_hat.T / np.sqrt(90), np.sqrt(ridge * size) * np.eye(7)])
    target = np.concatenate([(w @ (x - x_hat)).T / np.sqrt(90), np.zeros((7, 3))])
    expected = np.linalg.lstsq(data, target, rcond=None)[0].T
    np.testing.assert_allclose(shift, expected, rtol=1e-9, atol=1e-12)


def test_nothing_is_absorbed_where_nothing_is_lost():
    """Exact inputs, inputs of zeros; a singular Gram matrix with a ridge is no trouble."""
    rng = np.random.default_rng(6)
    w, x = rng.normal(size=(2, 4)), rng.integers(-4, 5, (4, 2)) / 2.0
    assert not absorb_error(w, input_moments(x, x.copy())).any()
    assert not absorb_error(w, input_moments(x)).any()
    assert not absorb_error(w, input_moments(0.0 * x, 0.0 * x)).any()
    assert np.isfinite(absorb_error(w, input_moments(x, x + 0.25))).all()
    for ridge in (-1.0, np.inf):
        with pytest.raises(ValueError, match="ridge"):
            absorb_error(w, input_moments(x), ridge)
        with pytest.raises(ValueError, match="ridge"):
            AbsorbError(ridge=ridge)


def test_absorbing_lowers_the_error_of_real_weights():
    """With many weight bits and few activation bits the shift is what is left to gain."""
    network, x = dense(sizes=(6, 5)), correlated(200, 6, seed=3)
    bits = Bits(weights=8, activations=3, first_last=None)
    losses = []
    for begin in ((), (AbsorbError(),)):
        setting = replace(POS_CLOSED_FORM, phases=(replace(STAGE_B, begin=begin, mix=()),))
        task, own = task_of(network, x, setting, bits=bits)
        losses.append(hard_loss(task, begun(task, thaw(task, own))))
    assert losses[1] < 0.9 * losses[0]


def test_absorbing_needs_weights_that_can_move():
    """Refused when the setting is made."""
    with pytest.raises(ValueError, match=r"needs v_w.*Use weights=ProgressiveWeights"):
        phase = replace(STAGE_B, learn=(("s_x", STAGE_B.learn[0][1]),), begin=(AbsorbError(),))
        replace(POS, weights=NearestWeights(), phases=(phase,))


def test_a_layer_is_fitted_behind_the_moved_weights_of_those_before():
    """In a unit of several layers; shares are those of the weight as it is after the shift."""
    network, x = residual(), images(residual())
    setting = replace(POS_CLOSED_FORM, phases=(replace(STAGE_B, begin=(AbsorbError(),)),))
    task, own = task_of(network, x, setting, unit=1)
    found = begun(task, thaw(task, own))
    for layer in ("dw", "point"):
        w, component = weight_of(task.network, layer), task.model.weights[layer]
        moved = w + found[(layer, "v_w")]
        assert np.any(found[(layer, "v_w")])
        qparams = component.qparams({name: found[(layer, name)] for name in ("s_w", "zero_point")})
        np.testing.assert_array_equal(found[(layer, "h")], init_share(moved, qparams))
    params = {**found, **hard_params(task.model, found, ("dw",))}
    (edge,) = task.network.node("point.product").inputs
    x_hat = evaluate(task.network, task.inputs, (edge,), params)[edge]
    wanted = evaluate(task.model.float_network, task.float_inputs, (edge,))[edge]
    columns = [np.moveaxis(v, 1, 0).reshape(v.shape[1], -1) for v in (wanted, x_hat)]
    w = weight_of(task.network, "point")
    shift = absorb_error(w.reshape(len(w), -1), input_moments(*columns), 1e-3)
    np.testing.assert_allclose(found[("point", "v_w")].reshape(shift.shape), shift, rtol=1e-9)


@pytest.mark.parametrize("name", ["pos", "mrecg", "lsq+", "nwq-asoftmax", "adaround-onnxsim"])
def test_without_learning_a_method_is_its_parent_bit_for_bit(name):
    """The neutral start: same steps and codes, but for ties that a method rounds down."""
    network, x = residual(), images(residual())
    setting = METHODS[name]
    own, parent = (
        quantize(network, x, replace(each, phases=()), weight_bits=3, act_bits=4)
        for each in (setting, METHODS[setting.parents[0]])
    )
    down = name in ("nwq-asoftmax", "adaround-onnxsim")
    ties = 0
    for layer, values in own.layers.items():
        np.testing.assert_array_equal(values.s_w, parent.layers[layer].s_w)
        w = network.params[(layer, "w")]
        u = w / values.s_w.reshape(-1, *[1] * (w.ndim - 1))
        tie = (u - np.floor(u) == 0.5) & down
        moved = parent.layers[layer].codes - values.codes
        assert not moved[~tie].any() and set(moved[tie].tolist()) <= {0, 1}
        ties += int(moved.sum())
    assert (own.network(x).tobytes() == parent.network(x).tobytes()) == (ties == 0)
