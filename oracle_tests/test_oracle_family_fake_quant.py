"""Goldens of the family `fake_quant`, derived by hand."""

from fractions import Fraction

import numpy as np

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.fake_quant.ops import OPS
from refquant.oracle.nested import from_rows, rows

BY_NAME = {op.name: op for op in OPS}


def goldens(op, inputs, attrs, tier="T8"):
    built = build(BY_NAME[op], Case(op, tier, "by hand", inputs, attrs))
    return {name: golden.value for name, golden in built.outputs.items()}


def test_fake_quant_by_hand():
    """Codes 0..7, z = 3, s = 1/4: u = 1/2 -> 0, 3/2 -> 2, -7/2 -> -4 (clipped to -3), 9/2 -> 4."""
    x = np.array([0.125, 0.375, -0.875, 1.125, np.nan, np.inf])
    found = goldens(
        "fake_quant", {"x": x, "s": 0.25, "zero_point": 3}, {"bits": 3, "grid": "affine"}
    )
    assert found["codes"].tolist() == [3, 5, 0, 7, 3, 7]
    assert found["y"].tolist() == [0.0, 0.5, -0.75, 1.0, 0.0, 1.0]


def test_both_answers_are_kept_where_a_quotient_is_nearly_a_tie():
    """3 / 0.24 is 12.5 in most arithmetics, 12.50000017 exactly: 12 and 13 are right."""
    s, x = float(np.float32(0.24)), [3.0, 3.125]
    assert 0 < abs(Fraction(3) / Fraction(s) - Fraction(25, 2)) < Fraction(1, 10**6)
    case = Case("fake_quant", "REAL", "by hand", {"x": x, "s": s, "zero_point": 0})
    codes = build(BY_NAME["fake_quant"], case).outputs["codes"]
    assert {codes.value[0].item(), codes.other[0].item()} == {12, 13}
    assert codes.value[1] == codes.other[1] == 13


def test_fake_quant_backward_by_hand():
    """Codes -2..1, s = 1/2; u = -5/2 and 5/4 are rounded to -2 and 1, u = 3/2 to 2: outside.

    d_s = 3 (-2 + 5/2) + 1 (0 - 1/2) + 2 (1 - 5/4) + 5 * 1 = 11/2.
    """
    inputs = {"x": np.array([-1.25, 0.25, 0.625, 0.75]), "s": 0.5, "zero_point": 0}
    inputs["d_y"] = np.array([3.0, 1.0, 2.0, 5.0])
    found = goldens("fake_quant_backward", inputs, {"bits": 2, "grad_scale": 0.5})
    assert found["d_x"].tolist() == [3.0, 1.0, 2.0, 0.0]
    assert found["d_s"] == 11 / 4
    found = goldens("fake_quant_backward", inputs, {"bits": 2, "mask": "unrounded"})
    assert found["d_x"].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert found["d_s"] == 3 * -2 - 0.5 + 2 * 1 + 5 * 1


def test_the_bound_holds_what_autodiff_computes():
    """d_x = (d_y s) / s is an ulp off d_y here, as frameworks have it: no false alarm."""
    d_y, s = 1.625, float(np.float32(0.1))
    found = (np.float32(d_y) * np.float32(s)) * (np.float32(1) / np.float32(s))
    assert found != np.float32(d_y)
    inputs = {"x": np.array([0.3125]), "s": s, "zero_point": 0, "d_y": np.array([d_y])}
    op = BY_NAME["fake_quant_backward"]
    d_x = build(op, Case(op.name, "REAL", "by hand", inputs)).outputs["d_x"]
    assert d_x.value == d_y and d_x.error is not None
    assert 0 < abs(found - d_y) <= d_x.error[0] * 2.0**-24


def test_the_bound_holds_zero_points_that_cancel():
    """Autodiff sums s d_y over all elements and over those inside: what is left was rounded."""
    s, d_y = np.float32(0.1), np.array([1.7, 0.3, 2.9], np.float32)  # the second one is clipped
    found = (s * d_y[0] + s * d_y[2]) - ((s * d_y[0] + s * d_y[1]) + s * d_y[2])
    inputs = {"x": np.array([0.125, -9.0, 0.1875]), "s": float(s), "zero_point": 3.0}
    op = BY_NAME["lsqplus_int_backward"]
    case = Case(op.name, "REAL", "by hand", inputs | {"d_y": d_y.astype(float)}, {"bits": 3})
    golden = build(op, case).outputs["d_zero_point"]
    exact = -Fraction(float(s)) * Fraction(float(d_y[1]))
    apart = abs(Fraction(float(found)) - exact)
    assert golden.value == float(exact)
    assert 3 * 2.0**-24 * abs(exact) < apart <= float(golden.error) * 2.0**-24


def test_the_bound_holds_a_step_whose_sums_lie_apart():
    """Autodiff takes d_y v from d_y q: v = 5/2 + 2^-18 is 3, and d_y v has 27 bits.

    d_y (q - v) = 121 (2^17 - 1) / 2^21 itself fits 24 bits.
    """
    d_y, v = np.float32(121 / 8), np.float32(2.5 + 2.0**-18)
    found, exact = d_y * 3 - d_y * v, Fraction(121 * (2**17 - 1), 2**21)
    inputs = {"x": np.array([0.0]), "s": 1.0, "offset": -float(v), "d_y": np.array([121 / 8])}
    op = BY_NAME["lsqplus_real_backward"]
    case = Case(op.name, "T24", "by hand", inputs, {"bits": 3, "grid": "unsigned"})
    d_s = build(op, case).outputs["d_s"]
    assert d_s.value == float(exact)
    assert 0 < abs(Fraction(float(found)) - exact) <= float(d_s.error) * 2.0**-24


