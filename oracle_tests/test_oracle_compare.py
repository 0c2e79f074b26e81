"""The comparison: what is right, what is wrong, and in which order it is said."""

from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import sample
from refquant.oracle.build import Golden, bound
from refquant.oracle.compare import BIAS_ELEMENTS, compare, wrong_elements
from refquant.oracle.op import Tensor
from refquant.oracle.tiers import FORMATS, significant_bits

SINGLE, DOUBLE = FORMATS["float32"], FORMATS["float64"]
KINDS = {"y": "float", "code": "int", "on": "bool"}
OP = sample((), tuple(Tensor(name, kind, "any", "") for name, kind in KINDS.items()))


def one(output: str, golden: Golden, value: Any, form: Any = DOUBLE) -> str:
    """Return the problem that is found, or "right"."""
    found = compare(OP, {output: golden}, {output: value}, form)
    return found[0].problem if found else "right"


CODES = Golden(np.array([1, -2, 3]))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.array([1, -2, 3], np.int8), "right"),
        (np.array([1, 254, 3], np.uint8), "value"),
        (np.array([1, -2, 4]), "value"),
        (np.array([1.0, -2.0, 3.0]), "dtype"),
        (np.array([[1, -2, 3]]), "shape"),
    ],
)
def test_integers_are_equal_or_wrong(value: Any, problem: str) -> None:
    """Whatever their width; a float is no integer, and no distance is small enough."""
    assert one("code", CODES, value) == problem


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([0.0, 1.5, np.nan], "right"),
        ([-0.0, 1.5, np.nan], "right"),
        ([0.0, np.nextafter(1.5, 2), np.nan], "value"),
        ([0.0, 1.5, 0.0], "value"),
        ([np.nan, 1.5, np.nan], "value"),
    ],
)
def test_exact_floats_are_equal_or_wrong(value: list[float], problem: str) -> None:
    """-0.0 equals 0.0, NaN equals NaN, one ulp is wrong."""
    assert one("y", Golden(np.array([0.0, 1.5, np.nan])), np.array(value)) == problem


def test_a_bound_is_steps_times_roundoff_and_half_an_ulp_of_the_golden() -> None:
    """Three steps at 1.0 in float32: 3 * 2^-24 (and a thousandth), plus 2^-53."""
    golden = Golden(np.array([1.0]), np.array([3.0], np.float32))
    limit = 3 * (1 + 2.0**-10) * 2.0**-24 + 2.0**-53
    assert bound(golden, SINGLE.roundoff).tolist() == [limit]
    assert one("y", golden, np.array([1 + limit])) == "value"
    for away, problem in ((limit, "right"), (limit * (1 + 1e-6), "value")):
        assert one("y", golden, np.array([1 - away]), SINGLE) == problem
    assert one("y", golden, np.array([np.inf]), SINGLE) == "value"
    assert one("y", golden, np.array([np.nan]), SINGLE) == "value"


def test_an_element_in_doubt_has_two_right_answers_and_no_third() -> None:
    """Each element on its own."""
    golden = Golden(np.array([2, 5]), other=np.array([3, 5]))
    for value in ([2, 5], [3, 5]):
        assert one("code", golden, np.array(value)) == "right"
    for value in ([4, 5], [2, 6]):
        assert one("code", golden, np.array(value)) == "value"


def test_what_is_wrong_is_said_with_numbers() -> None:
    """Index, expected, actual, the other answer, and how many of how many."""
    golden = Golden(np.array([[2, 5], [7, 8]]), other=np.array([[2, 6], [7, 8]]))
    (found,) = compare(OP, {"code": golden}, {"code": np.array([[2, 4], [7, 9]])}, DOUBLE)
    assert (found.index, found.expected, found.actual, found.also) == ((0, 1), 5, 4, 6)
    assert (found.wrong, found.size) == (2, 4)
    assert found.says == "4 at [0, 1]; expected 5 or 6"


def test_below_the_normal_range_a_step_costs_half_the_smallest_subnormal() -> None:
    """5/2 of float32's smallest numbers, rounded once: 2 or 3 of them; float64 holds 5/2."""
    unit = 2.0**-149
    value = np.array([2.5 * unit])
    golden = Golden(value, value.copy())  # one step
    for answer, single, double in ((2.0, False, True), (3.0, False, True), (3.5, True, True),
                                   (2.5, False, False)):  # fmt: skip
        given = np.array([answer * unit])
        assert wrong_elements(golden, given, SINGLE).tolist() == [single]
        assert wrong_elements(golden, given, DOUBLE).tolist() == [double]
    assert bound(Golden(value), SINGLE.roundoff).tolist() == [0.0]  # exact ones stay exact


def test_steps_of_a_sum_of_zero_are_counted_as_bounded() -> None:
    """0 within an error: as many halves of the smallest subnormal as are ever counted."""
    golden = Golden(np.array([0.0]), np.array([2.0**-140]))
    tiny = float(bound(golden, SINGLE.roundoff)[0])
    assert 512 * 2.0**-149 <= tiny < 513 * 2.0**-149


def test_a_bias_within_the_bounds_is_found() -> None:
    """64 errors of +0.6 bounds add up to 38 > 4 sqrt(64); of both signs they do not."""
    n = BIAS_ELEMENTS
    golden = Golden(np.ones(n), np.full(n, 4.0, np.float32))
    share = 0.6 * bound(golden, SINGLE.roundoff)
    sign = np.where(np.arange(n) % 2, 1.0, -1.0)
    assert one("y", golden, 1 + share, SINGLE) == "bias"
    assert one("y", golden, 1 + sign * share, SINGLE) == "right"
    assert one("y", Golden(np.ones(n - 1), golden.error[1:]), 1 + share[1:], SINGLE) == "right"  # type: ignore[index]


def test_outputs_left_out_are_passed_over_and_unknown_ones_are_not() -> None:
    """A backend may compute less, but not something else."""
    assert compare(OP, {"code": CODES, "on": Golden(np.array([True]))}, {}, DOUBLE) == []
    (found,) = compare(OP, {"code": CODES}, {"codes": np.array([1, -2, 3])}, DOUBLE)
    assert "no such output" in found.says


def test_booleans_may_come_as_zeros_and_ones() -> None:
    """But not as floats."""
    golden = Golden(np.array([True, False]))
    assert one("on", golden, np.array([1, 0], np.uint8)) == "right"
    assert one("on", golden, np.array([1, 1], np.uint8)) == "value"
    assert one("on", golden, np.array([1.0, 0.0])) == "dtype"


@pytest.mark.parametrize(
    ("x", "bits"),
    [
        (0.0, 0),
        (1.0, 1),
        (-3.0, 2),
        (255.0, 8),
        (257.0, 9),
        (0.1, 52),
        (2.0**-1074, 1),
        (np.inf, 0),
    ],
)
def test_significant_bits(x: float, bits: int) -> None:
    """From the first set bit to the last; 0.1 = 0x1.999999999999ap-4 ends in 10."""
    assert significant_bits(np.array([x])).tolist() == [bits]
