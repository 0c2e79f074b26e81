"""Move images by fractions of a pixel: the only augmentation of the zoo's training.

Along one axis, an image moved by d pixels is

    x_moved[i] = (1 - f) * x[i + k] + f * x[i + k + 1],   k = floor(d), f = d - k

with zeros outside. d is a number of eighths, so on the digits (sixteenths) nothing is rounded.
"""

import numpy as np

from refquant import numerics as nx
from refquant._types import Array

PARTS = 8  # a pixel is moved in steps of 1 / PARTS


def shifted(x: Array, reach: int, key: tuple[int | str, ...]) -> Array:
    """Return images each moved by its own random amount along both axes.

    Parameters
    ----------
    x : float array (n, c, h, w)
    reach : int
        Largest distance along an axis, in eighths of a pixel; 0 leaves the images alone.
    key : tuple of int and str
        Of the counter generator.
    """
    by = nx.counter.integers(key, 2 * reach + 1, (len(x), 2)) - reach
    return _moved(_moved(x, by[:, 0], axis=2), by[:, 1], axis=3)


def _moved(x: Array, by: Array, axis: int) -> Array:
    whole, parts = np.divmod(by, PARTS)
    far = (parts / PARTS).reshape(-1, 1, 1, 1)
    moved: Array = _taken(x, whole, axis) * (1.0 - far) + _taken(x, whole + 1, axis) * far
    return moved


def _taken(x: Array, start: Array, axis: int) -> Array:
    """Return x[start + i] along `axis`, zero outside."""
    size = x.shape[axis]
    index = start[:, None] + np.arange(size)
    shape = [len(x), 1, 1, 1]
    shape[axis] = size
    inside = ((index >= 0) & (index < size)).reshape(shape)
    nearest = np.clip(index, 0, size - 1).reshape(shape)
    taken: Array = np.take_along_axis(x, nearest, axis) * inside
    return taken
