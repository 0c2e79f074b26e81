"""The operations of AdaRound: their names, and goldens derived by hand from the formulas."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.exact.real import literal, power
from refquant.oracle.exact.tracked import Ledger, Tracked
from refquant.oracle.families.adaround.cases_step import STEPS, trajectory
from refquant.oracle.families.adaround.ops import OPS

BY_NAME = {op.name: op for op in OPS}
HALF, ZERO = np.asarray(0.5), np.asarray(0)


def golden(name, inputs, attrs=None, tier="T24"):
    """Return the values of the outputs, built and agreed upon by all three."""
    built = build(BY_NAME[name], Case(name, tier, "by hand", inputs, attrs or {}))
    return {key: item.value.tolist() for key, item in built.outputs.items()}


def test_names_are_those_of_the_table():
    """methods 21, ops 25 to 32, 36 and 37, and the whole step."""
    assert set(BY_NAME) == {
        "rect_sigmoid",
        "rect_sigmoid_backward",
        "round_reg",
        "round_reg_backward",
        "adaround_init_alpha",
        "adaround_weight",
        "adaround_weight_backward",
        "beta_schedule",
        "cosine_lr",
        "adam_step",
        "adaround_step",
    }


def test_rectified_sigmoid_by_hand():
    """sigma(0) = 1/2: h = 0.6 - 0.1 and h' = 1.2 / 4; saturated at +-3 > ln 11."""
    alpha = np.array([0.0, 3.0, -3.0])
    assert golden("rect_sigmoid", {"alpha": alpha})["h"] == [0.5, 1.0, 0.0]
    d_alpha = golden("rect_sigmoid_backward", {"alpha": alpha, "d_h": np.ones(3)})["d_alpha"]
    assert d_alpha == pytest.approx([0.3, 0.0, 0.0], rel=1e-15, abs=0.0)


def test_regularizer_by_hand():
    """h = 1/2 costs lam, h = 0 and 1 nothing: R = 2 lam, and no push anywhere."""
    alpha, attrs = np.array([0.0, 0.0, 5.0, -5.0]), {"beta": 4.0, "lam": 0.25}
    assert golden("round_reg", {"alpha": alpha}, attrs)["value"] == 0.5
    assert golden("round_reg_backward", {"alpha": alpha}, attrs)["d_alpha"] == pytest.approx(
        [0.0] * 4, abs=1e-40
    )


def test_start_by_hand():
    """f = 0: -ln 11; f = 1/2: log(6/6) = 0; f = 1/4: log(3.5/8.5) = log(7/17)."""
    w = np.array([[1.0, -1.5, 2.25]])
    found = golden("adaround_init_alpha", {"w": w, "s": np.asarray(1.0)})["alpha"]
    assert found == [[-2.3978952727983707, 0.0, pytest.approx(math.log(7 / 17), rel=1e-15)]]


def test_weight_by_hand():
    """s = 1/2, 3 bits, zero point 5: levels -5..2; floors -7, -2, 2 and alpha 1, 0, 5."""
    inputs = {"w": np.array([[-3.25, -0.75, 1.25]]), "s": HALF, "zero_point": np.asarray(5)}
    inputs["alpha"] = np.array([[1.0, 0.0, 5.0]])
    attrs = {"bits": 3, "grid": "affine"}
    hard = golden("adaround_weight", inputs, {**attrs, "rounding": "hard"})
    assert hard == {"w_hat": [[-2.5, -0.5, 1.0]], "codes": [[0, 4, 7]]}
    down = golden("adaround_weight", inputs, {**attrs, "rounding": "hard", "tie": "down"})
    assert down["codes"] == [[0, 3, 7]]
    assert golden("adaround_weight", inputs, attrs)["w_hat"] == [[-2.5, -0.75, 1.0]]
    given = {**inputs, "d_w_hat": np.full((1, 3), 4.0)}
    d_alpha = golden("adaround_weight_backward", given, attrs)["d_alpha"]
    assert d_alpha == [[0.0, pytest.approx(4 * 0.5 * 0.3, rel=1e-15), 0.0]]


