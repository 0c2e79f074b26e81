"""What several files of the second set share, all of it right."""

import numpy as np


def sigmoid(p):
    """Logistic function without overflow."""
    e = np.exp(-np.abs(p))
    return np.where(p >= 0, 1 / (1 + e), e / (1 + e))


def grid_ends(bits, grid):
    """Give the smallest and the largest code of a grid."""
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    half = 2 ** (bits - 1)
    return (-half if grid == "signed" else 1 - half), half - 1


def to_int32(v):
    """Cast as x86 does: NaN and what does not fit become -2**31."""
    fits = (v > -(2.0**31) - 1) & (v < 2.0**31)
    return np.where(fits, np.trunc(np.where(fits, v, 0.0)), -(2.0**31))


def along(v, axis, shape):
    """Shape parameters so that they broadcast along an axis of x."""
    v = np.asarray(v, np.float64)
    if axis is None:
        return v
    sizes = [1] * len(shape)
    sizes[axis] = -1
    return v.reshape(sizes)


def total(v, axis):
    """Add up what shares a parameter."""
    if axis is None:
        return np.asarray(v.sum())
    return np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1).sum(axis=1)


def reduce_to(v, shape):
    """Sum over the positions, or everything, that share a parameter."""
    if len(shape) == 0:
        return np.asarray(np.sum(v))
    return np.sum(v, axis=1) if len(shape) == 1 else v


def bound(p, attrs):
    """Borders in [0, 1] of unbounded ones."""
    if attrs["bound"] == "clip":
        return np.clip(0.5 + p, 0.0, 1.0)
    if attrs["scale"] == "inner":
        return sigmoid(attrs["kappa"] * p)
    return np.clip(0.5 + attrs["kappa"] * (sigmoid(p) - 0.5), 0.0, 1.0)


def slope(p, attrs):
    """Derivative of the bound, with the mask of its clip."""
    if attrs["bound"] == "clip":
        real, d = 0.5 + p, np.ones_like(p)
    elif attrs["scale"] == "inner":
        p = attrs["kappa"] * p
        return attrs["kappa"] * sigmoid(p) * sigmoid(-p)
    else:
        real = 0.5 + attrs["kappa"] * (sigmoid(p) - 0.5)
        d = attrs["kappa"] * sigmoid(p) * sigmoid(-p)
    if attrs["border_mask"] == "closed":
        d = np.where((real >= 0) & (real <= 1), d, 0.0)
    return d
