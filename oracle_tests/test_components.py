"""Components: where they start, that hard codes and soft values agree, what a penalty counts."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.gradcheck import check_gradient
from refquant.calibrate.calibrate import calibrate
from refquant.calibrate.ranges import MinMax
from refquant.components import (
    AdaRoundWeights,
    BorderActivations,
    DecoupledWeights,
    NearestActivations,
    NearestWeights,
    TrainedWeights,
)
from refquant.components.weights import dequantized
from refquant.methods import METHODS
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import Grid

SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("signed", "narrow", "affine", "unsigned")
WEIGHTS = (NearestWeights, AdaRoundWeights, DecoupledWeights, TrainedWeights)


def weight(seed, dtype=np.float64):
    return np.random.default_rng(seed).normal(0.1, 1.0, (4, 3, 2, 2)).astype(dtype)


@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("component", WEIGHTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_codes_lie_on_the_grid_and_give_the_weight_back(component, kind, axis, dtype):
    """codes in u-space are integers between n and p; times the step they are near w, or clipped."""
    part, w = component(grid=kind, bits=3, axis=axis), weight(1, dtype)
    params = part.start(w)
    codes = part.codes(w, params)
    low, high = Grid(kind, 3).limits(params["zero_point"])
    assert codes.dtype == np.int64 and codes.shape == w.shape
    assert np.all((codes >= low) & (codes <= high))
    step = part.step(params)
    assert step.shape == (() if axis is None else (4,)) and step.dtype == dtype
    w_hat = dequantized(codes, step)
    assert w_hat.dtype == dtype and params["zero_point"].dtype == np.int64
    inside = (codes > low) & (codes < high)
    error = np.abs(w_hat - w) / params["s_w"]
    assert np.all(error[inside] <= 0.5 + 1e-6) and inside.any()


@pytest.mark.parametrize("component", WEIGHTS)
@given(seed=SEEDS)
def test_soft_values_of_decided_weights_are_the_hard_ones(component, seed):
    """P20: with h binary, or nothing to decide, forward is exactly step * codes."""
    part, w = component(grid="affine", bits=4), weight(seed)
    params = part.start(w)
    if "alpha" in params:
        signs = np.random.default_rng(seed).choice([-3.0, 3.0], w.shape)
        params["alpha"] = signs
    soft, _ = part.forward(w, params)
    np.testing.assert_array_equal(soft, dequantized(part.codes(w, params), part.step(params)))
    assert part.share_binary(params) == 1.0


@given(seed=SEEDS)
def test_adaround_starts_at_the_weight_itself(seed):
    """P18: within a few ulp of the step, wherever F + f lies in the range; nothing is decided."""
    part, w = AdaRoundWeights(bits=4, calibration=MinMax()), weight(seed)
    params = part.start(w)
    soft, cache = part.forward(w, params)
    error = np.abs(soft - w) / params["s_w"]
    assert np.all(error[cache.inside] <= 4e-15) and cache.inside.mean() > 0.5
    assert part.share_binary(params) < 0.1


def test_adaround_shares_nearests_start_and_rounds_ties_up():
    """P19: step and zero point are the parent's; at alpha0 only exact ties differ."""
    w = np.array([[0.5, 1.5, -0.5, 0.25, -3.0, 3.0, 0.75]])
    nearest, adaround = NearestWeights(bits=4), AdaRoundWeights(bits=4)
    own = adaround.start(w)
    for name, value in nearest.start(w).items():
        np.testing.assert_array_equal(own[name], value)
    params = {"s_w": np.array([[1.0]]), "zero_point": np.array([[0]])}
    f = [0.5, 0.5, 0.5, 0.25, 0.0, 0.0, 0.75]
    params["alpha"] = np.array([[math.log((1 + 10 * v) / (11 - 10 * v)) for v in f]])
    assert adaround.codes(w, params).tolist() == [[1, 2, 0, 0, -3, 3, 1]]
    assert nearest.codes(w, params).tolist() == [[0, 2, 0, 0, -3, 3, 1]]


def test_the_start_is_the_calibrator_of_the_setting():
    """Rule, grid, bits and axis all reach it."""
    w, x = weight(3), np.abs(np.random.default_rng(0).normal(size=(300, 5)))
    for kind in KINDS:
        for axis in (0, None):
            part = NearestWeights(grid=kind, bits=5, axis=axis, calibration=MinMax())
            expected = calibrate(w, MinMax(), Grid(kind, 5), axis=axis)
            found = part.start(w)
            np.testing.assert_array_equal(found["s_w"], expected.step)
            np.testing.assert_array_equal(found["zero_point"], expected.zero_point)
    part = NearestActivations(bits=3, calibration=MinMax(), samples=7)
    assert part.start(x)["s_x"] == x[:7].max() / 7 and part.start(x)["zero_point"] == 0
    signed = NearestActivations(grid="signed", bits=3, calibration=MinMax("p"), samples=300)
    assert signed.start(x)["s_x"] == x.max() / 3


