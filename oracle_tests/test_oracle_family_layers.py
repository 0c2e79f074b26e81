"""Layers of the oracle: the list of operations, and goldens worked out by hand (methods 4)."""

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.exact.choices import either
from refquant.oracle.exact.tracked import Ledger, lift
from refquant.oracle.families.layers.ops import OPS

ROW = [[[[1.0, 2.0, 4.0]]]]
SQUARE = [[[[1.0, 2.0], [3.0, 4.0]]]]
FILTER = [[[[1.0, 10.0]]]]
NORM = {"gamma": [3.0], "mean": [1.0], "var": [3.75]}  # sd = sqrt(3.75 + 0.25) = 2
NAN, INF = np.nan, np.inf

# op, inputs, attributes, outputs
BY_HAND = [
    # Windows start at columns -1, 1; taps two apart: (pad, 2), (2, pad).
    ("im2col", {"x": ROW}, {"kernel": [1, 2], "stride": [1, 2], "padding": [0, 1, 0, 1],
     "dilation": [1, 2]}, {"patches": [[[0, 2], [2, 0]]]}),
    # A 2x2 kernel on a 2x2 map: one window, rows of the matrix in row-major order of the taps.
    ("im2col", {"x": SQUARE}, {"kernel": [2, 2]}, {"patches": [[[1], [2], [3], [4]]]}),
    # Two windows of two taps on three columns: the middle one is in both.
    ("col2im", {"patches": [[[1.0, 2.0], [10.0, 20.0]]]}, {"x_shape": [1, 1, 1, 3],
     "kernel": [1, 2]}, {"x": [[[[1, 12, 20]]]]}),
    # One column of padding left and right: what falls there is dropped.
    ("col2im", {"patches": [[[1.0, 2.0], [10.0, 20.0]]]}, {"x_shape": [1, 1, 1, 1],
     "kernel": [1, 2], "padding": [0, 1, 0, 1]}, {"x": [[[[12]]]]}),
    # 1 + 10 * 2, 2 + 10 * 4, plus 1/2: not flipped.
    ("conv2d", {"x": ROW, "w": FILTER, "bias": [0.5]}, {}, {"y": [[[[21.5, 42.5]]]]}),
    # Group 0 is channel 0 with filters 0 and 1; group 1 is channel 1 with filters 2 and 3.
    ("conv2d", {"x": [[[[1.0]], [[5.0]]]], "w": np.reshape([1.0, 2.0, 3.0, 4.0], (4, 1, 1, 1))},
     {"groups": 2}, {"y": np.reshape([1, 2, 15, 20], (1, 4, 1, 1))}),
    # d_x: 1 * 1, 1 * 10 + 2 * 1, 2 * 10; d_w: 1 * 1 + 2 * 2, 1 * 2 + 2 * 4; d_bias: 1 + 2.
    ("conv2d_backward", {"d_y": [[[[1.0, 2.0]]]], "x": ROW, "w": FILTER}, {},
     {"d_x": [[[[1, 12, 20]]]], "d_w": [[[[5, 10]]]], "d_bias": [3]}),
    # 1 + 2 * 2 + 3 = 8 for the first output, 4 + 5 * 2 + 6 for the second.
    ("linear", {"x": [[1.0, 2.0]], "w": [[1.0, 2.0], [4.0, 5.0]], "bias": [3.0, 6.0]}, {},
     {"y": [[8, 20]]}),
    # An infinity under a zero weight is NaN, and stays in its row.
    ("linear", {"x": [[INF, 1.0], [2.0, 3.0]], "w": [[0.0, 1.0]]}, {}, {"y": [[NAN], [3]]}),
    ("linear_backward", {"d_y": [[1.0, 2.0], [3.0, 4.0]], "x": [[5.0], [6.0]], "w": [[7.0], [8.0]]},
     {}, {"d_x": [[7 + 16], [21 + 32]], "d_w": [[5 + 18], [10 + 24]], "d_bias": [4, 6]}),
    # 3 (5 - 1) / 2 + 1/4
    ("bn_infer", {"x": [[5.0]], "beta": [0.25], **NORM}, {"eps": 0.25}, {"y": [[6.25]]}),
    # d_x = 4 * 3 / 2; d_gamma = 4 (5 - 1) / 2 + 2 (-3 - 1) / 2
    ("bn_infer_backward", {"d_y": [[4.0], [2.0]], "x": [[5.0], [-3.0]], **NORM}, {"eps": 0.25},
     {"d_x": [[6], [3]], "d_gamma": [4], "d_beta": [6]}),
    # w: 2 * 3 / 2; bias: 1/4 + 3 (9 - 1) / 2, and 1/4 - 3 / 2 without one
    ("bn_fold", {"w": [[2.0]], "bias": [9.0], "beta": [0.25], **NORM}, {"eps": 0.25},
     {"w_folded": [[3]], "bias_folded": [12.25]}),
    ("bn_fold", {"w": [[2.0]], "beta": [0.25], **NORM}, {"eps": 0.25},
     {"w_folded": [[3]], "bias_folded": [-1.25]}),
    ("relu", {"x": [-1.0, 0.0, 7.0, NAN, INF]}, {}, {"y": [0, 0, 7, NAN, INF]}),
    ("relu_backward", {"d_y": [1.0, 2.0, 3.0, INF], "x": [0.0, 7.0, NAN, -1.0]}, {},
     {"d_x": [0, 2, 0, 0]}),
    ("relu6", {"x": [-1.0, 5.5, 6.0, 7.0, NAN, INF]}, {}, {"y": [0, 5.5, 6, 6, NAN, 6]}),
    ("relu6_backward", {"d_y": [1.0, 2.0, 3.0, 4.0], "x": [0.0, 5.5, 6.0, 7.0]}, {},
     {"d_x": [0, 2, 0, 0]}),
    # Padding loses against -1.
    ("max_pool", {"x": [[[[-1.0, -2.0]]]]}, {"kernel": [1, 2], "padding": [0, 1, 0, 0]},
     {"y": [[[[-1, -1]]]]}),
    # (0, 2) and (2, 0): the first of two equal ones gets 10; then it is alone in its window.
    ("max_pool_backward", {"d_y": [[[[1.0, 10.0]]]], "x": [[[[2.0, 2.0, 2.0]]]]},
     {"kernel": [1, 2]}, {"d_x": [[[[1, 10, 0]]]]}),
    # Windows (pad, 1), (1, 2), (2, 4), (4, pad).
    ("average_pool", {"x": ROW}, {"kernel": [1, 2], "padding": [0, 1, 0, 1]},
     {"y": [[[[1, 1.5, 3, 4]]]]}),
    ("average_pool", {"x": ROW},
     {"kernel": [1, 2], "padding": [0, 1, 0, 1], "count_include_pad": True},
     {"y": [[[[0.5, 1.5, 3, 2]]]]}),
    # The first window has one tap on the map, the second two: 8 + 6/2, 6/2.
    ("average_pool_backward", {"d_y": [[[[8.0, 6.0]]]], "x": [[[[1.0, 2.0]]]]},
     {"kernel": [1, 2], "padding": [0, 1, 0, 0]}, {"d_x": [[[[11, 3]]]]}),
    ("global_average_pool", {"x": SQUARE}, {}, {"y": [[[[2.5]]]]}),
    ("global_average_pool_backward", {"d_y": [[[[2.0]]]], "x": SQUARE}, {},
     {"d_x": [[[[0.5, 0.5], [0.5, 0.5]]]]}),
]  # fmt: skip


