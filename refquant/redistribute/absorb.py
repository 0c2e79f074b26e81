"""Write a change of an activation, x~ = (x - z) / sc, into the layers on both sides of it.

Reference: methods, section 16 (SmoothQuant, Outlier Suppression+, RepQ-ViT).

    paper     here        shape                  meaning
    sc        scale       (channels,)            what channel j is divided by, > 0
    z         shift       (channels,)            what is subtracted from it first
    W, b      w, bias     (c_out, ...) (c_out,)  of the layer that writes x, or that reads it

    writer    w~ = w / sc  by rows,     b~ = (b - z) / sc         (gamma, beta of a batch norm too)
    reader    W~ = W * sc  by columns,  b~ = b + W z

The weights take one rounding an entry, so nothing changes at all where sc is a power of two and
z = 0 (no overflow or underflow provided). W z is computed in float64 and rounded with b once.

Edge cases: a shift may be written only into a reader that does not pad, since padding is 0 and
not (0 - z) / sc; the caller looks after that (`junctions`).
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import (
    check_array,
    check_dtype,
    check_finite,
    check_operand,
    check_positive,
)
from refquant._types import Array
from refquant.redistribute.channels import by_channel


def absorb_in_writer(w: Array, bias: Array | None, scale: Array, shift: Array) -> tuple[Array, ...]:
    """The layer that writes (x - z) / sc where it wrote x; the arguments' table is above.

    Parameters
    ----------
    w : (c, ...) array, float32 or float64
        Weight, rows are output channels; or gamma.
    bias : (c,) array or None
        Or beta. None is a bias of 0.
    scale, shift : (c,) arrays of the same dtype

    Returns
    -------
    w~, b~ : arrays
        Only w~ where there was no bias and the shift is 0 everywhere.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a scale is not a positive normal number.
    """
    check_array("absorb_in_writer", "w", w)
    _check("absorb_in_writer", w, scale, shift)
    check_operand("absorb_in_writer", "scale", scale, w.shape[:1], w.dtype)
    scaled = w / scale.reshape(-1, *[1] * (w.ndim - 1))
    if bias is None and not shift.any():
        return (scaled,)
    old = np.zeros_like(scale) if bias is None else bias
    check_operand("absorb_in_writer", "bias", old, scale.shape, w.dtype)
    return scaled, (old - shift) / scale


def absorb_in_reader(
    w: Array, bias: Array | None, scale: Array, shift: Array, groups: int = 1
) -> tuple[Array, ...]:
    """The layer that reads (x - z) / sc where it read x; the arguments' table is above.

    Parameters
    ----------
    w : (c_out, c_in/groups, ...) array, float32 or float64
    bias : (c_out,) array or None
    scale, shift : (channels,) arrays of the same dtype
        One entry per channel; c_in is a multiple of channels.
    groups : int

    Returns
    -------
    W~, b~ : arrays
        Only W~ where the shift is 0 everywhere: the bias does not change then.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a scale is not a positive normal number.
    """
    check_array("absorb_in_reader", "scale", scale, ndim=1)
    grouped = by_channel("absorb_in_reader", w, scale.size, groups)
    _check("absorb_in_reader", w, scale, shift)
    per_column = (groups, 1, scale.size // groups, 1)
    scaled = (grouped * scale.reshape(per_column)).reshape(w.shape)
    if not shift.any():
        return (scaled,)
    wide = grouped.astype(np.float64) * shift.astype(np.float64).reshape(per_column)
    moved = nx.sum(wide, axis=(2, 3)).reshape(-1)
    if bias is not None:
        check_operand("absorb_in_reader", "bias", bias, w.shape[:1], w.dtype)
        moved = bias.astype(np.float64) + moved
    return scaled, np.asarray(moved.astype(w.dtype))


def _check(function: str, w: Array, scale: Array, shift: Array) -> None:
    check_array(function, "scale", scale, ndim=1)
    check_dtype(function, "scale", scale, w.dtype)
    check_positive(function, "scale", scale)
    check_operand(function, "shift", shift, scale.shape, w.dtype)
    check_finite(function, "shift", shift)