def test_activation_codes_are_in_code_space():
    """By hand: affine, 3 bits, step 1/2, zero point 2: values below -1 and above 2.5 clip."""
    part = NearestActivations(bits=3)
    params = {"s_x": np.array(0.5), "zero_point": np.array(2)}
    x = np.array([-5.0, -1.0, -0.25, 0.0, 0.25, 0.75, 2.5, 9.0])
    assert part.codes(x, params).tolist() == [0, 0, 2, 2, 2, 4, 7, 7]
    y, _ = part.forward(x, params)
    assert y.tolist() == [-1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.5, 2.5]
    assert part.step(params) == 0.5 and part.zero_point(params) == 2
    ties_away = NearestActivations(bits=3, rounding="half_away")
    assert ties_away.codes(x, params).tolist() == [0, 0, 1, 2, 3, 4, 7, 7]


@pytest.mark.parametrize("mask", ["rounded", "unrounded"])
def test_the_mask_of_the_setting_reaches_the_gradients(mask):
    """D2: u = 7.3 on 0..7 rounds to 7; only "unrounded" counts it as clipped."""
    x, params = np.array([7.3, 1.25]), {"s_x": np.array(1.0), "zero_point": np.array(0)}
    part = NearestActivations(grid="unsigned", bits=3, mask=mask)
    d_x, own = part.backward(np.array([1.0, 1.0]), part.forward(x, params)[1])
    assert d_x.tolist() == [1.0 if mask == "rounded" else 0.0, 1.0]
    first = 7.0 - 7.3 if mask == "rounded" else 7.0
    assert own["s_x"] == pytest.approx(first + (1.0 - 1.25), rel=1e-12)
    w, params = x[np.newaxis], {"s_w": np.array([[1.0]]), "zero_point": np.array([[0]])}
    part = NearestWeights(grid="unsigned", bits=3, mask=mask)
    own = part.backward(np.ones((1, 2)), part.forward(w, params)[1])
    assert own["s_w"].tolist() == [[pytest.approx(first - 0.25, rel=1e-12)]]


def test_the_penalty_and_its_gradient():
    """methods.md 5.4 without lambda: sum over all weights of 1 - |2h - 1|^beta."""
    part, w = AdaRoundWeights(bits=4), weight(5)
    params = part.start(w)
    value, grads = part.penalty(params, 4.0)
    h = np.clip(1.2 / (1 + np.exp(-params["alpha"])) - 0.1, 0, 1)
    assert value == pytest.approx((1 - np.abs(2 * h - 1) ** 4).sum(), rel=1e-12)
    check_gradient(
        lambda alpha: part.penalty({**params, "alpha": alpha}, 4.0)[0],
        params["alpha"],
        grads["alpha"],
    )


def test_the_share_decided():
    """|2h - 1| > 0.999: by hand, alpha = 0 is undecided, ln 11 and beyond are decided."""
    alpha = np.array([[0.0, 2.3, 2.3978952727983707, -9.0]])
    assert AdaRoundWeights().share_binary({"alpha": alpha}) == 0.5


def test_edge_and_initialiser_reach_the_arithmetic():
    """D37: a weight on the grid may move under "inclusive" and never under "strict"."""
    w = np.array([[1.0, 0.5]])
    params = {"s_w": np.array([[1.0]]), "zero_point": np.array([[0]])}
    params["alpha"] = np.array([[-2.3978952727983707, 0.0]])
    moved = {}
    for edge in ("inclusive", "strict"):
        part = AdaRoundWeights(edge=edge)
        moved[edge] = part.backward(np.ones((1, 2)), part.forward(w, params)[1])["alpha"]
    assert moved["inclusive"][0, 0] > 0.0 == moved["strict"][0, 0]
    assert moved["inclusive"][0, 1] == moved["strict"][0, 1] == pytest.approx(0.3)
    half = np.array([[0.5, 3.5]])
    start = {
        init: AdaRoundWeights(bits=3, calibration=MinMax(), alpha_init=init).start(half)["alpha"]
        for init in ("ratio", "quotient")
    }
    assert np.any(start["ratio"] != start["quotient"])
    np.testing.assert_allclose(start["ratio"], start["quotient"], atol=1e-14)


@pytest.mark.parametrize("component", [NearestWeights, AdaRoundWeights, NearestActivations])
def test_components_are_data(component):
    """Frozen, hashable, and every field has a default of its own."""
    assert hash(component()) == hash(component()) and component() == component()
    with pytest.raises(AttributeError):
        component().bits = 3
    assert {f.name for f in fields(component)} >= {"grid", "bits", "calibration", "rounding"}
    assert set(component().learnable) <= set(component(bits=4).start(weight(0)))


@pytest.mark.parametrize("component", [NearestWeights, AdaRoundWeights, NearestActivations])
def test_bits_are_those_of_the_component(component):
    """Not of the default grid."""
    for bits in (2, 5, 8):
        part, w = component(bits=bits), weight(2)
        codes = part.codes(w, part.start(w))
        assert codes.max() - codes.min() <= 2**bits - 1
        assert codes.max() - codes.min() >= 2**bits - 2 - (bits == 8) * 100


