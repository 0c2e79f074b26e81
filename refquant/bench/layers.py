"""Layers to benchmark on: one convolution, its weights on a grid, images that are correlated."""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.layers.geometry import Geometry
from refquant.layers.im2col import im2col
from refquant.quantizers.adaround import init_alpha
from refquant.quantizers.grid import Grid, QParams, make_qparams

SAME3 = Geometry((3, 3), padding=(1, 1, 1, 1))
RANK = 8  # of the images' channels: what makes adaptive rounding worth while


class Size(NamedTuple):
    """Channels in and out, side of the map, images."""

    channels: int
    side: int
    images: int


def images(seed: int, size: Size) -> Array:
    """Return (n, c, side, side) float32 images behind a ReLU, smooth and of low rank.

    `size` decides the mixture of channels, `seed` the images: two seeds give a calibration and a
    held-out set.
    """
    n, c, side, _ = size.images, size.channels, size.side, seed
    hidden = nx.counter.normal((seed, "hidden"), (n, RANK, side * side))
    smooth = hidden.reshape(n, RANK, side, side)
    for axis in (2, 3):
        smooth = (smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 3.0
    mix = nx.counter.normal((0, "mix"), (c, RANK))
    mixed = nx.matmul(mix, smooth.reshape(n, RANK, -1))
    noise = 0.1 * nx.counter.normal((seed, "noise"), mixed.shape)
    positive = np.maximum(mixed + noise + 0.1, 0.0).reshape(n, c, side, side)
    return np.asarray(positive, dtype=np.float32)


def weights(size: Size) -> Array:
    """Return (c, c, 3, 3) float32 weights."""
    c = size.channels
    drawn = nx.counter.normal((1, "weights"), (c, c, 3, 3))
    return np.asarray(drawn / (3.0 * np.sqrt(c)), dtype=np.float32)


def grid_of(w: Array, bits: int) -> QParams:
    """Return a signed grid with one step per channel that clips a little."""
    grid = Grid("signed", bits)
    share = 0.55 if bits == 2 else 0.8
    top = np.abs(w).reshape(len(w), -1).max(axis=1).reshape(-1, 1, 1, 1)
    step = top * np.float32(share / max(grid.code_max, 1))
    return make_qparams(step, np.zeros(step.shape, dtype=np.int64), grid)


def start_of(w: Array, qparams: QParams) -> Array:
    """Return AdaRound's start."""
    return init_alpha(w, qparams)


def columns(x: Array) -> Array:
    """Return the patches of some images as one matrix (c * 9, n * side * side)."""
    cols = im2col(x, SAME3)
    return cols.swapaxes(0, 1).reshape(cols.shape[1], -1)
