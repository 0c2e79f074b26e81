"""The pinned matrix product: its bits, its error bound, its special values, its layouts."""

import math
from fractions import Fraction
from math import ceil, frexp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.reproducibility.operands import SMALLEST, decades, matmul_cases, real
from refquant import numerics as nx
from refquant._types import Array
from refquant.numerics.pinned_slices import cut, magnitude, shifter, slice_bits

CASES = matmul_cases()
SMALL = [name for name in CASES if name != "k5000"]
TERMS = 1024


def pinned(a: Array, b: Array, slices: int) -> Array:
    """Return the product in pinned arithmetic."""
    with nx.arithmetic("pinned", slices):
        return nx.matmul(a, b)


def width(k: int, slices: int) -> int:
    """b = floor((53 - ceil(log2 K)) / 2), K counted as 5K/4 for three slices."""
    terms = min(k, TERMS) * (Fraction(5, 4) if slices == 3 else 1)
    return (53 - ceil(math.log2(terms))) // 2


def exponent(row: list[float]) -> int:
    """The e with 2^(e-1) <= max|row| < 2^e; 0 for a zero row."""
    return frexp(max(map(abs, row)))[1]


def rounded(x: Fraction) -> float:
    """The nearest float64, infinite beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


# ---- the scalar twin: the definition, one element at a time, in exact arithmetic


def slice_up(x: float, e: int, b: int, slices: int) -> list[Fraction]:
    """Slices of x / 2^e: nearest multiples of 2^(-i b), ties to even, of what is left."""
    rest, parts = Fraction(x) / Fraction(2) ** e, []
    for i in range(1, slices + 1):
        unit = Fraction(1, 2 ** (i * b))
        parts.append(round(rest / unit) * unit)
        rest -= parts[-1]
    return parts


def element(row: list[float], column: list[float], slices: int) -> float:
    """One element of the product of finite operands, as DESIGN section 3 defines it."""
    b, e, f = width(len(row), slices), exponent(row), exponent(column)
    result = 0.0
    for start in range(0, len(row), TERMS):
        left = [slice_up(x, e, b, slices) for x in row[start : start + TERMS]]
        right = [slice_up(x, f, b, slices) for x in column[start : start + TERMS]]
        part = 0.0
        for g in range(slices - 1, -1, -1):
            pairs = zip(left, right, strict=True)
            group = sum(x[i] * y[g - i] for x, y in pairs for i in range(g + 1))
            part = float(Fraction(part) + group)
        result += part
    return rounded(Fraction(result) * Fraction(2) ** (e + f)) + 0.0


def by_element(a: Array, b: Array, function: object, *args: object) -> Array:
    """Return the matrix of function(row, column) over broadcast batches."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, batch + a.shape[-2:])
    b = np.broadcast_to(b, batch + b.shape[-2:])
    out = np.empty((*batch, a.shape[-2], b.shape[-1]))
    for *i, j, k in np.ndindex(out.shape):
        row, column = a[(*i, j)].tolist(), b[(*i, slice(None), k)].tolist()
        out[(*i, j, k)] = function(row, column, *args)  # type: ignore[operator]
    return out


def special(row: list[float], column: list[float], slices: int) -> float:
    """The class IEEE 754 gives the sum; `element` if every term is finite."""
    terms = [x * y for x, y in zip(row, column, strict=True)]
    if all(map(math.isfinite, (*row, *column))):
        return element(row, column, slices)
    odd = {
        math.nan if math.isnan(t) else t
        for t, x, y in zip(terms, row, column, strict=True)
        if not (math.isfinite(x) and math.isfinite(y))
    }
    if len(odd) == 1 and not any(map(math.isnan, odd)):
        return odd.pop()
    return math.nan


