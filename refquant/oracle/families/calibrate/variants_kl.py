"""Wrong calibrators that compare histograms."""

from itertools import pairwise
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate import plain_kl as plain
from refquant.oracle.op import Variant


def closed_above(share: Array, bins: int) -> Array:
    """Bins (a, b], the first one closed."""
    return np.asarray(np.maximum(np.ceil(share * bins).astype(np.int64) - 1, 0))


def centred(share: Array, bins: int) -> Array:
    """The nearest of `bins` equally spaced points."""
    return np.asarray(np.rint(share * (bins - 1)).astype(np.int64))


def lost(share: Array, bins: int) -> Array:
    """The largest value falls out of the last bin."""
    inside = np.floor(share * bins) < bins
    return np.asarray(np.floor(share[inside] * bins).astype(np.int64))


def cut(counts: Array, i: int) -> Array:
    """The window without what lies outside."""
    return counts[i : counts.size - i]


def upper_mass_only(counts: Array, i: int) -> Array:
    """The window with what lies above it, without what lies below."""
    inner = cut(counts, i).copy()
    inner[-1] += counts[counts.size - i :].sum()
    return inner


def mass_kept(hist: Array) -> Array:
    """What empty bins get is taken from the others."""
    empty = hist == 0
    taken = plain.SMALL * empty.sum() / (~empty).sum()
    return np.where(empty, plain.SMALL, hist - taken).astype(hist.dtype)


def over_all(p: Array, bounds: Array, dtype: Any) -> Array:
    """Each group's mass shared by all its bins."""
    width = np.diff(bounds)
    sums = np.array([p[a:b].sum() for a, b in pairwise(bounds)])
    return np.repeat(sums / np.maximum(width, 1), width).astype(dtype)


def sums_kept(p: Array, bounds: Array, dtype: Any) -> Array:
    """Each non-empty bin gets the whole mass of its group."""
    sums = np.array([p[a:b].sum() for a, b in pairwise(bounds)])
    return np.where(p != 0, np.repeat(sums, np.diff(bounds)), 0).astype(dtype)


