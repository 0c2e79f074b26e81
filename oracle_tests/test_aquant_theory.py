"""Why a border: AQ Definition 2.1 and equations 6 and 7, expectations, and the shared border."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.oracle.exact import border_theory as twin
from refquant.quantizers.border_theory import (
    ErrorLine,
    border_eq7,
    border_imbalance,
    down_is_better,
    error_at,
    error_line,
    error_moments,
    moving_bias,
    moving_border,
    shared_border,
)
from refquant.quantizers.rounding import border_round

DTYPES = [np.float64, np.float32]
EIGHTHS = st.integers(-24, 24).map(lambda i: i / 8)
FRACTIONS = [i / 64 for i in range(64)]


def number(value, dtype=np.float64):
    return np.array(value, dtype)


@given(w=EIGHTHS, dw=EIGHTHS, x=EIGHTHS, e=EIGHTHS, delta=EIGHTHS, dtype=st.sampled_from(DTYPES))
def test_error_of_one_product(w, dw, x, e, delta, dtype):
    """AQ eq.6: A D + c is (w + dw)(x' + D) - w x, exactly."""
    line = error_line(*(number(v, dtype) for v in (w, dw, x, e)))
    exact = twin.error(*(Fraction(v) for v in (delta, w, dw, x, e)))
    assert Fraction(float(error_at(number(delta, dtype), line))) == exact


@given(w=EIGHTHS, dw=EIGHTHS, x=EIGHTHS, e=EIGHTHS, dtype=st.sampled_from(DTYPES))
def test_border_of_one_product(w, dw, x, e, dtype):
    """AQ eq.7: numerator and denominator are exact here, so B carries two roundings."""
    exact = twin.border(*(Fraction(v) for v in (w, dw, x, e)))
    arguments = [number(v, dtype) for v in (w, dw, x, e)]
    border = border_eq7(*arguments, clipped=False)
    assert border.dtype == dtype
    bound = np.finfo(dtype).eps * (abs(exact) + 1)
    assert abs(Fraction(float(border)) - exact) <= bound
    assert border_eq7(*arguments) == min(max(float(border), 0.0), 1.0)


@given(w=EIGHTHS, x=EIGHTHS)
def test_without_errors_the_border_is_one_half(w, x):
    """P09: dw = 0 and e = 0 give exactly 1/2; so does w + dw = 0 (op 43), whatever c is."""
    zero = number(0.0)
    assert border_eq7(number(w), zero, number(x), zero) == 0.5
    assert border_eq7(number(w), number(-w), number(x), number(1.0)) == 0.5


@given(w=EIGHTHS, dw=EIGHTHS, x=EIGHTHS, e=EIGHTHS)
def test_border_separates_the_better_directions(w, dw, x, e):
    """P10, AQ Def 2.1: for A != 0, f <= B^E <=> |g(-f)| <= |g(1-f)|; P11: then |g| <= |A|/2.

    Against exact rationals, at all fractions in 64ths, and at f = B^E where both sides are equal.
    """
    if w + dw == 0:
        return
    arguments = tuple(Fraction(v) for v in (w, dw, x, e))
    border, slope = twin.border(*arguments), arguments[0] + arguments[1]
    line = error_line(*(number(v) for v in (w, dw, x, e)))
    down = down_is_better(np.array(FRACTIONS), line)
    for f, decision in zip(FRACTIONS, down.tolist(), strict=True):
        f = Fraction(f)
        errors = [abs(twin.error(d, *arguments)) for d in (-f, 1 - f)]
        assert decision == (errors[0] <= errors[1]) == (f <= border)
        if 0 <= border <= 1:
            assert min(errors) <= abs(slope) / 2
    balance = [abs(twin.error(d, *arguments)) for d in (-border, 1 - border)]
    assert balance[0] == balance[1]


def test_figure_1a():
    """AQ Fig 1a, Def 2.1: border 5/16, the pair (-5/16, 11/16) has equal errors, sign opposite.

    A = 2, c = A (B - 1/2) = -3/8. Clipping the border to [0, 1] changes the decision at f = 0 only.
    """
    line = ErrorLine(number(2.0), number(-0.375))
    assert border_imbalance(number(5 / 16), line) == 0.0
    assert error_at(number(-5 / 16), line) == -error_at(number(11 / 16), line) == -1.0
    assert border_imbalance(number(4 / 16), line) < 0 < border_imbalance(number(6 / 16), line)
    far = ErrorLine(number(2.0), number(-2.0))  # B = -1/2: always up, even at f = 0
    assert not down_is_better(np.array(FRACTIONS), far).any()


@pytest.mark.parametrize("slope", [2.0, -0.5])
@pytest.mark.parametrize("eighths", range(9))
def test_border_removes_the_bias(eighths, slope):
    """P12, P13, Fig 1b: f uniform at the midpoints of 64ths, decisions by `border_round`.

    The midpoint rule is exact for the mean, and short by A^2 / (12 64^2) for the square.
    """
    border = eighths / 8
    offset = (border - 0.5) * slope
    f = np.array([Fraction(2 * i + 1, 128) for i in range(64)])
    exact_slope, c, cell = Fraction(slope), Fraction(offset), Fraction(slope) ** 2 / (12 * 64**2)

    def moments(b):
        delta = border_round(f.astype(float), b).astype(int) - f
        g = exact_slope * delta + c
        return sum(g) / 64, sum(g * g) / 64 + cell

    variance = Fraction(slope) ** 2 / 12
    assert moments(border) == (0, variance)
    assert moments(0.5) == (c, c**2 + variance)
    line = ErrorLine(number(slope), number(offset))
    mean, second = error_moments(number(border), line)
    assert mean == 0.0
    assert abs(Fraction(float(second)) - variance) <= 1e-15
    mean, second = error_moments(number(0.5), line)
    assert mean == offset
    gain = variance + exact_slope**2 * (Fraction(border) - Fraction(1, 2)) ** 2
    assert abs(Fraction(float(second)) - gain) <= 1e-15


@given(
    eighths=st.integers(0, 8),
    slope=EIGHTHS.filter(lambda v: v != 0),
    offset=EIGHTHS,
    dtype=st.sampled_from(DTYPES),
)
def test_moments_equal_the_integrals(eighths, slope, offset, dtype):
    """Any border, not only the best: against the antiderivatives in exact rationals."""
    border = eighths / 8
    line = ErrorLine(number(slope, dtype), number(offset, dtype))
    mean, second = error_moments(number(border, dtype), line)
    exact = twin.moments(Fraction(border), Fraction(slope), Fraction(offset))
    assert Fraction(float(mean)) == exact[0]
    size = (abs(slope) + abs(offset)) ** 2
    assert abs(Fraction(float(second)) - exact[1]) <= 4 * np.finfo(dtype).eps * size
    assert mean.dtype == second.dtype == dtype


@given(eighths=st.integers(0, 8), exponent=st.integers(-3, 3))
def test_rounding_error_at_a_constant_border(eighths, exponent):
    """P73: mean s (1/2 - B), second moment s^2 (B^3 + (1-B)^3) / 3: slope s, offset 0."""
    border, s = Fraction(eighths, 8), 2.0**exponent
    line = ErrorLine(number(s), number(0.0))
    mean, second = error_moments(number(float(border)), line)
    assert mean == s * (0.5 - float(border))
    exact = Fraction(s) ** 2 * (border**3 + (1 - border) ** 3) / 3
    assert abs(Fraction(float(second)) - exact) <= exact * Fraction(2) ** -52
    u = (np.arange(64) + 0.5) / 64
    errors = s * (border_round(u, float(border)) - u)
    assert errors.sum() / 64 == mean


@given(
    w=st.sampled_from([1.0, -2.0, 0.5]),
    dw=st.integers(-3, 3).map(lambda i: i / 16),
    e=st.integers(-2, 2).map(lambda i: i / 8),
    m=st.integers(-2, 2),
)
def test_bias_of_a_moving_error(w, dw, e, m):
    """P14: with x' = m + f the switch is f* and the bias -(dw/w)(C + dw/2); exact integrals."""
    exact = [Fraction(v) for v in (w, dw, e, m)]
    c = exact[1] * exact[3] + exact[0] * exact[2]
    slope = exact[0] + exact[1]
    if exact[0] * slope <= 0:
        return
    switch = (slope / 2 + c) / exact[0]
    arguments = [number(v) for v in (w, dw, e, float(m))]
    assert moving_border(*arguments) == float(switch)
    if not 0 <= switch <= 1:
        return
    for f in map(Fraction, FRACTIONS):
        down, up = (abs(twin.error(d, exact[0], exact[1], m + f, exact[2])) for d in (-f, 1 - f))
        assert (down <= up) == (f <= switch)
    mean = c - exact[0] / 2 + slope * (1 - switch)  # integral of C - w f, plus A above f*
    assert abs(Fraction(float(moving_bias(*arguments))) - mean) <= 2.0**-52
    assert (mean == 0) == (dw == 0 or c == -exact[1] / 2)


@given(data=st.data(), outputs=st.integers(1, 5))
def test_shared_border(data, outputs):
    """P15: B* minimises the sum of squares at every f, and is the A^2-weighted mean of the B_i."""
    slopes = data.draw(st.lists(EIGHTHS, min_size=outputs, max_size=outputs))
    offsets = data.draw(st.lists(EIGHTHS, min_size=outputs, max_size=outputs))
    a, c = [Fraction(v) for v in slopes], [Fraction(v) for v in offsets]
    exact = twin.shared_border(a, c)
    border = shared_border(np.array(slopes), np.array(offsets), clipped=False)
    assert abs(Fraction(float(border)) - exact) <= 2.0**-51 * (abs(exact) + 1)
    clipped = shared_border(np.array(slopes), np.array(offsets))
    assert clipped == min(max(float(border), 0.0), 1.0)
    if not any(slopes):
        assert border == 0.5
        return
    for f in map(Fraction, FRACTIONS):
        down, up = (
            sum((ai * d + ci) ** 2 for ai, ci in zip(a, c, strict=True)) for d in (-f, 1 - f)
        )
        assert (down <= up) == (f <= exact)


def test_shared_border_of_many_positions():
    """Sums run along axis 0 only; outputs whose slope is 0 drop out."""
    slopes = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    offsets = np.array([[0.5, 3.0, 0.25], [-0.25, 1.0, 9.0], [7.0, 1.0, 9.0]])
    # (1 * 0.5 - 2 * 0.25) / 5 = 0; no slope at all; 2 * 0.25 / 4 = 1/8
    np.testing.assert_array_equal(shared_border(slopes, offsets), [0.5, 0.5, 0.625])
    offsets[0, 0] = 1.75  # (1.75 - 0.5) / 5 = 1/4
    np.testing.assert_array_equal(shared_border(slopes, offsets), [0.75, 0.5, 0.625])


def test_tiny_slopes_and_bad_input():
    """c / A overflows: the clipped border is then an end, and nothing warns."""
    tiny = number(1e-300)
    almost = 1.0 - 2**-52  # w + dw = 2^-52 and -2^-52
    up = number(1.0), number(-almost), number(1e300), number(0.0)
    down = number(-1.0), number(almost), number(-1e300), number(0.0)
    assert border_eq7(*up) == 0.0
    assert border_eq7(*up, clipped=False) == -np.inf
    assert border_eq7(*down) == 1.0
    with pytest.raises(ValueError, match=r"border_eq7\(\): x_prime is nan"):
        border_eq7(tiny, tiny, number(np.nan), tiny)
    with pytest.raises(TypeError, match="d_w"):
        border_eq7(tiny, 0.5, tiny, tiny)
    with pytest.raises(ValueError, match="offsets is inf"):
        shared_border(np.ones(2), np.array([np.inf, 0.0]))
