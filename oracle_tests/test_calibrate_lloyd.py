"""Alternating minimisation of step and codes (methods 3.2; P45, P46)."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import dyadic, fractions_of
from refquant.calibrate.lloyd import Lloyd, lloyd
from refquant.oracle.exact import calibrate as twin
from refquant.quantizers.grid import KINDS, Grid, make_qparams

SEEDS = st.integers(0, 2**32 - 1)
SIGNED = Grid("signed", 4)


def test_two_values_by_hand():
    """w = (1, 3): 2 -> q (0, 2), s 3/2 -> q (1, 2), s 7/5, and that is a fixed point.

    Errors: 1 + 1; 1/4 + 0; (2/5)^2 + (1/5)^2 = 1/5. The tie 1/2 goes to the even code 0.
    """
    found, errors = lloyd(np.array([1.0, 3.0]), make_qparams(2.0, 0, SIGNED), iters=4)
    assert found.step == 1.4 and found.grid == SIGNED
    assert errors[:2].tolist() == [2.0, 0.25]
    np.testing.assert_allclose(errors[2:], [0.2] * 3, rtol=1e-15)
    assert np.all(errors[3:] == errors[2])


def test_a_row_without_codes_keeps_its_step():
    """q = 0 stops: 1/4 under the step 1, and a zero row; the third row goes on."""
    w = np.array([[0.25, 0.0], [0.0, 0.0], [1.0, 3.0]])
    start = make_qparams(np.array([[1.0], [1e-8], [2.0]]), 0, SIGNED)
    found, errors = lloyd(w, start, iters=3, axis=0)
    np.testing.assert_array_equal(found.step, [[1.0], [1e-8], [1.4]])
    np.testing.assert_array_equal(errors[:, :2], [[0.0625, 0.0]] * 4)
    assert errors.shape == (4, 3)


def test_a_zero_point_shifts_the_codes():
    """Levels -3 .. 0 of the zero point 3 on 2 bits: 5 saturates at 0, -6 / 2 = -3 stays."""
    found, errors = lloyd(np.array([5.0, -6.0]), make_qparams(2.0, 3, Grid("affine", 2)), 1)
    assert (found.step, found.zero_point) == (2.0, 3)
    np.testing.assert_array_equal(errors, [25.0, 25.0])


@given(SEEDS, st.sampled_from(KINDS), st.integers(2, 8), st.sampled_from([np.float32, np.float64]))
def test_one_update_equals_the_exact_twin(seed, kind, bits, dtype):
    """From a power of two as step all but one division is exact on dyadic values."""
    rng = np.random.default_rng(seed)
    w = dyadic(rng, (3, 5), dtype)
    zero = int(rng.integers(0, 2**bits)) if kind == "affine" else 0
    start = make_qparams(np.full((3, 1), dtype(0.5)), zero, Grid(kind, bits))
    found, errors = lloyd(w, start, iters=1, axis=0)
    assert found.step.dtype == errors.dtype == dtype
    for row in range(3):
        values = fractions_of(w[row])
        step, exact = twin.lloyd(values, Fraction(1, 2), zero, (kind, bits), 1)
        assert found.step[row, 0] == dtype(float(step))
        assert errors[0, row] == float(exact[0])
        scale = float(max(exact[0], sum(v * v for v in values)))
        assert abs(errors[1, row] - float(exact[1])) <= 16 * np.finfo(dtype).eps * scale


@given(SEEDS, st.sampled_from(["signed", "narrow"]), st.integers(2, 8))
def test_error_never_increases(seed, kind, bits):
    """P45: exactly in the twin's fractions, within rounding in floats."""
    rng = np.random.default_rng(seed)
    w = dyadic(rng, (12,))
    _, exact = twin.lloyd(fractions_of(w), Fraction(3, 4), 0, (kind, bits), 6)
    assert all(after <= before for before, after in pairwise(exact))
    w = rng.normal(size=(4, 30))
    start = make_qparams(rng.uniform(0.05, 2.0, (4, 1)), 0, Grid(kind, bits))
    _, errors = lloyd(w, start, 12, axis=0)
    assert np.all(errors[1:] <= errors[:-1] * (1.0 + 1e-13))
    assert np.all(errors[-1] <= errors[0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lloyd(np.ones(2), 1.0), TypeError, "QParams"),
        (lambda: lloyd(np.ones(2), make_qparams(1.0, 0, SIGNED), -1), ValueError, "iters"),
        (lambda: lloyd(np.ones((2, 2)), make_qparams(1.0, 0, SIGNED), 1, 0), ValueError, "shape"),
        (lambda: lloyd(np.array([np.inf]), make_qparams(1.0, 0, SIGNED)), ValueError, "finite"),
        (lambda: Lloyd(iters=1.5), TypeError, "integer"),
        (lambda: Lloyd(divisor="q"), ValueError, "amct"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    """One voice: function, argument, got, expected."""
    with pytest.raises(error, match=words):
        call()
