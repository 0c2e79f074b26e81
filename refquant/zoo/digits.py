"""The digits: 1,797 images of 8x8 pixels, cut once into 1,024 for training and 773 for testing.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998; the part that scikit-learn distributes as ``load_digits`` (see
``embedded/DIGITS.md``). A pixel counts the black points of a 4x4 cell, 0..16; x = count / 16 is
exact in float32.

The cut is stratified. Class k with m_k of the 1,797 images gives 1024 * m_k / 1797 of them to the
training part, rounded down; the places that are left over go to the classes with the largest
remainders (smaller class first where equal). Which images, a permutation from the counter
generator says: integers only, so the cut is the same in every arithmetic.

The test part is for reporting. Nothing that is chosen (settings of the training, calibration) may
look at it: settings are chosen with `validation_cut`, on the training part alone.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.zoo.files import read_array

FILE = "digits.npy"
TRAIN = 1024
VALIDATION = 256
SPLIT_SEED = 1797
LEVELS = 16.0


class Split(NamedTuple):
    """Images (n, 1, 8, 8) float32 in [0, 1], and labels (n,) int64 or None where not given."""

    x: Array
    y: Array | None


class Data(NamedTuple):
    """The parts of a data set; `calib` is the images of `train` without their labels."""

    train: Split
    calib: Split
    test: Split


def digits() -> Data:
    """Return the digits; the arrays are read-only."""
    table = read_array(FILE)
    x = (table[:, :64].astype(np.float32) / np.float32(LEVELS)).reshape(-1, 1, 8, 8)
    y = table[:, 64].astype(np.int64)
    train, test = stratified(y, TRAIN, SPLIT_SEED)
    parts = [_split(x[rows], y[rows]) for rows in (train, test)]
    return Data(train=parts[0], calib=Split(parts[0].x, None), test=parts[1])


def validation_cut(y: Array) -> tuple[Array, Array]:
    """Return rows of the training part to fit and rows to choose settings by (256 of them)."""
    return stratified(y, len(y) - VALIDATION, SPLIT_SEED + 1)


def stratified(y: Array, size: int, seed: int) -> tuple[Array, Array]:
    """Return sorted rows of a part of `size` with the proportions of `y`, and the other rows.

    Parameters
    ----------
    y : int array (n,)
        Class of each row, 0..k-1.
    size : int
        Rows in the first part.
    seed : int
        Key of the permutation within each class.
    """
    taken = []
    for label, share in enumerate(apportion(np.bincount(y).tolist(), size)):
        rows = np.flatnonzero(y == label)
        order = nx.counter.permutation((seed, "zoo.split", label), len(rows))
        taken.append(rows[order[:share]])
    first = np.sort(np.concatenate(taken))
    return first, np.setdiff1d(np.arange(len(y)), first)


def apportion(counts: list[int], size: int) -> list[int]:
    """Return shares of `counts` that sum to `size`: floors first, then largest remainders."""
    total = sum(counts)
    shares = [size * count // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda k: (-(size * counts[k] % total), k))
    for label in by_remainder[: size - sum(shares)]:
        shares[label] += 1
    return shares


def _split(x: Array, y: Array) -> Split:
    for array in (x, y):
        array.flags.writeable = False
    return Split(x, y)
