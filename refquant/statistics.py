"""Paired differences with intervals, by a bootstrap over images, trained copies and rounding seeds.

References: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979
(percentile interval); Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007 (why the
images are drawn once for all copies).

    what is drawn        shape      how
    images               (r, n)     n of n with replacement, the same ones for all copies and seeds
    copies               (r, c)     c of c with replacement, within one architecture
    seeds                (r, c, k)  k of k with replacement, anew for every copy that was drawn

A seed belongs to its copy: seed 0 of one network has nothing to do with seed 0 of another. Test
images are shared by all of them, so a hard image is hard everywhere; drawing them anew for every
copy would average that away and give an interval that is too narrow. Row 0 of every draw is the
sample itself, in order, so the estimate is the first of the resampled values.

With few copies the interval is still too narrow: c copies understate the standard error between
networks by a factor of sqrt((c - 1) / c), and one copy says nothing about it. A verdict from few
copies is a hint.

Edge cases: a noise of zero on both sides is a difference of 0 dB, on one side an infinite one.
Infinities of both signs in one mean give NaN, which decides nothing.
"""

from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_int, check_shape, complaint
from refquant._types import Array

VERDICTS = ("transfers", "does not transfer", "undecided")


class Draws(NamedTuple):
    """Which copies and seeds each resample holds.

    Attributes
    ----------
    copies : int64 array (r, c)
    seeds : int64 array (r, c, k)
    """

    copies: Array
    seeds: Array


class Interval(NamedTuple):
    """An estimate with the ends of its percentile interval."""

    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval says of "the candidate is better": see `verdict_of`."""
        return verdict_of(self.low, self.high)


def image_weights(key: tuple[int | str, ...], resamples: int, images: int) -> Array:
    """Return how often each resample holds each image, float64 (1 + resamples, images).

    Every row sums to `images`; row 0 is all ones.
    """
    check_int("image_weights", "resamples", resamples, 1)
    check_int("image_weights", "images", images, 1)
    drawn = nx.counter.integers((*key, "images"), images, (resamples, images))
    weights = np.zeros((1 + resamples, images))
    weights[0] = 1.0
    np.add.at(weights, (np.arange(1, 1 + resamples)[:, None], drawn), 1.0)
    return weights


def draw(key: tuple[int | str, ...], resamples: int, copies: int, seeds: int) -> Draws:
    """Return 1 + `resamples` draws of copies and, for each of them, of seeds; row 0 in order."""
    check_int("draw", "resamples", resamples, 1)
    check_int("draw", "copies", copies, 1)
    check_int("draw", "seeds", seeds, 1)
    of_copies = nx.counter.integers((*key, "copies"), copies, (resamples, copies))
    of_seeds = nx.counter.integers((*key, "seeds"), seeds, (resamples, copies, seeds))
    first = np.arange(copies)[None], np.broadcast_to(np.arange(seeds), (1, copies, seeds))
    return Draws(np.concatenate([first[0], of_copies]), np.concatenate([first[1], of_seeds]))


def weighted_sums(values: Array, weights: Array) -> Array:
    """Return the sum over the images of every resample.

    Parameters
    ----------
    values : float64 array (c, k, n)
        One number for every copy, seed and image.
    weights : float64 array (r, n)

    Returns
    -------
    float64 array (c, k, r)
    """
    check_array("weighted_sums", "values", values, 3)
    check_shape("weighted_sums", "weights", weights, (len(weights), values.shape[2]))
    c, k, n = values.shape
    return nx.matmul(values.reshape(c * k, n), weights.T).reshape(c, k, len(weights))


def decibels_gained(baseline: Array, candidate: Array) -> Array:
    """Return ``10 log10(baseline / candidate)`` of two noise energies, elementwise.

    On the same images the energy of the signal is the same and drops out: this is the SQNR of
    the candidate less that of the baseline.
    """
    check_shape("decibels_gained", "candidate", candidate, baseline.shape)
    both = (baseline > 0.0) & (candidate > 0.0)
    quotient = np.where(both, baseline, 1.0) / np.where(both, candidate, 1.0)
    gained: Array = 10.0 * nx.log(quotient) / nx.log(np.array(10.0))
    gained = np.where((baseline > 0.0) & (candidate == 0.0), np.inf, gained)
    return np.where((baseline == 0.0) & (candidate > 0.0), -np.inf, gained)


def resampled_means(values: Array, draws: Draws) -> Array:
    """Return the mean over drawn copies and seeds of every resample, (r,).

    Parameters
    ----------
    values : float64 array (c, k, r)
        Entry r was computed on the images of resample r.
    draws : Draws
    """
    check_array("resampled_means", "values", values, 3)
    c, k, r = values.shape
    check_shape("resampled_means", "draws.copies", draws.copies, (r, c))
    check_shape("resampled_means", "draws.seeds", draws.seeds, (r, c, k))
    picked = values[draws.copies[:, :, None], draws.seeds, np.arange(r)[:, None, None]]
    return nx.mean(picked.reshape(r, c * k), axis=1)


def percentile_interval(values: Array, level: float) -> Interval:
    """Return the estimate and the percentile interval of resampled values.

    With the resamples in order and m = ceil(R (1 - level) / 2), level read as the decimal it is
    printed as, the ends are the m-th smallest and the m-th largest: values that occurred, no
    interpolation.

    Parameters
    ----------
    values : float64 array (1 + R,)
        The estimate, then the R resamples.
    level : float
        In (0, 1).
    """
    check_array("percentile_interval", "values", values, 1)
    if not 0.0 < level < 1.0:
        raise ValueError(complaint("percentile_interval", "level", level, "a number in (0, 1)"))
    if len(values) < 2:
        got = f"of length {len(values)}"
        expected = "the estimate and at least one resample"
        raise ValueError(complaint("percentile_interval", "values", got, expected))
    ordered, count = np.sort(values[1:]), len(values) - 1
    tail = ceil(count * (1 - Fraction(str(level))) / 2)
    return Interval(float(values[0]), float(ordered[tail - 1]), float(ordered[count - tail]))


def verdict_of(low: float, high: float) -> str:
    """Return "transfers", "does not transfer" or "undecided".

    An interval of gains above 0 says that the candidate is better here too, one below 0 that it
    is worse; one that contains 0, or an end that is NaN, decides nothing.
    """
    if low > 0.0 and high > 0.0:
        return VERDICTS[0]
    return VERDICTS[1] if low < 0.0 and high < 0.0 else VERDICTS[2]
