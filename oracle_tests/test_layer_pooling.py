"""max_pool, average_pool, global_average_pool: values, gradients, ties, padding, refusals."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oracle_tests.exact_lists import assert_rounded_once, dyadic, fractions_of
from oracle_tests.gradcheck import check_gradient
from refquant import numerics as nx
from refquant.layers.average_pool import average_pool_backward, average_pool_forward
from refquant.layers.geometry import Geometry
from refquant.layers.global_average_pool import (
    global_average_pool_backward,
    global_average_pool_forward,
)
from refquant.layers.max_pool import max_pool_backward, max_pool_forward
from refquant.oracle.exact import pooling as twin

DTYPES = [np.float64, np.float32]
MODES = ["fast", "pinned"]
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 6)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.tuples(*[st.integers(0, 2)] * 4)  # top, left, bottom, right: rarely symmetric


@st.composite
def cases(draw):
    """A map shape, a Geometry and the twin's Window, with at least one element in every window."""
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *draw(st.tuples(*[SIDES] * 2)))
    fields = {
        "kernel": draw(pairs, label="kernel"),
        "stride": draw(pairs, label="stride"),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2)), label="dilation"),
        "padding": draw(paddings, label="padding"),
    }
    window = twin.Window(**fields)
    h, w = shape[2:]
    rows, columns = window.output_size(h, w)
    assume(rows >= 1 and columns >= 1)
    outputs = [(p, q) for p in range(rows) for q in range(columns)]
    assume(all(any(True for _ in window.seen(p, q, h, w)) for p, q in outputs))
    return shape, (*shape[:2], rows, columns), Geometry(**fields), window


@pytest.mark.parametrize("dtype", DTYPES)
@given(case=cases(), seed=SEEDS)
def test_max_pool_equals_the_twin_exactly(dtype, case, seed):
    shape, y_shape, geometry, window = case
    rng = np.random.default_rng(seed)
    x = dyadic(rng, shape, dtype, reach=3, denominator=2)  # seven values: many windows have ties
    d_y = dyadic(rng, y_shape, dtype)
    y, cache = max_pool_forward(x, geometry)
    assert_rounded_once(y, twin.max_pool(fractions_of(x), window), dtype)
    expected = twin.max_pool_backward(fractions_of(d_y), fractions_of(x), window)
    assert_rounded_once(max_pool_backward(d_y, cache), expected, dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@given(case=cases(), seed=SEEDS)
def test_average_pool_equals_the_twin_exactly(mode, dtype, include, case, seed):
    shape, y_shape, geometry, window = case
    rng = np.random.default_rng(seed)
    x = dyadic(rng, shape, dtype)
    d_y = 2520 * dyadic(rng, y_shape, dtype)  # 2520 = lcm(1..9): every share is exact
    with nx.arithmetic(mode):
        y, cache = average_pool_forward(x, geometry, count_include_pad=include)
    assert_rounded_once(y, twin.average_pool(fractions_of(x), window, include), dtype)
    expected = twin.average_pool_backward(fractions_of(d_y), fractions_of(x), window, include)
    assert_rounded_once(average_pool_backward(d_y, cache), expected, dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, shape=st.tuples(st.integers(1, 3), st.integers(1, 3), SIDES, SIDES))
def test_global_average_pool_equals_the_twin_exactly(mode, dtype, seed, shape):
    rng = np.random.default_rng(seed)
    x, d_y = dyadic(rng, shape, dtype), dyadic(rng, (*shape[:2], 1, 1), dtype)
    with nx.arithmetic(mode):
        y, cache = global_average_pool_forward(x)
    assert_rounded_once(y, twin.global_average_pool(fractions_of(x)), dtype)
    expected = twin.global_average_pool_backward(fractions_of(d_y), fractions_of(x))
    assert_rounded_once(global_average_pool_backward(d_y, cache), expected, dtype)


NINE = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)  # 1 2 3 / 4 5 6 / 7 8 9


def test_max_pool_by_hand():
    """Of 1..9 in rows, the last element of every 2 x 2 window is the largest."""
    y, cache = max_pool_forward(NINE, Geometry((2, 2)))
    np.testing.assert_array_equal(y, [[[[5, 6], [8, 9]]]])
    d_x = max_pool_backward(np.array([[[[10.0, 20.0], [30.0, 40.0]]]]), cache)
    np.testing.assert_array_equal(d_x, [[[[0, 0, 0], [0, 10, 20], [0, 30, 40]]]])


def test_overlapping_windows_add_their_gradients_at_a_common_maximum():
    x = np.array([[[[0.0, 0, 0], [0, 7, 0], [0, 0, 0]]]])
    _, cache = max_pool_forward(x, Geometry((2, 2)))
    d_x = max_pool_backward(np.array([[[[1.0, 2.0], [4.0, 8.0]]]]), cache)
    np.testing.assert_array_equal(d_x, [[[[0, 0, 0], [0, 15, 0], [0, 0, 0]]]])


