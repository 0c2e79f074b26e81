"""Helpers between NumPy arrays and the nested lists of the scalar twins."""

from fractions import Fraction

import numpy as np


def fractions_of(array):
    """Return the entries as Fractions, in nested lists: no bit is lost."""
    if np.ndim(array) == 0:
        return Fraction(float(array))
    return [fractions_of(row) for row in array]


def dyadic(rng, shape, dtype=np.float64, reach=24, denominator=8):
    """Return multiples of 1/denominator, up to reach/denominator in size; ties and zeros occur."""
    codes = rng.integers(-reach, reach + 1, shape)
    return np.asarray(codes / denominator, dtype=dtype)


def assert_rounded_once(actual, nested, dtype):
    """Compare with exact numbers: every entry must be the exact one, rounded once to `dtype`.

    Rounding a Fraction by way of float64 to float32 is one rounding for all quotients of two
    float32 numbers, which is all that the callers compare.
    """
    expected = np.array(nested, dtype=np.float64).astype(dtype)
    assert actual.dtype == dtype, f"dtype {actual.dtype}, expected {dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_array_equal(actual, expected)