def test_schedules_by_hand():
    """Warm-up to step 4 of 16; at 10 half of the way is done, at 16 all."""
    attrs = {"total": 16, "warm_up": 0.25}
    for curve in ("linear", "cosine"):
        found = golden("beta_schedule", {"t": np.array([3, 4, 10, 16])}, {**attrs, "curve": curve})
        assert found["on"] == [False, True, True, True]
        assert found["beta"] == pytest.approx([20, 20, 11, 2], rel=1e-15)
    rate = golden("cosine_lr", {"t": np.array([0, 4])}, {"total": 8, "lr": 0.5})["rate"]
    assert rate == pytest.approx([0.5, 0.25], rel=1e-15)


def test_adam_by_hand():
    """beta 1/2 and 3/4, g = 2: m = 1, v = 1, m/(1/2) = 2, sqrt(v/(1/4)) = 2: x = 1 - 2/(2 + 2)."""
    inputs = {"x": np.ones(1), "d_x": np.full(1, 2.0), "m": np.zeros(1), "v": np.zeros(1)}
    attrs = {"beta1": 0.5, "beta2": 0.75, "eps": 2.0, "lr": 1.0}
    found = golden("adam_step", {**inputs, "t": np.asarray(1)}, attrs)
    assert found == {"x_next": [0.5], "m_next": [1.0], "v_next": [1.0]}


def test_step_by_hand():
    """One weight: w_hat = 1/2 (1 + 1/2) = 3/4, x = 2, y = 3/2, target 1/2: L = 1, dL/dw_hat = 4.

    d_alpha = 4 s h' = 4 (1/2) 0.3 = 0.6; the penalty of h = 1/2 is lam, and does not push.
    """
    one = np.ones((1, 1))
    inputs = {"w": 0.5 * one, "s": HALF, "zero_point": ZERO, "x": 2 * one, "target": 0.5 * one}
    state = {"alpha": 0 * one, "m": 0 * one, "v": 0 * one, "t": np.asarray(2)}
    attrs = {"total": 2, "lam": 0.25, "beta1": 0.5, "beta2": 0.75, "eps": 0.0, "lr": 0.5}
    found = golden("adaround_step", {**inputs, **state, "indices": np.array([0])}, attrs)
    assert found["loss"] == 1.0
    assert found["penalty"] == 0.25
    assert found["d_alpha"] == [[pytest.approx(0.6, rel=1e-15)]]
    # m = 0.3, v = 0.09; the second step: m / (3/4) = 0.4, v / (7/16) = 0.36 4/7
    moved = -0.5 * 0.4 / math.sqrt(0.36 * 4 / 7)
    assert found["alpha_next"] == [[pytest.approx(moved, rel=1e-14)]]


def test_every_step_of_the_run_starts_where_the_golden_of_the_last_ended():
    """Up to the rounding to float32; and the run binarises: the penalty falls to under a half."""
    steps = [build(BY_NAME["adaround_step"], case) for case in trajectory()]
    assert len(steps) == STEPS
    for before, after in itertools.pairwise(steps):
        for name in ("alpha", "m", "v"):
            ended = before.outputs[f"{name}_next"].value.astype(np.float32)
            np.testing.assert_array_equal(after.case.inputs[name], ended)
    penalties = [float(step.outputs["penalty"].value) for step in steps]
    assert penalties[:7] == [0.0] * 7
    assert penalties[-1] < penalties[7] / 2


def test_literals_count_a_rounding_where_float32_cannot_hold_them():
    """0.1 is rounded in float32, not in float64; 0.5 nowhere."""
    narrow, wide = Tracked(Ledger(24), Fraction(1)), Tracked(Ledger(53), Fraction(1))
    assert literal(0.1, narrow).error == Fraction(0.1)
    assert literal(0.1, wide).error == literal(0.5, narrow).error == 0
    assert literal(0.1, 1.0) == 0.1


def test_a_power_of_an_uncertain_zero_keeps_its_error():
    """(0 +- 3 u)^2 is at most 9 u^2, which is 9 u in units of u; (0 +- 3 u)^1 is 3."""
    base = Tracked(Ledger(4), Fraction(0), Fraction(3))
    exponent = Tracked(base.ledger, Fraction(2))
    assert float(power(base, exponent).error) == pytest.approx(9 / 16)
    assert float(power(base, exponent / 2).error) == pytest.approx(3)