def test_nothing_is_mutated():
    """Read-only arrays pass through every method."""
    w = weight(6)
    w.flags.writeable = False
    for part in (NearestWeights(), AdaRoundWeights()):
        params = part.start(w)
        for value in params.values():
            value.flags.writeable = False
        w_hat, cache = part.forward(w, params)
        part.backward(w_hat, cache)
        part.codes(w, params)


def test_a_border_starts_at_one_half_and_rounds_half_down():
    """Neutral coefficients: the quantizer of its parent with the tie rule of AQuant (D1, P09)."""
    x = np.random.default_rng(3).normal(size=(5, 12, 4, 4))
    border, plain = BorderActivations(bits=3), NearestActivations(bits=3, rounding="half_down")
    params = border.start(x, taps=4)
    assert params["b0"].shape == params["fusion"].shape == (3, 4) and params["a"] == 1.0
    np.testing.assert_array_equal(border.codes(x, params), plain.codes(x, plain.start(x)))
    np.testing.assert_array_equal(border.forward(x, params)[0], plain.forward(x, plain.start(x))[0])
    with pytest.raises(ValueError, match="a multiple of 5 rows"):
        border.start(x, taps=5)


def test_a_schedule_of_zero_leaves_values_real_but_not_the_codes():
    """P69: a = 0 only clips; what is deployed rounds whatever `a` was."""
    x = np.random.default_rng(4).uniform(0.0, 1.0, size=(5, 4))
    border = BorderActivations(bits=4)
    params = {**border.start(x), "a": np.zeros(())}
    soft, _ = border.forward(x, params)
    step = params["s_x"]
    np.testing.assert_allclose(soft, np.clip(x, 0.0, 15 * step), rtol=1e-15)
    codes = border.codes(x, params)
    np.testing.assert_array_equal(codes, border.codes(x, {**params, "a": np.ones(())}))


def test_border_gradients_carry_the_names_of_the_parameters():
    """What backward returns can be learnt: the coefficients, the fusion weights and the step."""
    x = np.random.default_rng(5).normal(size=(2, 8, 3, 3))
    border = BorderActivations(bits=2)
    params = border.start(x, taps=4)
    _, cache = border.forward(x, params)
    d_x, grads = border.backward(np.ones_like(x), cache)
    assert d_x.shape == x.shape and set(grads) == {"s_x", "b0", "b1", "b2", "fusion"}
    assert set(grads) < set(border.learnable)
    assert all(grads[name].shape == params[name].shape for name in grads)


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (BorderOptions(degree=1), {"b2"}),
        (BorderOptions(fuse="none"), {"fusion"}),
        (BorderOptions(fusion_weights="fixed"), {"fusion"}),
    ],
)
def test_a_border_declares_what_its_options_leave_to_learn(options, gone):
    """A phase that learns a coefficient the border has not is refused when the setting is made."""
    border = BorderActivations(options=options)
    assert set(BorderActivations().learnable) - set(border.learnable) == gone
    assert gone.isdisjoint(border.start(np.ones((2, 8, 3, 3)), taps=4))
    with pytest.raises(ValueError, match=f"'{gone.copy().pop()}'"):
        replace(METHODS["aquant"], activations=border)


@pytest.mark.parametrize(
    ("case", "learnt"),
    [("2.1", {"s_w"}), ("2.2", {"s_w_out"}), ("2.3", {"s_w", "s_w_out"}), ("tied", {"s_w"})],
)
def test_decoupled_weights_learn_the_steps_of_their_case(case, learnt):
    """Table 15.1: which step moves beside alpha; the dequantization step multiplies the codes."""
    part, w = DecoupledWeights(case=case, bits=3), weight(2)
    params = part.start(w)
    _, cache = part.forward(w, params)
    assert set(part.backward(np.ones_like(w), cache)) == {"alpha", *learnt}
    assert set(part.learnable) == {"alpha", *learnt}
    moved = {**params, "s_w_out": params["s_w_out"] * 2.0}
    expected = part.step(params) * (1.0 if case == "tied" else 2.0)
    np.testing.assert_array_equal(part.step(moved), expected)
    np.testing.assert_array_equal(part.codes(w, moved), part.codes(w, params))


def test_decoupled_weights_with_equal_steps_are_adaround():
    """P40 at its neutral value: the same bits, forward and gradient."""
    w, parts = weight(3), (AdaRoundWeights(bits=2), DecoupledWeights(bits=2))
    values = [part.forward(w, part.start(w)) for part in parts]
    np.testing.assert_array_equal(values[0][0], values[1][0])
    pulled = [p.backward(w, cache)["alpha"] for p, (_, cache) in zip(parts, values, strict=True)]
    np.testing.assert_array_equal(*pulled)
    with pytest.raises(ValueError, match=r"2\.2"):
        DecoupledWeights(case="2.5")