def whole_width(m: int, groups: int) -> Array:
    """Groups of m // groups bins, the rest in the last one."""
    return np.append(np.arange(groups) * (m // groups), m)


def last_of_equals(scores: list[Any]) -> int:
    """A later candidate that is as good replaces an earlier one."""
    return len(scores) - 1 - int(np.argmin(scores[::-1]))


def untrimmed(counts: Array, ignored: int) -> Array:
    """The bins nearest to 0 as they are."""
    return counts


def emptied(counts: Array, ignored: int) -> Array:
    """The bins nearest to 0 emptied, and nothing put into the next."""
    return np.where(np.arange(counts.size) < ignored, 0, counts)


def both(name: str, *entry: Any) -> tuple[Variant, Variant]:
    """The same bug in either calibrator."""
    return Variant("kl_scale_amct", name, *entry), Variant("kl_scale_trt", name, *entry)


BOTH = (
    *both("bins_closed_above", "Values on an edge are counted in the bin below.",
          "bins (a, b], as of searchsorted from the left", {"bin_of": closed_above}),
    *both("bins_centred", "Values are counted at the nearest of equally spaced points.",
          "a cast of share * (bins - 1)", {"bin_of": centred}),
    *both("shared_by_all_bins", "The mass of a group is shared by its empty bins too.",
          "np.repeat of the group's mean", {"spread": over_all}),
    *both("whole_group_in_each_bin", "Every bin gets the whole mass of its group.",
          "a forgotten division", {"spread": sums_kept}),
    *both("largest_divergence", "The window that diverges most is taken.",
          "argmax in place of argmin", {"choose": lambda scores: int(np.argmax(scores))}),
    *both("widest_range", "The range is never clipped.",
          "min-max in place of the search",
          {"step": lambda a, b, bins: a if not isinstance(a, int) else b}),
    *both("step_of_zeros_zero", "A tensor of zeros gets the step 0.",
          "a case that is left out", {"of_zeros": lambda row: row.dtype.type(0)}),
)  # fmt: skip
AMCT = tuple(
    Variant("kl_scale_amct", *entry)
    for entry in (
        ("last_of_equals", "A later window that is as good replaces an earlier one.",
         "<= in place of <", {"choose": last_of_equals}),
        ("counters_of_a_byte", "Bins of more than 255 values lose 256.", "counters that wrap",
         {"window": lambda counts, i: plain.window(counts % 256, i)}),
        ("q_not_saturated", "Q is made of the window without the mass outside.",
         "the rule of TensorRT's form", {"merged": lambda p, counts, i: cut(counts, i)}),
        ("mass_outside_dropped", "P and Q are made of the window without the mass outside.",
         "a slice of the histogram, nothing clamped", {"window": cut}),
        ("mass_below_dropped", "What lies below the window is left out, what lies above is added.",
         "code for magnitudes used for both signs", {"window": upper_mass_only}),
        ("smoothing_keeps_mass", "What empty bins get is taken from the others.",
         "the smoothing of MXNet and of NVIDIA's slides", {"smooth": mass_kept}),
        ("smoothing_fills_only", "Empty bins get 1e-4, the others stay as they are.",
         "np.maximum(hist, eps)", {"smooth": lambda h: np.maximum(h, h.dtype.type(plain.SMALL))}),
        ("smoothing_of_all", "Every bin gets 1e-4.",
         "hist + eps", {"smooth": lambda h: h + h.dtype.type(plain.SMALL)}),
        ("divergence_reversed", "P and Q change places in the divergence.",
         "scipy.stats.entropy called with its arguments exchanged",
         {"divergence": lambda p, q: plain.divergence(q, p)}),
        ("largest_not_counted", "The largest value is not counted.",
         "bins [a, b) without closing the last one", {"bin_of": lost}),
        ("groups_even", "There are 2^bits groups.", "the number of all codes",
         {"groups": lambda bits: 2**bits}),
        ("groups_of_magnitudes", "There are 2^(bits-1) groups.",
         "the number of levels of TensorRT's form", {"groups": lambda bits: 2 ** (bits - 1)}),
        ("groups_of_whole_width", "Groups have a whole width, the last one takes the rest.",
         "integer division of the number of bins", {"edges": whole_width}),
        ("edges_rounded_down", "Groups begin at the floor of their edge.",
         "a cast in place of a ceiling", {"edges": lambda m, g: np.arange(g + 1) * m // g}),
        ("range_from_extremes", "Bins reach from the smallest value to the largest.",
         "the default range of a histogram",
         {"share": lambda row, top: (row - row.min()) / (row.max() - row.min())}),
        ("sign_lost", "The histogram is one of magnitudes.",
         "the rule of TensorRT's form", {"share": lambda row, top: np.abs(row) / top}),
        ("half_the_clip", "A window cuts off half as much as it should.",
         "bins of width T / bins", {"step": lambda top, i, bins: top - i * top / bins}),
        ("one_search_less", "The last window is not tried.",
         "a loop from 1", {"searches": lambda searches: searches - 1}),
        ("divided_by_p", "The step is T / (2^(bits-1) - 1).",
         "the largest code in place of the number of steps",
         {"divisor": lambda bits: 2 ** (bits - 1) - 1}),
        ("tiny_steps_kept", "Steps below 2^-23 are kept.",
         "a guard left out", {"floor": lambda s: s}),
        ("tiny_steps_cut_to_eps", "Steps below 2^-23 become 2^-23.",
         "a maximum in place of a replacement",
         {"floor": lambda s: np.maximum(s, s.dtype.type(plain.EPS))}),
        ("eps_itself_replaced", "A step of 2^-23 becomes 1.",
         "<= in place of <", {"floor": lambda s: s if s > plain.EPS else s.dtype.type(1)}),
        ("axis_ignored", "One step is taken for all rows.",
         "per-channel statistics reduced over everything",
         {"rows": lambda w, axis: np.broadcast_to(
             w.reshape(1, -1), (1 if axis is None else w.shape[axis], w.size))}),
    )
)  # fmt: skip
TRT = tuple(
    Variant("kl_scale_trt", *entry)
    for entry in (
        ("largest_not_counted", "The largest value is not counted.",
         "bins [a, b) without closing the last one", {"bin_of": lost}),
        ("empty_candidates_win", "A candidate without mass is taken: s = T / bins.",
         "PPQ: 0/0 gives NaN, which wins its sort at 4 bits and less", {"empty": -np.inf}),
        ("bins_near_zero_kept", "The bins nearest to 0 are counted.",
         "TensorRT's form without PPQ's cut", {"trim": untrimmed}),
        ("counters_of_a_byte", "Bins of more than 255 values lose 256.", "counters that wrap",
         {"trim": lambda counts, n: plain.trim(counts % 256, n)}),
        ("first_eight_bins", "Eight bins are emptied, however many there are.",
         "int(0.002 * 4096) as a constant", {"trim": lambda counts, n: plain.trim(counts, 8)}),
        ("nothing_after_empty_bins", "Bin int(0.002 bins) is not set to 1.",
         "the bins near 0 emptied, no more", {"trim": emptied}),
        ("rest_dropped", "P leaves out what lies beyond R.",
         "apache/mxnet: reference distributions without outliers",
         {"saturated": lambda h, r: h[:r]}),
        ("q_saturated", "Q is made of the bins with the rest added.",
         "one histogram used for both", {"merged": plain.saturated}),
        ("levels_of_8_bits", "There are 128 groups whatever the bits.",
         "a constant of 8-bit code", {"levels": lambda bits: 128}),
        ("levels_of_all_codes", "There are 2^bits groups, and that is the divisor.",
         "unsigned codes", {"levels": lambda bits: 2**bits}),
        ("divided_by_p", "The step is R (T / bins) / (2^(bits-1) - 1).",
         "the largest code in place of the number of steps",
         {"divisor": lambda levels: levels - 1}),
        ("middle_of_the_bin", "The threshold is the middle of the bin after R.",
         "(i + 0.5) * bin_width, as in NVIDIA's slides on 8-bit inference",
         {"step": lambda r, top, bins: (r + 0.5) * (top / bins)}),
        ("divergence_reversed", "P and Q change places in the divergence.",
         "scipy.stats.entropy called with its arguments exchanged",
         {"divergence": lambda p, q: plain.decades(q, p)}),
        ("positive_values_only", "Negative values count as 0.",
         "the histogram of an output behind a ReLU",
         {"magnitudes": lambda x: np.maximum(x, 0)}),
    )
)  # fmt: skip
VARIANTS = (*BOTH, *AMCT, *TRT)