def test_rows_along_every_axis():
    """Rows hold what shares an index of the axis, and go back to where they came from."""
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (0, 1, 2):
        table = rows(x.tolist(), axis)
        assert table == np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1).tolist()
        assert from_rows(table, x.tolist(), axis) == x.tolist()
    assert rows(x.tolist(), None) == [x.ravel().tolist()]
    assert rows(2.0, None) == [[2.0]]
    assert from_rows([[2.0]], 1.0, None) == 2.0


def test_lsq_plus_by_hand():
    """3 bits, s = 1/2. z = 2.5 -> Z = 2; x = 3/4: u = 3/2 -> 2, code 4; x = 3: code 8 -> 7.

    Real: o = -5/4; v = (x + 5/4) / s = 4 and 17/2 -> 8, clipped to 7.
    """
    x = np.array([0.75, 3.0])
    found = goldens("lsqplus_int", {"x": x, "s": 0.5, "zero_point": 2.5}, {"bits": 3})
    assert found["y"].tolist() == [1.0, 2.5]
    real = {"bits": 3, "grid": "unsigned"}
    found = goldens("lsqplus_real", {"x": x, "s": 0.5, "offset": -1.25}, real)
    assert found["y"].tolist() == [4 / 2 - 1.25, 7 / 2 - 1.25]


def test_lsq_plus_backward_by_hand():
    """As above with d_y = (1, 2): the second element is clipped.

    Integer: d_s = 1 (2 - 3/2) + 2 (7 - 2), d_z = 2 (-1/2). Real: d_s = 1 (4 - 4) + 2 7, d_o = 2.
    """
    inputs = {"x": np.array([0.75, 3.0]), "s": 0.5, "d_y": np.array([1.0, 2.0])}
    found = goldens("lsqplus_int_backward", inputs | {"zero_point": 2.5}, {"bits": 3})
    assert [v.tolist() for v in found.values()] == [[1.0, 0.0], 10.5, -1.0]
    real = {"bits": 3, "grid": "unsigned"}
    found = goldens("lsqplus_real_backward", inputs | {"offset": -1.25}, real)
    assert [v.tolist() for v in found.values()] == [[1.0, 0.0], 14.0, 2.0]


def test_adaquant_by_hand():
    """R = 7/4 on 3 bits: s = 1/4; m = -11/16: Z = rint(11/4) = 3; x = 3/8: t = 9/2 -> 4, y = s.

    x = 2 is clipped to code 7. With d_y = (1, 4): c = 4, d_m = 4;
    d_R = ((1 - 3/2) + 4 (7 - 3) - (-11/4) 4) / 7 = 53/14.
    """
    inputs = {"x": np.array([0.375, 2.0]), "span": 1.75, "minimum": -0.6875}
    assert goldens("adaquant_quant", inputs, {"bits": 3})["y"].tolist() == [0.25, 1.0]
    inputs["d_y"] = np.array([1.0, 4.0])
    found = goldens("adaquant_quant_backward", inputs, {"bits": 3})
    assert found["d_x"].tolist() == [1.0, 0.0]
    assert found["d_minimum"] == 4.0
    assert found["d_span"] == float(Fraction(53, 14))


def test_logsqrt2_by_hand():
    """2 bits: 1 -> 0; 91/128 = 2^-0.492 -> 1; 1/8 = 2^-3 -> 6 >= 4 is zero; 2 -> -2 -> 0."""
    x = np.array([1.0, 91 / 128, 0.125, 2.0, 0.0])
    found = goldens("logsqrt2_quant", {"x": x, "scale": 1.0}, {"bits": 2})
    assert found["codes"].tolist() == [0, 1, 3, 0, 3]
    assert found["zero"].tolist() == [False, False, True, False, True]
    assert found["y"].tolist() == [1.0, 0.5**0.5, 0.0, 1.0, 0.0]


def test_range_to_qparams_by_hand():
    """[-17/16, 43/16] in 15 steps of 1/4: rint(17/4) = 4; signed: 43/16 over 15/2 or 7."""
    ends = {"lo": np.array([-1.0625]), "hi": np.array([2.6875])}
    found = goldens("range_to_qparams", ends, {"bits": 4})
    assert (found["s"].item(), found["zero_point"].item()) == (0.25, 4)
    for divisor, step in (("half_span", 43 / 120), ("p", 43 / 112), ("amct", 43 / 112)):
        attrs = {"bits": 4, "grid": "signed", "divisor": divisor}
        assert goldens("range_to_qparams", ends, attrs)["s"].item() == step


def test_the_family_holds_its_part_of_the_table():
    """Operations 3 to 9 of the specification, forward and backward."""
    learned = ("fake_quant", "lsqplus_int", "lsqplus_real", "adaquant_quant")
    expected = [name + end for name in learned for end in ("", "_backward")]
    assert list(BY_NAME) == [*expected, "logsqrt2_quant", "range_to_qparams"]
