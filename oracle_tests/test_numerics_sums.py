"""Sums, means and softmax of pinned arithmetic."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from oracle_tests.reproducibility.operands import decades, real
from refquant import numerics as nx
from refquant._types import Array

mp.prec = 120


def tree(values: list[float]) -> float:
    """Add halves to halves until one is left: the order the module promises."""
    while len(values) > 1:
        half = -(-len(values) // 2)
        upper = values[half:]
        pairs = itertools.zip_longest(values[:half], upper, fillvalue=0.0)
        values = [x + y for x, y in pairs]
    return (values[0] if values else 0.0) + 0.0


@given(st.integers(0, 2**32), st.integers(0, 70))
def test_order_is_the_promised_one(seed: int, n: int) -> None:
    """Bit for bit the tree, on numbers over 24 decades."""
    x = decades(f"tree {seed}", n)
    with nx.arithmetic("pinned"):
        assert nx.sum(x) == tree(x.tolist())


@pytest.mark.parametrize("n", [1, 2, 3, 63, 1000, 4097])
def test_error_bound(n: int) -> None:
    """ceil(log2 n) 2^-53 sum|x| against exact rationals; float32 is rounded once."""
    x = decades("bound", n)
    exact = sum(map(Fraction, x.tolist()), Fraction(0))
    size = math.fsum(np.abs(x))
    with nx.arithmetic("pinned"):
        error = abs(Fraction(float(nx.sum(x))) - exact)
        single = x.astype(np.float32)
        total = nx.sum(single)
        assert total == np.float32(tree(single.astype(np.float64).tolist()))
    assert error <= math.ceil(math.log2(n)) * 2.0**-53 * size
    assert total.dtype == np.float32


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 0, 1), ()])
def test_axes_shapes_and_layouts(mode: str, axis: int | tuple[int, ...] | None) -> None:
    """Axes, keepdims and mean mean what NumPy means; strides change no bit."""
    x = nx.counter.integers(("axes",), 200, (4, 5, 6)) * 0.125
    with nx.arithmetic(mode):  # type: ignore[arg-type]
        for keep in (False, True):
            got = nx.sum(x, axis, keepdims=keep)
            np.testing.assert_array_equal(got, np.sum(x, axis=axis, keepdims=keep))
            np.testing.assert_array_equal(nx.mean(x, axis, keep), np.mean(x, axis, keepdims=keep))
        y = decades("layouts", 4, 5, 6)
        strided = np.asfortranarray(y)[::-1][::-1]
        if mode == "pinned":
            np.testing.assert_array_equal(nx.sum(strided, axis), nx.sum(y, axis))
        assert nx.mean(y.astype(np.float32), axis).dtype == np.float32
        with pytest.raises(ValueError, match="out of bounds"):
            nx.sum(y, 3)


def test_special_values_and_empty_axes() -> None:
    """Infinities, NaN, one sign of zero, and sums over nothing, without a warning."""
    rows = [[np.inf, 1.0], [np.inf, -np.inf], [np.nan, 1.0], [-0.0, -0.0], [1e308, 1e308]]
    expected = np.array([np.inf, np.nan, np.nan, 0.0, np.inf])
    with nx.arithmetic("pinned"):
        got = nx.sum(np.array(rows), 1)
        np.testing.assert_array_equal(got.view(np.int64), expected.view(np.int64))
        np.testing.assert_array_equal(nx.sum(np.ones((3, 0)), 1), np.zeros(3))
        assert nx.sum(np.ones((0, 3)), 1).shape == (0,)
        assert np.isnan(nx.mean(np.ones(0)))


def exact_softmax(row: list[float]) -> list[mpmath.mpf]:
    """Return the softmax of one row."""
    e = [mpmath.exp(v) for v in row]
    return [v / mpmath.fsum(e) for v in e]


@pytest.mark.parametrize("scale", [1.0, 20.0, 300.0])
def test_softmax_within_its_bound(scale: float) -> None:
    """(4 + log2 n / 2 + |x - max| / 2) ulp; log_softmax 1e-15 of its size, at least of 1."""
    x = scale * real("softmax", 40, 11)
    shift = np.abs(x - x.max(axis=1, keepdims=True))
    with nx.arithmetic("pinned"):
        soft, logs = nx.softmax(x), nx.log_softmax(x)
        np.testing.assert_array_equal(nx.softmax(x.T, axis=0).T, soft)
        single = x.astype(np.float32)
        expected = nx.softmax(single.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(nx.softmax(single), expected)
    exact = [exact_softmax(row) for row in x.tolist()]
    error = np.array(
        [
            [float(abs(g / e - 1)) for g, e in zip(*r, strict=True)]
            for r in zip(soft.tolist(), exact, strict=True)
        ]
    )
    print(f"scale {scale}: worst softmax error {(error * 2.0**52).max():.2f} ulp")
    assert np.all(error <= (4.0 + np.log2(11) / 2 + shift / 2) * 2.0**-52)
    true_logs = np.array([[float(mpmath.log(e)) for e in row] for row in exact])
    assert np.all(np.abs(logs - true_logs) <= 1e-15 * np.maximum(1.0, np.abs(true_logs)))


@pytest.mark.parametrize("function", [nx.softmax, nx.log_softmax])
def test_softmax_of_special_rows(function: object) -> None:
    """-inf has no share; NaN, +inf or nothing but -inf make the row NaN, with one bit pattern."""
    x: Array = np.array([[-np.inf, 0.0], [np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]])
    with nx.arithmetic("pinned"):
        got = function(x)  # type: ignore[operator]
    first = [0.0, 1.0] if function is nx.softmax else [-np.inf, 0.0]
    expected = np.array([first, [np.nan] * 2, [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(got.view(np.int64), expected.view(np.int64))