def test_the_first_of_equal_maxima_in_row_major_order_gets_the_gradient():
    """On a tie the window's order decides: rows first, then columns."""
    geometry = Geometry((2, 2), stride=(2, 2))
    x = np.array([[[[3.0, 3, 0, 5], [3, 3, 5, 5]]]])  # all equal; 5 first at row 0, column 3
    _, cache = max_pool_forward(x, geometry)
    d_x = max_pool_backward(np.array([[[[1.0, 2.0]]]]), cache)
    np.testing.assert_array_equal(d_x, [[[[1, 0, 0, 2], [0, 0, 0, 0]]]])


def test_zeros_of_both_signs_are_equal_and_the_first_one_is_returned():
    x = np.array([[[[-0.0, 0.0]]]])
    y, cache = max_pool_forward(x, Geometry((1, 2)))
    assert np.signbit(y[0, 0, 0, 0])
    np.testing.assert_array_equal(max_pool_backward(np.ones((1, 1, 1, 1)), cache), [[[[1, 0]]]])


def test_padding_never_wins_a_maximum():
    y, cache = max_pool_forward(-NINE, Geometry((3, 3), padding=(1, 1, 1, 1)))
    np.testing.assert_array_equal(y, [[[[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]]]])
    d_x = max_pool_backward(np.ones((1, 1, 3, 3)), cache)
    np.testing.assert_array_equal(d_x, [[[[4, 2, 0], [2, 1, 0], [0, 0, 0]]]])


def test_padding_does_not_win_over_minus_infinity_either():
    x = np.full((1, 1, 2, 2), -np.inf)
    y, cache = max_pool_forward(x, Geometry((2, 2), padding=(1, 1, 0, 0)))
    np.testing.assert_array_equal(y, x)
    d_x = max_pool_backward(np.array([[[[1.0, 2.0], [4.0, 8.0]]]]), cache)
    np.testing.assert_array_equal(d_x, [[[[15, 0], [0, 0]]]])  # all four windows see element 0


def test_average_pool_by_hand():
    y, cache = average_pool_forward(NINE, Geometry((2, 2)))
    np.testing.assert_array_equal(y, [[[[3, 4], [6, 7]]]])  # (1 + 2 + 4 + 5) / 4, ...
    d_x = average_pool_backward(np.array([[[[4.0, 8.0], [12.0, 16.0]]]]), cache)
    np.testing.assert_array_equal(d_x, [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]])


@pytest.mark.parametrize(
    ("include", "y_by_hand", "d_x_by_hand"),
    [
        (None, [1.5, 2.5, 3.0], [2.0, 4.0, 6.0]),  # the default: counts 2, 2, 1
        (False, [1.5, 2.5, 3.0], [2.0, 4.0, 6.0]),
        (True, [0.75, 1.25, 0.75], [1.0, 2.0, 2.0]),  # counts 4, 4, 4
    ],
)
def test_what_padding_counts_in_an_average(include, y_by_hand, d_x_by_hand):
    """One row 1 2 3, a row of padding above and a column of it at the right; windows 2 x 2."""
    x = np.array([[[[1.0, 2.0, 3.0]]]])
    geometry = Geometry((2, 2), padding=(1, 0, 0, 1))
    kwargs = {} if include is None else {"count_include_pad": include}
    y, cache = average_pool_forward(x, geometry, **kwargs)
    np.testing.assert_array_equal(y, [[[y_by_hand]]])
    # shares 4/2, 4/2, 4/1 or 4/4 each; column 1 and column 2 lie in two windows
    d_x = average_pool_backward(np.full((1, 1, 1, 3), 4.0), cache)
    np.testing.assert_array_equal(d_x, [[[d_x_by_hand]]])


def test_dilation_skips_and_stride_leaves_a_remainder():
    corners = Geometry((2, 2), dilation=(2, 2))
    assert max_pool_forward(NINE, corners)[0] == 9
    assert average_pool_forward(NINE, corners)[0] == 5  # (1 + 3 + 7 + 9) / 4
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    y, cache = max_pool_forward(x, Geometry((1, 2), stride=(1, 2)))
    np.testing.assert_array_equal(y, [[[[1, 3]]]])  # no ceil mode: the 4 is seen by no window
    d_x = max_pool_backward(np.ones((1, 1, 1, 2)), cache)
    np.testing.assert_array_equal(d_x, [[[[0, 1, 0, 1, 0]]]])


def test_infinities_are_ordinary_values():
    x = np.array([[[[np.inf, 1.0, -np.inf]]]])
    np.testing.assert_array_equal(max_pool_forward(x, Geometry((1, 2)))[0], [[[[np.inf, 1.0]]]])
    np.testing.assert_array_equal(
        average_pool_forward(x, Geometry((1, 2)))[0], [[[[np.inf, -np.inf]]]]
    )


@given(case=cases(), seed=SEEDS)
def test_max_backward_matches_central_differences_away_from_ties(case, seed):
    shape, y_shape, geometry, _ = case
    rng = np.random.default_rng(seed)
    x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.25  # all distinct
    _check(max_pool_forward, max_pool_backward, x, rng.standard_normal(y_shape), geometry)