def same_bits(got: Array, expected: Array) -> None:
    """Fail unless shapes, dtypes and all bits are equal."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    kind = np.int64 if got.dtype == np.float64 else np.int32
    np.testing.assert_array_equal(got.view(kind), np.ascontiguousarray(expected).view(kind))


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize("name", SMALL)
def test_bits_equal_the_definition(name: str, slices: int) -> None:
    """Every element of every case is what exact arithmetic makes of the definition."""
    a, b = CASES[name]
    function = special if name == "inf_nan" else element
    expected = by_element(a, b, function, slices).astype(np.result_type(a, b))
    same_bits(np.ascontiguousarray(pinned(a, b, slices)), expected)


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_bits_equal_the_definition_beyond_1024_terms(slices: int) -> None:
    """Parts of 1024 terms are added in order."""
    a, b = CASES["k5000"]
    row, column = a[1], b[:, 2]
    got = pinned(a, b, slices)[1, 2]
    assert got == element(row.tolist(), column.tolist(), slices)


def bound(a: Array, b: Array, slices: int) -> Array:
    """Return the promised error of each element, 2-D operands."""
    k = a.shape[1]
    alpha = np.array([2.0 ** exponent(row.tolist()) for row in a])[:, None]
    beta = np.array([2.0 ** exponent(column.tolist()) for column in b.T])
    cutting = (slices + 1) * 2.0 ** -(slices * width(k, slices) + 1)
    return k * alpha * beta * (cutting + (slices + ceil(k / TERMS)) * 2.0**-53)


@pytest.mark.parametrize("name", ["k1", "k2", "k63", "k576", "k5000", "decades", "zeros"])
def test_error_bound(name: str) -> None:
    """Against exact rationals: within the bound; three slices beat the bound of float64."""
    a, b = CASES[name]

    def error(row: list[float], column: list[float], got: dict[tuple[float, ...], float]) -> float:
        exact = sum(Fraction(x) * Fraction(y) for x, y in zip(row, column, strict=True))
        return float(abs(exact - Fraction(got[(*row, *column)])))

    size = np.abs(a).max() * np.abs(b).max() * a.shape[1]
    for slices in (1, 2, 3):
        c = pinned(a, b, slices)
        keys = [(i, j) for i in range(len(a)) for j in range(b.shape[1])]
        table = {(*a[i].tolist(), *b[:, j].tolist()): float(c[i, j]) for i, j in keys}
        errors = by_element(a, b, error, table)
        print(f"{name}: {slices} slices, worst error / (K |a| |b|) {errors.max() / size:.1e}")
        assert np.all(errors <= bound(a, b, slices))
    terms = by_element(a, b, lambda x, y: math.fsum(abs(p * q) for p, q in zip(x, y, strict=True)))
    assert np.all(errors <= 2.0**-52 * terms + bound(a, b, 3) * (name == "decades"))


def test_integer_products_are_exact_with_one_call() -> None:
    """Codes of up to 16 bits: exact in any number of slices."""
    a = nx.counter.integers(("a",), 2**16, (5, 1024)) - 2**15
    b = nx.counter.integers(("b",), 2**16, (1024, 6)) - 2**15
    for slices in (1, 2, 3):
        got = pinned(a.astype(np.float64), b.astype(np.float64), slices)
        np.testing.assert_array_equal(got, a @ b)
    x = a.astype(np.float64)
    for slices in (2, 3):
        bits = slice_bits(1024, slices)
        assert cut(x, shifter(magnitude(x), bits), bits, slices, reverse=False).used == 1


def test_every_partial_sum_fits_53_bits() -> None:
    """K 2^(2b) <= 2^53, with 5K/4 for three slices, and b is the largest such width."""
    for k in range(1, 2 * TERMS):
        for slices, share in ((1, 1), (2, 1), (3, Fraction(5, 4))):
            b = slice_bits(k, slices)
            assert b == width(k, slices)
            assert min(k, TERMS) * share * 4**b <= 2**53


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_bits_do_not_depend_on_neighbours_layout_or_side(slices: int) -> None:
    """An element depends on its row and column alone, whatever path the others force."""
    a, b = decades("a", 12, 1100), decades("b", 1100, 300)
    whole = pinned(a, b, slices)
    same_bits(pinned(a[7:9], b[:, 31:34], slices), np.ascontiguousarray(whole[7:9, 31:34]))
    same_bits(np.ascontiguousarray(pinned(b.T, a.T, slices).T), whole)
    same_bits(pinned(np.asfortranarray(a), b, slices), whole)
    extreme = a.copy()
    extreme[0] = 1e-310
    extreme[1, 5] = np.inf
    same_bits(pinned(extreme, b, slices)[2:].copy(), whole[2:].copy())
    stacked = pinned(np.stack([a, a]), np.stack([b, b[:, ::-1]]), slices)
    same_bits(stacked[1, :, ::-1].copy(), whole)


@pytest.mark.parametrize("coarse_first", [True, False])
def test_rows_that_need_fewer_slices_may_stand_anywhere(coarse_first: bool) -> None:
    """Operands are cut block by block; what one block does not need, another may."""
    codes, fine = np.ones((40, 500)), real(26, 40, 500)  # 20,000 numbers each: more than a block
    parts = (codes, fine) if coarse_first else (fine, codes)
    left, right = np.vstack(parts), real(27, 500, 90)
    for slices in (1, 2, 3):
        whole = pinned(left, right, slices)
        apart = np.vstack([pinned(part, right, slices) for part in parts])
        np.testing.assert_array_equal(whole, apart)
        np.testing.assert_array_equal(pinned(right.T, left.T, slices).T, whole)


def test_result_has_one_zero_and_one_nan() -> None:
    """-0.0 never appears, and every NaN has the bits of np.nan."""
    a = np.array([[-0.0, 0.0], [np.inf, 0.0], [-1.0, 1.0]])
    b = np.array([[0.0, -1.0], [0.0, -1.0]])
    expected = np.array([[0.0, 0.0], [np.nan, -np.inf], [0.0, 0.0]])
    same_bits(pinned(a, b, 2), expected)


def test_rounding_into_the_subnormal_range_is_documented() -> None:
    """A subnormal result was rounded to 53 bits first: off by at most one more half unit."""
    a, b = real("sub a", 20, 30) * 2.0**-520, real("sub b", 30, 20) * 2.0**-550
    c = pinned(a, b, 3)
    exact = by_element(
        a,
        b,
        lambda x, y: rounded(sum(Fraction(p) * Fraction(q) for p, q in zip(x, y, strict=True))),
    )
    assert np.abs(c - exact).max() <= SMALLEST
    assert np.count_nonzero(c) > 300


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_empty_products(mode: str, dtype: type) -> None:
    """K = 0 gives zeros, an empty side an empty result."""
    with nx.arithmetic(mode):  # type: ignore[arg-type]
        zeros = nx.matmul(np.ones((2, 0), dtype), np.ones((0, 3), dtype))
        empty = nx.matmul(np.ones((4, 0, 5), dtype), np.ones((5, 3), dtype))
    np.testing.assert_array_equal(zeros, np.zeros((2, 3)))
    assert empty.shape == (4, 0, 3)
    assert zeros.dtype == empty.dtype == dtype


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.data())
def test_dyadic_products_are_exact(seed: int, m: int, k: int, n: int, data: st.DataObject) -> None:
    """Operands of 8 bits, any shapes: the pinned product equals the integer one."""
    slices = data.draw(st.integers(1, 3), label="slices")
    a = nx.counter.integers((seed, 0), 255, (m, k)) - 127
    b = nx.counter.integers((seed, 1), 255, (k, n)) - 127
    got = pinned(np.ldexp(a.astype(float), -9), np.ldexp(b.astype(float), 5), slices)
    np.testing.assert_array_equal(got, np.ldexp((a @ b).astype(float), -4))


def test_refusals_name_the_argument() -> None:
    """Wrong dtype, too few axes, shapes that do not match."""
    good = np.ones((2, 3))
    with pytest.raises(TypeError, match=r"matmul\(\): a is int64; expected float32 or float64"):
        nx.matmul(np.ones((2, 3), np.int64), good.T)
    with pytest.raises(ValueError, match="b is of shape"):
        nx.matmul(good, np.ones(3))
    with pytest.raises(ValueError, match="expected 3 rows"):
        nx.matmul(good, good)


def test_operands_are_left_alone() -> None:
    """Neither operand is written to, on the common and on the careful path."""
    for name in ("k63", "inf_nan", "scales"):
        a, b = (x.copy() for x in CASES[name])
        a.setflags(write=False)
        b.setflags(write=False)
        pinned(a, b, 3)
