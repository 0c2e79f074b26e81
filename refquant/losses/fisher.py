"""Fisher-weighted losses: an output error counts by how much the network's loss feels it.

Li et al., "BRECQ", ICLR 2021, arXiv:2102.05426, eq. 10, in the form of its released code;
methods.md 5.2.

    paper    here     shape        meaning
    z, t     z, t     (n, c, ...)  quantized output of a unit, and the float one
    d        d        like z       z - t
    g        g        like z       weights, |dL_KL/dz| + offset, of `fisher_weights`
    S_n      dots     (n, 1, ...)  sum over all axes but the first of |d| g
    Gz       d_z      like z       dL/dz

    diag   L = mean over all axes but the channels of ( sum over the channels of d^2 g^2 )
    full   L = mean over all elements of ( S_n |d| g ) / divisor

L_KL is the batch mean of KL(softmax(float logits) || softmax(logits with everything up to and
including this unit quantized)).
Kink: `full` at d = 0 takes sign(0) = 0; `diag` is smooth.
Edge cases: NaN and infinities follow IEEE 754; empty arrays are refused; g is used as it stands,
zero or negative weights included.
Differs from: the paper, whose weights are the squared gradients alone: offset 0, and no divisor.
The 1 added to |dL/dz| and the divisor 100 are the code's, and the defaults here. The code's `full`
needs four axes, this one any number >= 1.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_operand
from refquant._types import Array
from refquant.losses.reconstruction import mean_places

OFFSET, DIVISOR = 1.0, 100.0  # BRECQ, layer_recon.py, class LossFunction


def fisher_weights(d_z: Array, offset: float = OFFSET) -> Array:
    """Return |d_z| + offset, the weights of both losses (methods.md 5.2).

    Parameters
    ----------
    d_z : float32 or float64 array
        Gradient of L_KL in the unit's output.
    offset : float
        1 in BRECQ's released code, 0 in its paper.

    Returns
    -------
    array
        Shape and dtype of `d_z`, every entry at least `offset`.
    """
    return np.abs(check_array("fisher_weights", "d_z", d_z)) + offset


def fisher_diag_loss(z: Array, t: Array, g: Array, channel_axis: int = 1) -> tuple[float, Array]:
    """Return the diagonal Fisher loss and its gradient 2 d g^2 / (numel / c).

    Parameters
    ----------
    z : float32 or float64 array
        The output; not empty.
    t, g : arrays
        Target and weights, shape and dtype of `z`. With g = 1 this is the reconstruction loss
        with p = 2 (P87).
    channel_axis : int
        The axis that is summed instead of averaged: 1 for maps and rows, -1 for tokens.

    Returns
    -------
    L : float
        The loss; its sum is rounded in the dtype of `z`, the division is in float64.
    d_z : array
        dL/dz, shape and dtype of `z`.

    Raises
    ------
    ValueError
        Unequal shapes, an empty array, an axis that `z` lacks.
    TypeError
        Arrays that are not float32 or float64, or unequal dtypes.
    """
    places = mean_places("fisher_diag_loss", z, t, channel_axis)
    check_operand("fisher_diag_loss", "g", g, z.shape, z.dtype)
    d = z - t
    weight = g * g
    return float(nx.sum(d * d * weight)) / places, 2.0 * d * weight / places


def fisher_full_loss(z: Array, t: Array, g: Array, divisor: float = DIVISOR) -> tuple[float, Array]:
    """Return the full Fisher loss and its gradient sign(d) 2 S_n g / (divisor numel).

    Parameters
    ----------
    z : float32 or float64 array
        The output, samples on axis 0; not empty.
    t, g : arrays
        Target and weights, shape and dtype of `z`.
    divisor : float
        100 in BRECQ's released code; 1 leaves the mean as it is.

    Returns
    -------
    L : float
        The loss; its sums are rounded in the dtype of `z`, the division is in float64.
    d_z : array
        dL/dz, shape and dtype of `z`.

    Raises
    ------
    ValueError
        Unequal shapes, an empty array, an array without axes.
    TypeError
        Arrays that are not float32 or float64, or unequal dtypes.
    """
    mean_places("fisher_full_loss", z, t, 0)
    check_operand("fisher_full_loss", "g", g, z.shape, z.dtype)
    d = z - t
    felt = (np.abs(d) * g).reshape(z.shape[0], -1)
    dots = nx.sum(felt, axis=1, keepdims=True)
    shared = divisor * z.size
    d_felt = 2.0 * dots.reshape(-1, *(1,) * (z.ndim - 1))  # one number a sample
    return float(nx.sum(dots * felt)) / shared, np.sign(d) * d_felt * g / shared