def test_the_operations_are_those_of_the_specification():
    """Section 21, numbers 17 to 24."""
    both = ("conv2d", "linear", "bn_infer", "relu", "relu6", "max_pool", "average_pool")
    both += ("global_average_pool",)
    names = {"im2col", "col2im", "bn_fold", *both, *(f"{name}_backward" for name in both)}
    assert {op.name for op in OPS} == names
    assert {name for name, *_ in BY_HAND} == names


@pytest.mark.parametrize(
    ("name", "inputs", "attrs", "outputs"),
    BY_HAND,
    ids=[f"{i}-{h[0]}" for i, h in enumerate(BY_HAND)],
)
def test_goldens_worked_out_by_hand(name, inputs, attrs, outputs):
    """The exact twin gives the number of the comment, and says that nothing is rounded."""
    op = next(op for op in OPS if op.name == name)
    built = build(op, Case(name, "T8", "by hand", inputs, attrs))
    assert set(built.outputs) == set(outputs)
    for output, expected in outputs.items():
        np.testing.assert_array_equal(built.outputs[output].value, expected)
        assert built.outputs[output].error is None


def test_two_arrangements_of_a_mean_are_both_allowed_for():
    """(1 + 2) / 3 rounds a division; 1/3 + 2/3 rounds two, and a sum: 2 u, 2/3 + 4/3 + 1 u."""
    one, two = (lift(v, Ledger(24)) for v in (1.0, 2.0))
    mean = either((one + two) / 3, one / 3 + two / 3)
    assert (mean.value, (one + two).error / 3) == (1, 0)
    assert mean.error == 3
    assert either(2.5, 7.0) == 2.5
