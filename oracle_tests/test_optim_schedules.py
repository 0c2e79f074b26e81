"""Schedules: exact corners, values by hand, the twins, refusals."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.optim.schedules import (
    BetaSchedule,
    beta_schedule,
    cosine_lr,
    rounding_schedule,
)
from refquant.oracle.exact import schedules as twin

MODES = ["fast", "pinned"]
TOTALS = [1, 2, 3, 5, 7, 10, 97, 2000]
SHARES = [0.0, 0.1, 0.2, 0.25, 1.0 / 3.0, 0.5, 0.9]
CURVES = ["linear", "cosine"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("warm_up", SHARES)
@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("curve", CURVES)
def test_beta_at_the_corners(mode, curve, total, warm_up):
    """P24: b0 and off through the warm-up, exactly b1 at t = T, never rising in between."""
    schedule = BetaSchedule(curve=curve, warm_up=warm_up)
    with nx.arithmetic(mode):
        path = [beta_schedule(t, total, schedule) for t in range(1, total + 1)]
    for t, (beta, on) in enumerate(path, start=1):
        assert on == (t >= warm_up * total)
        assert on or beta == 20.0
    assert path[-1] == (2.0, True)
    assert all(before >= after for (before, _), (after, _) in itertools.pairwise(path))


@pytest.mark.parametrize("total", [5, 10, 1000, 20000])
def test_beta_at_the_end_of_the_warm_up_and_in_the_middle(total):
    """P24: at t = T/5, on and still b0; halfway from there both curves are (b0 + b1) / 2.

    fl(0.2 T) is T/5 for these T, so the comparison t < 0.2 T decides as in exact arithmetic.
    """
    for curve in CURVES:
        schedule = BetaSchedule(curve=curve)
        assert beta_schedule(total // 5, total, schedule) == (20.0, True)
        assert total == 5 or beta_schedule(3 * total // 5, total, schedule) == (11.0, True)


@given(total=st.sampled_from([4, 8, 64, 1024]), data=st.data())
def test_linear_beta_equals_the_twin_exactly(total, data):
    """Half of a power of two is warm-up, so that progress, and with it beta, is dyadic."""
    t = data.draw(st.integers(1, total), label="t")
    actual = beta_schedule(t, total, BetaSchedule(warm_up=0.5))
    ends = Fraction(20), Fraction(2)
    assert actual == twin.beta_schedule(t, total, "linear", ends, Fraction(1, 2))


@given(
    curve=st.sampled_from(CURVES),
    total=st.sampled_from(TOTALS),
    warm_up=st.sampled_from(SHARES),
    first=st.sampled_from([0, 1]),
    data=st.data(),
)
def test_beta_is_the_twin_up_to_a_few_roundings(curve, total, warm_up, first, data):
    t = data.draw(st.integers(first, total - 1 + first), label="t")
    schedule = BetaSchedule(curve=curve, start=16.0, warm_up=warm_up, first_step=first)
    beta, on = beta_schedule(t, total, schedule)
    expected, expected_on = twin.beta_schedule(t, total, curve, (16, 2), Fraction(warm_up))
    assert type(beta) is float
    # progress <= 1 has three roundings, at T / (T - w T) <= 10 times their size near its start
    np.testing.assert_allclose(beta, float(expected), rtol=0, atol=1e-12)
    if not math.isclose(t, warm_up * total, rel_tol=1e-15):  # there fl(w T) decides
        assert on == expected_on


def test_beta_by_hand():
    """T = 10, warm-up 2: progress 1/4 at t = 4; linear 20 - 18/4 = 15.5.

    Cosine: 2 + 9 (1 + cos(pi/4)) = 11 + 9/sqrt(2). AQuant starts at 16: 16 - 14/4 = 12.5.
    """
    assert beta_schedule(4, 10) == (15.5, True)
    cosine = beta_schedule(4, 10, BetaSchedule(curve="cosine", first_step=0))
    np.testing.assert_allclose(cosine.beta, 11.0 + 9.0 / math.sqrt(2.0), rtol=1e-15)
    assert beta_schedule(4, 10, BetaSchedule(start=16.0)).beta == 12.5
    assert beta_schedule(1, 10) == (20.0, False)
    assert beta_schedule(2, 10) == (20.0, True)


def test_counted_from_zero_the_last_step_is_short_of_the_end():
    """T = 10: t = 9 has progress 7/8, so beta = 2 + 18/8."""
    schedule = BetaSchedule(first_step=0)
    assert beta_schedule(9, 10, schedule) == (4.25, True)
    assert beta_schedule(0, 10, schedule) == (20.0, False)
    assert beta_schedule(0, 10, BetaSchedule(first_step=0, warm_up=0.0)) == (20.0, True)


def test_the_default_dialect_is_decision_d9():
    expected = BetaSchedule(curve="linear", start=20.0, end=2.0, warm_up=0.2, first_step=1)
    assert BetaSchedule() == expected
    assert hash(BetaSchedule()) == hash(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("total", [2, 4, 10, 2000])
def test_cosine_rate_at_its_corners(mode, total):
    """lr0 at t = 0, lr0 / 2 halfway, falling all the way and above 0 at the last step."""
    with nx.arithmetic(mode):
        path = [cosine_lr(t, total, 4e-5) for t in range(total)]
    assert all(before > after for before, after in itertools.pairwise(path))
    assert path[-1] > 0.0
    assert (path[0], path[total // 2]) == (4e-5, 2e-5)


def test_cosine_rate_by_hand():
    """cos(pi/3) = 1/2 and cos(2 pi/3) = -1/2: three quarters and one quarter of lr0 = 8."""
    rates = [cosine_lr(t, 3, 8.0) for t in range(3)]
    # the angle has two roundings at 2.1, the cosine one: below 4 eps, times lr0 / 2
    np.testing.assert_allclose(rates, [8.0, 6.0, 2.0], rtol=0, atol=4e-15)


@given(total=st.integers(1, 20000), data=st.data())
def test_cosine_rate_is_the_twin(total, data):
    t = data.draw(st.integers(0, total - 1), label="t")
    # two roundings of the angle and one of the cosine in each: together below 4.5 eps
    actual, expected = cosine_lr(t, total, 1.0), twin.cosine_lr(t, total, 1.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("hold", SHARES)
def test_rounding_weight_at_its_corners(total, hold):
    """Exactly 0 through the hold, exactly 1 at t = T and not before, never falling."""
    path = [rounding_schedule(t, total, hold) for t in range(1, total + 1)]
    for t, a in enumerate(path, start=1):
        assert (a == 0.0) == (t <= hold * total)
        assert (a == 1.0) == (t == total)
    assert all(before <= after for before, after in itertools.pairwise(path))


@given(total=st.sampled_from([4, 8, 64, 1024]), data=st.data())
def test_rounding_weight_equals_the_twin_exactly(total, data):
    t = data.draw(st.integers(1, total), label="t")
    assert rounding_schedule(t, total, 0.5) == twin.rounding_schedule(t, total, Fraction(1, 2))


@given(total=st.integers(1, 20000), hold=st.sampled_from(SHARES), data=st.data())
def test_rounding_weight_is_the_twin_up_to_a_few_roundings(total, hold, data):
    t = data.draw(st.integers(1, total), label="t")
    expected = twin.rounding_schedule(t, total, Fraction(hold))
    np.testing.assert_allclose(rounding_schedule(t, total, hold), float(expected), atol=1e-14)


def test_rounding_weight_by_hand():
    """T = 10, hold 2: 0, 0, 1/8, 2/8, ... 8/8."""
    assert [rounding_schedule(t, 10) for t in range(1, 11)] == [0, 0, *(i / 8 for i in range(1, 9))]


@pytest.mark.parametrize("step", [beta_schedule, rounding_schedule])
def test_schedules_counted_from_one_refuse_other_steps(step):
    for t in (0, 11, -1):
        with pytest.raises(ValueError, match=rf"{step.__name__}\(\): t is"):
            step(t, 10)
    with pytest.raises(ValueError, match="total"):
        step(1, 0)
    with pytest.raises(TypeError, match="integer"):
        step(1.5, 10)


def test_schedules_counted_from_zero_refuse_other_steps():
    for t in (-1, 10):
        with pytest.raises(ValueError, match=r"cosine_lr\(\): t is"):
            cosine_lr(t, 10, 0.1)
    with pytest.raises(ValueError, match="total"):
        cosine_lr(0, 0, 0.1)


def test_the_first_step_decides_which_numbers_are_refused():
    from_zero = BetaSchedule(first_step=0)
    with pytest.raises(ValueError, match="t is 10"):
        beta_schedule(10, 10, from_zero)
    with pytest.raises(ValueError, match="t is -1"):
        beta_schedule(-1, 10, from_zero)


def test_bad_dialects_are_refused():
    with pytest.raises(ValueError, match="Did you mean 'linear'"):
        BetaSchedule(curve="linaer")
    with pytest.raises(ValueError, match="first_step"):
        BetaSchedule(first_step=2)
    for share in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="warm_up"):
            BetaSchedule(warm_up=share)
        with pytest.raises(ValueError, match="hold"):
            rounding_schedule(1, 10, share)
    for name in ("start", "end"):
        with pytest.raises(ValueError, match=name):
            BetaSchedule(**{name: math.inf})
