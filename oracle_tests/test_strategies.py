"""Strategies for other people's tests: what they promise of what they draw."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings

from refquant import strategies as rqs
from refquant.quantizers.fake_quant import quantize
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rounding import ROUNDINGS


@given(rqs.quantizations(roundings=tuple(ROUNDINGS)))
def test_the_library_gives_the_expected_codes(case: rqs.Quantization) -> None:
    """They come from exact rationals; the library computes in doubles."""
    qparams = make_qparams(case.s, case.zero_point, Grid(case.grid, case.bits))
    found = quantize(case.x, qparams, case.rounding)
    assert np.array_equal(found, case.codes)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("half_away", lambda u: np.sign(u) * np.floor(np.abs(u) + 0.5)),
        ("half_up", lambda u: np.floor(u + 0.5)),
        ("trunc", np.trunc),
    ],
)
def test_a_wrong_rounding_is_found_at_once(name: str, wrong: Any) -> None:
    """Within a hundred draws, and shrunk to a single value."""

    def fails(case: rqs.Quantization) -> bool:
        grid = Grid(case.grid, case.bits)
        with np.errstate(invalid="ignore"):
            u = wrong(case.x / case.s) + case.zero_point
            codes = np.clip(np.nan_to_num(u, nan=case.zero_point), grid.code_min, grid.code_max)
        return not np.array_equal(codes, case.codes)

    smallest = find(rqs.quantizations(), fails, settings=settings(max_examples=100, database=None))
    assert smallest.x.size == 1


@given(rqs.quantizations(special=False))
def test_without_special_values_all_is_finite(case: rqs.Quantization) -> None:
    """And float32 holds every number, step included."""
    assert np.isfinite(case.x).all()
    assert np.array_equal(case.x.astype(np.float32).astype(np.float64), case.x)
    assert Fraction(case.s).limit_denominator(2**13) == Fraction(case.s)


@given(rqs.dyadics((3, 5), bits=8, point=4), rqs.dyadics((5, 2), bits=8, point=4))
def test_products_of_dyadics_are_exact_in_float32(a: Any, b: Any) -> None:
    """So every order of summation gives the same bits."""
    single = a.astype(np.float32) @ b.astype(np.float32)
    exact = [
        [sum(Fraction(x) * Fraction(y) for x, y in zip(r, c, strict=True)) for c in b.T] for r in a
    ]
    assert single.tolist() == [[float(v) for v in row] for row in exact]


@given(rqs.quantizations(special=False, powers_of_two=True))
def test_powers_of_two_suit_kernels_that_multiply_by_the_reciprocal(case: rqs.Quantization) -> None:
    """Quotient and product are the same number."""
    x, s = case.x.astype(np.float32), np.float32(case.s)
    assert np.array_equal(x / s, x * (np.float32(1) / s))


@given(rqs.borders())
def test_borders_lie_in_the_unit_interval(border: float) -> None:
    """Both ends included."""
    assert 0.0 <= border <= 1.0


def test_bad_arguments_are_refused() -> None:
    """When the strategy is made."""
    with pytest.raises(ValueError, match="kinds"):
        rqs.grids(("float",))
    with pytest.raises(ValueError, match="bits"):
        rqs.grids(bits=(1, 8))
