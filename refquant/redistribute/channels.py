"""Ranges per channel: largest magnitudes of rows and columns of weights, ends of activations.

Reference: methods, section 16, where max|X_j|, max_i |W_ij| and max|W1_i:| are taken.

    paper         here          shape                   meaning
    max|W1_i:|    row_max       (c_out,)                one output channel of a layer
    max|W2_:i|    column_max    (channels,)             one input channel of a layer
    max|X_j|      edge_range    two of (channels,)      one channel of activations: max(-low, high)
    --            groups        int                     of a grouped or depthwise convolution
    --            channels      int                     channels whose scale is looked for

A weight (c_out, c_in/g, ...) is read as (g, c_out/g, channels/g, rest). A fully connected layer
behind a flattening has channels < c_in: the features of one channel lie side by side, so `rest`
holds them just as it holds the positions of a kernel.
"""

import numpy as np

from refquant._checks import check_array, check_int, complaint
from refquant._types import Array


def row_max(w: Array) -> Array:
    """Largest magnitude of each output channel.

    Parameters
    ----------
    w : (c_out, ...) array, float32 or float64, not empty

    Returns
    -------
    (c_out,) array of the same dtype
    """
    check_array("row_max", "w", w)
    if w.ndim == 0 or w.size == 0:
        raise ValueError(complaint("row_max", "w", f"of shape {w.shape}", "a row per channel"))
    return np.asarray(np.abs(w).reshape(len(w), -1).max(axis=1))


def column_max(w: Array, channels: int, groups: int = 1) -> Array:
    """Largest magnitude of each input channel.

    Parameters
    ----------
    w : (c_out, c_in/groups, ...) array, float32 or float64, not empty
    channels : int
        c_in, or a divisor of it where each channel has several neighbouring features.
    groups : int
        Divides c_out and channels.

    Returns
    -------
    (channels,) array of the same dtype
    """
    grouped = by_channel("column_max", w, channels, groups)
    return np.asarray(np.abs(grouped).max(axis=(1, 3)).reshape(channels))


def edge_range(x: Array, channels: int) -> tuple[Array, Array]:
    """Smallest and largest value of each channel of an activation.

    Parameters
    ----------
    x : (n, features, ...) array, float32 or float64, not empty
    channels : int
        Divides features; the features of one channel are neighbours.

    Returns
    -------
    low, high : (channels,) arrays of the same dtype
    """
    check_array("edge_range", "x", x)
    check_int("edge_range", "channels", channels, 1)
    if x.ndim < 2 or x.size == 0 or x.shape[1] % channels:
        got = f"of shape {x.shape}"
        expected = f"(n, features, ...) with elements, features a multiple of {channels}"
        raise ValueError(complaint("edge_range", "x", got, expected))
    rows = x.reshape(len(x), channels, -1)
    return np.asarray(rows.min(axis=(0, 2))), np.asarray(rows.max(axis=(0, 2)))


def by_channel(function: str, w: Array, channels: int, groups: int) -> Array:
    """`w` as (groups, c_out/groups, channels/groups, rest); an error if it does not divide."""
    check_array(function, "w", w)
    check_int(function, "channels", channels, 1)
    check_int(function, "groups", groups, 1)
    fits = w.ndim >= 2 and w.size and not w.shape[0] % groups and not channels % groups
    if not fits or w.shape[1] * groups % channels:
        got = f"of shape {w.shape} in {groups} groups"
        expected = f"(c_out, c_in/groups, ...) whose c_in is a multiple of {channels} channels"
        raise ValueError(complaint(function, "w", got, expected))
    return w.reshape(groups, w.shape[0] // groups, channels // groups, -1)
