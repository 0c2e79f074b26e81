"""Calibration in the oracle: the list of operations, and goldens worked out by hand (methods 3)."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.oracle.build import bound, build
from refquant.oracle.case import Case
from refquant.oracle.exact.choices import first_smallest, roundings
from refquant.oracle.exact.tracked import Ledger, Tracked
from refquant.oracle.families.calibrate.ops import OPS

BATCHES = {"batches": [[1.0, 4.0], [-2.0, 8.0], [2.0, 2.0]]}
TEN = {"x": np.arange(10.0)}

# op, inputs, attributes, outputs
BY_HAND = [
    ("minmax_observer", BATCHES, {}, {"lo": -2, "hi": 8}),
    ("minmax_observer", BATCHES, {"axis": 0}, {"lo": [-2, 2], "hi": [2, 8]}),
    # lo: 1, then 1/2 - 1 = -1/2, then -1/4 + 1 = 3/4; hi: 4, 6, 4
    ("ema_observer", BATCHES, {"momentum": 0.5}, {"lo": 0.75, "hi": 4}),
    # (1 - 2 + 2) / 3, (4 + 8 + 2) / 3
    ("avg_observer", BATCHES, {}, {"lo": Fraction(1, 3), "hi": Fraction(14, 3)}),
    # int(10 / 4) = 2, int(7.5) = 7; on the line 9/4 and 27/4
    ("percentile_range", TEN, {"q": 0.75}, {"lo": 2, "hi": 7}),
    ("percentile_range", TEN, {"q": 0.75, "rule": "interpolated"}, {"lo": 2.25, "hi": 6.75}),
    # p = 1: 2 (1 + 3) / 2 / 1; p = 15 / 1 on an unsigned grid would be 4 / sqrt(15)
    ("lsq_init", {"x": [1.0, -3.0]}, {"bits": 2}, {"s": 4}),
    # mu = 2, sd = 1: 5 / 4, and 5 / 8
    ("lsqplus_init", {"x": [1.0, 3.0]}, {"bits": 3}, {"s": 1.25}),
    ("lsqplus_init", {"x": [1.0, 3.0]}, {"bits": 3, "divisor": "mqbench"}, {"s": 0.625}),
    # q = rint(5/4), rint(13/4) = 1, 3; s = (5 + 39) / 10 = 22/5; errors: 1 + 1, then 9/25 + 1/25
    ("lloyd_scale", {"w": [5.0, 13.0], "s0": 4.0}, {"bits": 3, "iters": 1},
     {"s": Fraction(22, 5), "errors": [2, Fraction(2, 5)]}),
    # One value x on a signed grid of 3 bits, p = 3, f = i/100: s = x f / 3.5. Steps x f / 3.5 hit
    # x exactly if f k = 3.5, k <= 3: never; 3 x f / 3.5 is nearest at f = 1: error x / 7.
    ("mse_search", {"x": [7.0]}, {"id": "fro", "bits": 3}, {"s": 2, "zero_point": 0, "score": 1}),
    # One value in each of 4 bins, fewer than the 255 groups: Q = P in both windows,
    # (1, 1, 1, 1) and (2, 2), both divergences 0, and the first wins: T / 128
    ("kl_scale_amct", {"w": [-3.0, -1.0, 1.0, 4.0]}, {"bins": 4, "searches": 2}, {"s": 1 / 32}),
    # T = 2^-17 in its stead: 2^-24 is below 2^-23
    ("kl_scale_amct", {"w": np.ldexp([-3.0, -1.0, 1.0, 4.0], -19)}, {"bins": 4, "searches": 2},
     {"s": 1}),
    # Two groups. h = (1, 0, 2, 1): bin int(0.008) = 0 is set to 1. R = 2: P = (1/4, 3/4), but
    # Q = (1, 0): 3/4 * 30 decades and more. R = 4: P = (1, 0, 2, 1) / 4, Q = (1, 0, 3/2, 3/2) / 4:
    # less than 0.1. s = 4 (T / 4) / 2
    ("kl_scale_trt", {"x": [4.0, -5.0, 8.0]}, {"bits": 2, "bins": 4}, {"s": 4}),
]  # fmt: skip


def test_the_operations_are_those_of_the_specification():
    """Section 21, numbers 10 to 16."""
    assert [op.name for op in OPS] == [
        "minmax_observer",
        "ema_observer",
        "avg_observer",
        "percentile_range",
        "mse_search",
        "lloyd_scale",
        "lsq_init",
        "lsqplus_init",
        "kl_scale_amct",
        "kl_scale_trt",
    ]
    assert {name for name, *_ in BY_HAND} == {op.name for op in OPS}


@pytest.mark.parametrize(("name", "inputs", "attrs", "outputs"), BY_HAND)
def test_goldens_worked_out_by_hand(name, inputs, attrs, outputs):
    """The exact twin gives the number of the comment, rounded once."""
    op = next(op for op in OPS if op.name == name)
    built = build(op, Case(name, "T8", "by hand", inputs, attrs))
    assert set(built.outputs) == set(outputs)
    for output, expected in outputs.items():
        value = np.array(expected, dtype=np.float64)
        np.testing.assert_array_equal(built.outputs[output].value, value)
        assert np.all(np.abs(bound(built.outputs[output], 2.0**-24)) <= 1e-4)


def test_a_near_tie_has_two_roundings_and_an_exact_one_has_one():
    """5/2 goes to 2; known only to one unit, to 2 or 3."""
    ledger, value = Ledger(24), Fraction(5, 2)
    assert roundings(Tracked(ledger, value)) == (2,)
    assert roundings(Tracked(ledger, value, Fraction(1))) == (2, 3)
    assert roundings(2.5) == (2,)


def test_the_first_smallest_is_clear_or_in_doubt():
    """Of exact equals the first; a rival within its error is a doubt, decided as is asked."""
    for flip, chosen in ((False, 0), (True, 1)):
        ledger = Ledger(24, flip=flip)
        exact = [Tracked(ledger, Fraction(v)) for v in (3, 1, 1)]
        assert first_smallest(exact) == 1
        assert ledger.doubts == 0
        near = [Tracked(ledger, Fraction(1)), Tracked(ledger, 1 + Fraction(1, 2**24), Fraction(2))]
        assert first_smallest(near) == chosen
        assert ledger.doubts == 1
