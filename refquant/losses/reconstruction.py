"""Reconstruction loss: how far a quantized output is from the float one.

Li et al., "BRECQ", ICLR 2021, arXiv:2102.05426 (with p = 2, and p = 2.4 for the stage that
learns activation steps); methods.md 5.1.

    L = mean over all axes but the channels of ( sum over the channels of |z - t|^p )
    L = mean over all axes of |z - t|^p                               reduction="mean"

    paper    here     shape           meaning
    z        z        (n, c, h, w)    quantized output; (n, c) and tokens (n, tokens, c) too
    t        t        like z          float output, the target
    pp       p        number >= 1     exponent
    d        d        like z          z - t
    --       places   number          what the mean divides by: numel / c, or numel
    L        L        number          the loss
    Gz       d_z      like z          p |d|^(p-1) sign(d) / places

Kink: for p = 1 at d = 0 the gradient is 0 (sign(0) = 0); for p > 1 it is continuous.
Edge cases: NaN and infinities follow IEEE 754; an empty array is refused.
Differs from: AdaQuant, PPQ, PyTorch's experimental AdaRound and most training frameworks take the
mean over all elements, which is smaller by the factor c. The weight of a regulariser that is added
is relative to this choice (P52): multiply it by 1/c where the plain mean is used.
"""

from collections.abc import Callable

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_in, check_int, check_operand, complaint
from refquant._types import Array

REDUCTIONS = ("channels", "mean")


def reconstruction_loss(
    z: Array, t: Array, p: float = 2.0, channel_axis: int = 1, reduction: str = "channels"
) -> tuple[float, Array]:
    """Return the loss of methods.md 5.1 and its gradient in `z`.

    Parameters
    ----------
    z : float32 or float64 array
        The output; not empty.
    t : array
        The target, shape and dtype of `z`.
    p : float
        Exponent, at least 1. 1 and 2 (and no others) are computed without a power function.
    channel_axis : int
        The axis that is summed instead of averaged: 1 for maps and rows, -1 for tokens.
    reduction : {"channels", "mean"}
        "channels" sums over that axis (BRECQ, QDrop, AIMET, AMCT), "mean" averages over it too
        (AdaQuant, PPQ, PyTorch).

    Returns
    -------
    L : float
        The loss; its sum is rounded in the dtype of `z`, the division is in float64.
    d_z : array
        dL/dz, shape and dtype of `z`.

    Raises
    ------
    ValueError
        Unequal shapes, an empty array, p below 1 or not finite, an axis that `z` lacks, another
        reduction.
    TypeError
        Arrays that are not float32 or float64, or unequal dtypes.
    """
    check_in("reconstruction_loss", "reduction", reduction, REDUCTIONS)
    places = mean_places("reconstruction_loss", z, t, channel_axis)
    places = z.size if reduction == "mean" else places
    if not 1.0 <= p < float("inf"):
        raise ValueError(complaint("reconstruction_loss", "p", p, "a finite number from 1 on"))
    d = z - t
    distance = np.abs(d)
    slope = _power(distance, float(p) - 1.0)  # |d|^(p-1); p - 1 is exact in floats
    value = float(nx.sum(distance * slope)) / places
    # The division comes last: where the rest is exact the gradient is correctly rounded.
    return value, float(p) * slope * np.sign(d) / places


def loss_by_rows(
    difference: Callable[[slice], Array],
    like: Array,
    p: float = 2.0,
    reduction: str = "channels",
    most: int | None = None,
) -> float:
    """Return the loss of `reconstruction_loss`, a few rows at a time and without its gradient.

    Parameters
    ----------
    difference : callable
        ``difference(rows)`` is z - t for a slice of rows, or t - z.
    like : float32 or float64 array
        t, whose channels are on axis 1.
    p, reduction
        As for `reconstruction_loss`.
    most : int or None
        How many rows are asked for at once; None: as many as take little memory.
    """

    def powers(rows: slice) -> Array:
        """Return |d|^p."""
        distance = np.abs(difference(rows))
        return distance * _power(distance, float(p) - 1.0)

    total = nx.sum_by_rows(powers, like.shape, tuple(range(like.ndim)), most)
    places = like.size if reduction == "mean" else like.size // like.shape[1]
    return float(total.astype(like.dtype).item()) / places


def mean_places(function: str, z: Array, t: Array, channel_axis: int) -> int:
    """Return numel / channels of `z`, after the checks that all losses of a pair share.

    Parameters
    ----------
    function : str
        Name of the caller, for messages.
    z, t : arrays
        Output and target.
    channel_axis : int
        The axis that is summed.

    Returns
    -------
    int
        What the sum over everything is divided by.

    Raises
    ------
    ValueError, TypeError
        As `reconstruction_loss`.
    """
    check_array(function, "z", z)
    check_operand(function, "t", t, z.shape, z.dtype)
    if z.size == 0:
        raise ValueError(complaint(function, "z", f"of shape {z.shape}", "at least one element"))
    axis = check_int(function, "channel_axis", channel_axis, -z.ndim, z.ndim - 1)
    return z.size // int(z.shape[axis])


def _power(distance: Array, exponent: float) -> Array:
    """distance ** exponent, exact for the exponents 0 and 1."""
    if exponent == 0.0:
        return np.ones_like(distance)
    return distance if exponent == 1.0 else nx.power(distance, exponent)
