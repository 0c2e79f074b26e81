"""What several files of the third set share, all of it right."""

import numpy as np

LN11 = 2.3978952727983707


def sigmoid(t):
    """Give 1 / (1 + exp(-t)) without overflow."""
    small = np.exp(-np.abs(t))
    return np.where(t >= 0, 1.0, small) / (1.0 + small)


def adam(x, g, m, v, t, lr, attrs):
    """Take one step of Adam."""
    beta1, beta2 = attrs["beta1"], attrs["beta2"]
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    return x - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + attrs["eps"]), m, v


def grid_ends(bits, grid):
    """Give the lowest and the highest code of a grid."""
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + (grid == "narrow"), 2 ** (bits - 1) - 1


def level_ends(zero_point, attrs):
    """Give the lowest and the highest level: the ends of the codes less the zero point."""
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    return low - zero_point, high - zero_point


def as_rows(x, axis):
    """Arrange the values as a row for each answer."""
    x = np.asarray(x, np.float64)
    if axis is None:
        return x.reshape(1, -1)
    x = np.moveaxis(x, axis, 0)
    return x.reshape(len(x), -1)


def spread(value, x, axis):
    """Shape parameters so that they broadcast along an axis of x."""
    value = np.asarray(value, np.float64)
    if axis is None:
        return value
    shape = [1] * x.ndim
    shape[axis] = -1
    return value.reshape(shape)


def sum_like(value, axis):
    """Sum over the elements that share a parameter."""
    if axis is None:
        return np.asarray(value.sum())
    return value.sum(axis=tuple(i for i in range(value.ndim) if i != axis))


def half_up(u):
    """Give floor(u + 1/2) in exact arithmetic."""
    low = np.floor(u)
    return low + (u - low >= 0.5)


def estimated_rsqrt(value):
    """Give 1 / sqrt with the twelve bits of the estimate instruction."""
    mantissa, exponent = np.frexp(1 / np.sqrt(value))
    return np.ldexp(np.rint(mantissa * 4096) / 4096, exponent)