@pytest.mark.parametrize("include", [False, True])
@given(case=cases(), seed=SEEDS)
def test_average_backward_matches_central_differences(include, case, seed):
    shape, y_shape, geometry, _ = case
    rng = np.random.default_rng(seed)
    x, d_y = rng.standard_normal(shape), rng.standard_normal(y_shape)
    _check(average_pool_forward, average_pool_backward, x, d_y, geometry, include)


@given(seed=SEEDS)
def test_global_average_backward_matches_central_differences(seed):
    rng = np.random.default_rng(seed)
    x, d_y = rng.standard_normal((2, 3, 2, 4)), rng.standard_normal((2, 3, 1, 1))
    _check(global_average_pool_forward, global_average_pool_backward, x, d_y)


def _check(forward, backward, x, d_y, *attributes):
    _, cache = forward(x, *attributes)

    def loss(at):
        return float((d_y * forward(at, *attributes)[0]).sum())

    check_gradient(loss, x, backward(d_y, cache), name=forward.__name__)


@given(case=cases(), seed=SEEDS)
def test_max_backward_loses_and_invents_nothing(case, seed):
    """Every window hands on its whole gradient: the sums are equal, exactly."""
    shape, y_shape, geometry, _ = case
    rng = np.random.default_rng(seed)
    x, d_y = dyadic(rng, shape, reach=2), dyadic(rng, y_shape)
    _, cache = max_pool_forward(x, geometry)
    assert max_pool_backward(d_y, cache).sum() == d_y.sum()


@given(seed=SEEDS, h=SIDES, w=SIDES)
def test_global_average_is_the_average_over_a_window_as_large_as_the_map(seed, h, w):
    x = np.random.default_rng(seed).standard_normal((2, 3, h, w))
    whole, _ = average_pool_forward(x, Geometry((h, w)))
    eps = np.finfo(np.float64).eps  # the two may add in another order: h * w roundings of the sum
    bound = h * w * eps * np.abs(x).sum(axis=(2, 3), keepdims=True)
    assert np.all(np.abs(global_average_pool_forward(x)[0] - whole) <= bound)


POOLS = {
    "max_pool": (max_pool_forward, max_pool_backward),
    "average_pool": (average_pool_forward, average_pool_backward),
}


@pytest.mark.parametrize("op", POOLS)
def test_bad_pooling_is_refused_by_name(op):
    forward, backward = POOLS[op]
    x, square = np.zeros((1, 1, 3, 3)), Geometry((2, 2))
    with pytest.raises(ValueError, match=rf"{op}_forward\(\): x is holding NaN"):
        forward(np.full((1, 1, 3, 3), np.nan), square)
    with pytest.raises(ValueError, match=rf"{op}_forward\(\): x is of shape \(3, 3\)"):
        forward(x[0, 0], square)
    with pytest.raises(TypeError, match=rf"{op}_forward\(\): x is int64"):
        forward(x.astype(np.int64), square)
    with pytest.raises(ValueError, match=rf"{op}_forward\(\): geometry.groups is 2"):
        forward(np.zeros((1, 2, 3, 3)), Geometry((2, 2), groups=2))
    for padding in ((2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)):
        with pytest.raises(ValueError, match=rf"{op}_forward\(\): geometry.padding is .*Pad less"):
            forward(x, Geometry((2, 2), padding=padding))
    _, cache = forward(x, square)
    with pytest.raises(ValueError, match=rf"{op}_backward\(\): d_y is of shape \(1, 1, 3, 3\)"):
        backward(x, cache)


def test_a_dilated_window_may_straddle_a_small_map_and_is_refused():
    """Taps at rows -1 and 1 of a map of one row: both are padding."""
    geometry = Geometry((2, 1), dilation=(2, 1), padding=(1, 0, 1, 0))
    for forward, _ in POOLS.values():
        with pytest.raises(ValueError, match="padding"):
            forward(np.ones((1, 1, 1, 1)), geometry)


def test_bad_global_pooling_is_refused():
    with pytest.raises(ValueError, match=r"global_average_pool_forward\(\): x is of shape"):
        global_average_pool_forward(np.zeros((1, 1, 0, 3)))
    with pytest.raises(ValueError, match="4 axes"):
        global_average_pool_forward(np.zeros((1, 1)))
    _, cache = global_average_pool_forward(np.zeros((2, 3, 4, 4)))
    with pytest.raises(ValueError, match=r"global_average_pool_backward\(\): d_y is of shape"):
        global_average_pool_backward(np.zeros((2, 3)), cache)


@pytest.mark.parametrize("op", POOLS)
def test_inputs_are_not_mutated(op):
    forward, backward = POOLS[op]
    x, d_y = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1))
    x.setflags(write=False)
    d_y.setflags(write=False)
    d_x = backward(d_y, forward(x, Geometry((2, 2)))[1])
    assert d_x.shape == x.shape
