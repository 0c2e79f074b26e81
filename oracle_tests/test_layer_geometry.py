"""Window geometry: sizes by hand and by counting, and refusals that say what to do."""

from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest

from refquant.layers.geometry import Geometry
from refquant.oracle.exact import conv2d as direct
from refquant.oracle.exact import im2col as exact

BY_HAND = [
    # geometry, (h, w), expected
    (Geometry((3, 3)), (5, 7), (3, 5)),  # 5 - 2, 7 - 2
    (Geometry((3, 3), padding=(1, 1, 1, 1)), (5, 7), (5, 7)),  # SAME
    (Geometry((3, 3), stride=(2, 2)), (6, 7), (2, 3)),  # starts 0 2 | 0 2 4; row 5 unread
    (Geometry((2, 1), dilation=(3, 5)), (4, 4), (1, 4)),  # span 4 x 1
    (Geometry((1, 4), stride=(3, 1)), (7, 4), (3, 1)),  # starts 0 3 6
    (
        Geometry((10, 4), (2, 2), padding=(4, 1, 5, 1)),
        (49, 10),
        (25, 5),
    ),  # 48 / 2, 8 / 2
    (Geometry((2, 2), padding=(0, 3, 0, 0)), (2, 1), (1, 3)),  # columns -3..0 hold three pairs
]


@pytest.mark.parametrize("geometry, size, expected", BY_HAND)
def test_output_size_by_hand(geometry, size, expected):
    assert geometry.output_size(*size) == expected


def test_output_size_equals_counting_the_windows():
    """Exhaustive along one axis, with other values along the other one."""
    for size, k, t, d, before, after in product(
        range(1, 7), (1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 2), (0, 1)
    ):
        counted = exact.starts(size, before, after, k, t, d)
        geometry = Geometry((k, 2), (t, 2), (d, 3), (before, 1, after, 0))
        swapped = Geometry((2, k), (2, t), (3, d), (1, before, 0, after))
        columns = exact.starts(5, 1, 0, 2, 2, 3)
        if counted:
            assert geometry.output_size(size, 5) == (len(counted), len(columns))
            assert swapped.output_size(5, size) == (len(columns), len(counted))
            assert direct.output_size(size, 5, geometry) == (len(counted), len(columns))
        else:
            with pytest.raises(ValueError, match="empty"):
                geometry.output_size(size, 5)
            with pytest.raises(ValueError, match="empty"):
                swapped.output_size(5, size)


def test_taps_span_and_padded_size():
    geometry = Geometry((3, 2), dilation=(2, 4), padding=(1, 2, 3, 4))
    assert geometry.taps == 6
    assert geometry.span == (5, 5)  # 2 * 2 + 1, 4 * 1 + 1
    assert geometry.padded_size(10, 20) == (14, 26)


def test_defaults():
    geometry = Geometry((3, 3))
    assert (geometry.stride, geometry.dilation) == ((1, 1), (1, 1))
    assert (geometry.padding, geometry.groups) == ((0, 0, 0, 0), 1)


def test_lists_and_numpy_integers_become_plain_tuples():
    geometry = Geometry([np.int64(3), 3], padding=[0, 1, 0, np.int32(1)], groups=np.int64(2))
    assert geometry == Geometry((3, 3), padding=(0, 1, 0, 1), groups=2)
    assert hash(geometry) == hash(Geometry((3, 3), padding=(0, 1, 0, 1), groups=2))
    assert type(geometry.kernel) is tuple and type(geometry.kernel[0]) is int
    assert type(geometry.groups) is int


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        Geometry((3, 3)).groups = 2


@pytest.mark.parametrize(
    "fields, error, words",
    [
        ({"kernel": (0, 3)}, ValueError, r"kernel\[0\]"),
        ({"kernel": (3, -1)}, ValueError, r"kernel\[1\]"),
        ({"kernel": 3}, TypeError, r"\(3, 3\)"),
        ({"kernel": (3, 3, 3)}, TypeError, "2 integers"),
        ({"kernel": (3.0, 3)}, TypeError, "float"),
        ({"kernel": (True, 3)}, TypeError, "bool"),
        ({"kernel": (3, 3), "stride": (0, 1)}, ValueError, r"stride\[0\]"),
        ({"kernel": (3, 3), "dilation": (1, 0)}, ValueError, r"dilation\[1\]"),
        ({"kernel": (3, 3), "padding": (1, 1)}, TypeError, "top, left, bottom, right"),
        ({"kernel": (3, 3), "padding": (1, 1, 1, -1)}, ValueError, r"padding\[3\]"),
        ({"kernel": (3, 3), "groups": 0}, ValueError, "groups"),
        ({"kernel": (3, 3), "groups": 1.0}, TypeError, "groups"),
    ],
)
def test_bad_fields_are_refused_by_name(fields, error, words):
    with pytest.raises(error, match=words):
        Geometry(**fields)


def test_an_empty_output_is_refused_with_the_sizes():
    with pytest.raises(ValueError, match=r"\(2, 9\).*\(3, 9\).*span \(5, 1\)"):
        Geometry((3, 1), dilation=(2, 1), padding=(1, 0, 0, 0)).output_size(2, 9)
    with pytest.raises(ValueError, match="empty"):
        Geometry((1, 3)).output_size(9, 2)


def test_check_channels():
    geometry = Geometry((1, 1), groups=3)
    assert geometry.check_channels("f", "x", 6) == 6
    with pytest.raises(ValueError, match=r"f\(\): x is of 7 channels.*groups = 3"):
        geometry.check_channels("f", "x", 7)
