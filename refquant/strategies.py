"""Hypothesis strategies that aim: at ties, clip edges, odd zero points, and what lies beside them.

    from hypothesis import given
    from refquant import strategies as rqs

    @given(rqs.quantizations())
    def test_kernel(case):
        assert_array_equal(my_kernel(case.x, case.s, case.zero_point, case.bits), case.codes)

Random normal numbers hardly ever lie on a tie, so a test on them cannot tell one rounding from
another. Every strategy here draws integers and scales them, so that values are dyadic, results are
exact in any arithmetic, and the expected codes come from exact rationals. Nothing depends on the
clock or on global state; with ``derandomize=True`` (as Hypothesis's profile "ci" sets it) a run is
the same every time. Needs the package `hypothesis`, which is no dependency of refquant itself.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from refquant._checks import check_in, check_int
from refquant._types import Array
from refquant.oracle.exact.fake_quant import quantize
from refquant.quantizers.grid import KINDS, Grid

SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0)


@dataclass(frozen=True)
class Quantization:
    """A drawn case of uniform quantization, with the right codes.

    Attributes
    ----------
    x : Array
        float32 or float64 values, one axis.
    s : float
        A step, a power of two times 1, 3 or 5.
    zero_point : int
    bits : int
    grid : str
    rounding : str
    codes : Array
        int64; NaN takes the zero point.
    """

    x: Array
    s: float
    zero_point: int
    bits: int
    grid: str
    rounding: str
    codes: Array


def steps(low: int = -12, high: int = 4, powers_of_two: bool = False) -> st.SearchStrategy[float]:
    """Steps k 2^e with e in low..high and k in 1, 3, 5 (or 1 alone).

    Where the step is no power of two, x / s is a tie exactly if it is divided, and not always if it
    is multiplied by 1 / s: for kernels that may do that, ask for powers of two.
    """
    odd = [1.0] if powers_of_two else [1.0, 1.0, 3.0, 5.0]
    return st.builds(math.ldexp, st.sampled_from(odd), st.integers(low, high))


def levels(n: int, p: int) -> st.SearchStrategy[Fraction]:
    """Values in units of the step: whole, on ties, beside ties, at and beyond the ends n and p."""
    at = st.integers(n - 2, p + 2).map(Fraction)
    ends = st.sampled_from([n, p]).map(Fraction)
    offsets = (-33, -32, -31, -16, -1, 0, 1, 16, 31, 32, 33)  # 64ths: 32 is a tie
    beside = st.sampled_from([Fraction(k, 64) for k in offsets])
    far = st.sampled_from([Fraction(1 << 20), Fraction(-(1 << 20))])
    return st.one_of(st.builds(lambda a, b: a + b, st.one_of(at, ends), beside), far)


def grids(
    kinds: tuple[str, ...] = KINDS, bits: tuple[int, int] = (2, 8)
) -> st.SearchStrategy[Grid]:
    """Integer grids of the given kinds and widths.

    Raises
    ------
    ValueError
        If a kind is unknown or the widths are not in 2..16.
    """
    for kind in kinds:
        check_in("grids", "kinds", kind, KINDS)
    low, high = (check_int("grids", "bits", b, 2, 16) for b in bits)
    return st.builds(Grid, st.sampled_from(kinds), st.integers(low, high))


@st.composite
def quantizations(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = KINDS,
    bits: tuple[int, int] = (2, 8),
    roundings: tuple[str, ...] = ("rint",),
    special: bool = True,
    powers_of_two: bool = False,
) -> Quantization:
    """Uniform quantization of up to 32 values, each aimed at something.

    Parameters
    ----------
    kinds : tuple of str
        Of the grid: unsigned, signed, narrow, affine.
    bits : (int, int)
        Smallest and largest width.
    roundings : tuple of str
        rint, half_up, half_down, half_away, floor or ceil.
    special : bool
        Whether NaN, the infinities and negative zero may appear.
    powers_of_two : bool
        Only such steps: for kernels that multiply by the reciprocal.
    """
    grid, step = draw(grids(kinds, bits)), draw(steps(powers_of_two=powers_of_two))
    rounding = draw(st.sampled_from(roundings))
    affine = grid.kind == "affine"
    zero = draw(st.integers(grid.code_min, grid.code_max)) if affine else 0
    aimed = levels(grid.code_min - zero, grid.code_max - zero)
    value = aimed.map(lambda u: float(u * Fraction(step)))
    value = st.one_of(value, st.sampled_from(SPECIAL)) if special else value
    x = draw(st.lists(value, min_size=1, max_size=32))
    limits = (grid.code_min, grid.code_max)
    exact = [_exact(v) for v in x]
    codes = [quantize(v, Fraction(step), zero, limits, rounding) for v in exact]
    return Quantization(
        np.array(x), step, zero, grid.bits, grid.kind, rounding, np.array(codes, np.int64)
    )


def _exact(value: float) -> Fraction | float:
    return Fraction(value) if math.isfinite(value) else value


def borders() -> st.SearchStrategy[float]:
    """Rounding borders in [0, 1]: both ends, 1/2, and 64ths between."""
    return st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 64).map(lambda k: k / 64))


@st.composite
def dyadics(draw: st.DrawFn, shape: int | tuple[int, ...], bits: int = 8, point: int = 4) -> Array:
    """Arrays of k / 2^point with |k| < 2^bits: sums and products are exact in float32.

    For a dot product of K terms that holds up to K 2^(2 bits) <= 2^24: 256 terms of 8 bits.
    """
    top = (1 << bits) - 1
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    whole = draw(st.lists(st.integers(-top, top), min_size=size, max_size=size))
    return np.ldexp(np.array(whole, np.float64), -point).reshape(shape)
