"""Ranges and what follows from them: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import grid_ends


def range_to_qparams(inputs, attrs, bug=""):
    """Give the step and the zero point that cover a range."""
    lo = np.asarray(inputs["lo"], np.float64)
    hi = np.asarray(inputs["hi"], np.float64)
    bits, grid, divisor, eps = (attrs[k] for k in ("bits", "grid", "divisor", "eps"))
    n, p = grid_ends(bits, grid)
    zero = np.zeros_like(lo)
    if grid == "affine":
        a = lo if bug == "low_end_not_forced" else np.minimum(lo, 0)
        b = hi if bug == "high_end_not_forced" else np.maximum(hi, 0)
        s = (b - a) / p
    elif grid == "unsigned":
        s = np.maximum(hi, 0) / p
    else:
        t = np.maximum(-lo, hi)
        if divisor == "half_span":
            s = t / ((2**bits - 1) / 2 if bug == "narrow_half_span" else (p - n) / 2)
        elif divisor == "p":
            s = t / (p + 1 if bug == "divides_by_half_range" else p)
        else:
            bottom = -p - 1 if bug == "amct_narrow_bottom" else n
            s = np.maximum(hi / p, lo / bottom)
    raw = s
    s = s + eps if bug == "eps_added" else np.maximum(s, eps)
    if grid == "affine":
        with np.errstate(invalid="ignore", divide="ignore"):
            shift = -a / (raw if bug == "zero_of_raw_step" else s)
        zero = np.floor(shift + 0.5) if bug == "zero_half_up" else np.rint(shift)
        zero = np.clip(np.where(np.isnan(zero), 0.0, zero), 0, p)
        if bug == "zero_int16":
            zero = zero.astype(np.int64).astype(np.int16)
    return {"s": np.asarray(s), "zero_point": np.asarray(zero).astype(np.int64)}


def _batch_rows(batches, axis, bug):
    """Arrange batches as (t, c, rest); without an axis c is left out."""
    b = np.asarray(batches, np.float64)
    if axis is None:
        return b.reshape(b.shape[0], -1)
    if bug == "axis_counts_batches" and axis > 0:
        axis -= 1
    at = axis + 1 if axis >= 0 else axis
    return np.moveaxis(b, at, 1).reshape(b.shape[0], b.shape[at], -1)


def _odd_tree(v):
    """Reduce to extremes in halves that forget the middle of an odd count."""
    low = high = v
    while low.shape[-1] > 1:
        half = low.shape[-1] // 2
        low = np.minimum(low[..., :half], low[..., half : 2 * half])
        high = np.maximum(high[..., :half], high[..., half : 2 * half])
    return low[..., 0], high[..., 0]


def _else_if(v):
    """Look for a new maximum only where there is no new minimum."""
    low = np.full(v.shape[:-1], np.inf)
    high = np.full(v.shape[:-1], -np.inf)
    for k in range(v.shape[-1]):
        below = v[..., k] < low
        high = np.where(~below & (v[..., k] > high), v[..., k], high)
        low = np.where(below, v[..., k], low)
    return low, high


def minmax_observer(inputs, attrs, bug=""):
    """Give the smallest and the largest value of all batches."""
    rows = _batch_rows(inputs["batches"], attrs["axis"], bug)
    if bug == "last_batch_left_out" and rows.shape[0] > 1:
        rows = rows[:-1]
    joined = np.moveaxis(rows, 0, -2)
    joined = joined.reshape((*joined.shape[:-2], -1))
    lo, hi = joined.min(axis=-1), joined.max(axis=-1)
    if bug == "starts_from_zero":
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    elif bug == "starts_from_smallest_float":
        hi = np.maximum(hi, float(np.finfo(np.float32).tiny))
    elif bug == "odd_tree":
        lo, hi = _odd_tree(rows)
        lo, hi = lo.min(axis=0), hi.max(axis=0)
    elif bug == "else_if":
        lo, hi = _else_if(joined)
    return {"lo": np.asarray(lo), "hi": np.asarray(hi)}


def ema_observer(inputs, attrs, bug=""):
    """Give an exponential moving average of the batches' ranges."""
    rows = _batch_rows(inputs["batches"], attrs["axis"], bug)
    m = attrs["momentum"]
    if bug == "momentum_of_the_new":
        m = 1 - m
    answers = []
    for ends in (rows.min(axis=-1), rows.max(axis=-1)):
        value = ends[0]
        for t in range(1, ends.shape[0]):
            old = value
            value = m * old + (1 - m) * ends[t]
            if bug == "zero_is_unset":
                value = np.where(old == 0, ends[t], value)
        answers.append(np.asarray(value))
    lo, hi = answers
    if bug == "unbiased_from_zero":
        weights = (1 - m) * m ** np.arange(rows.shape[0])[::-1]
        total = weights.sum() if m < 1 else 1.0
        lo = np.asarray(np.tensordot(weights, rows.min(axis=-1), 1) / total)
        hi = np.asarray(np.tensordot(weights, rows.max(axis=-1), 1) / total)
    return {"lo": lo, "hi": hi}


def avg_observer(inputs, attrs, bug=""):
    """Give the mean of the batches' minima, and of their maxima."""
    rows = _batch_rows(inputs["batches"], attrs["axis"], bug)
    if bug == "averages_first":
        mean = rows.mean(axis=0)
        return {"lo": np.asarray(mean.min(axis=-1)), "hi": np.asarray(mean.max(axis=-1))}
    answers = []
    for ends, end in ((rows.min(axis=-1), np.minimum), (rows.max(axis=-1), np.maximum)):
        if bug == "zero_in_every_range":
            ends = end(ends, 0)
        value = ends.mean(axis=0)
        if bug == "halves":
            value = ends[0]
            for batch in ends[1:]:
                value = (value + batch) / 2
        elif bug == "shift_divides":
            value = ends.sum(axis=0) / 2 ** (ends.shape[0].bit_length() - 1)
        elif bug == "float32_sum":
            value = ends.astype(np.float32).cumsum(axis=0, dtype=np.float32)[-1] / len(ends)
            value = value.astype(np.float64)
        answers.append(np.asarray(value))
    return {"lo": answers[0], "hi": answers[1]}


def _line(rows, position, bug=""):
    """Read sorted rows at a position between two of their values."""
    last = rows.shape[1] - 1
    left = min(max(int(np.floor(position)), 0), last)
    right = min(left + 1, last)
    part = position - left
    if bug == "weights_swapped_low" and left != right:
        part = 1 - part
    return rows[:, left] + part * (rows[:, right] - rows[:, left])


def percentile_range(inputs, attrs, bug=""):
    """Give the range that holds all but the outermost values."""
    x = np.asarray(inputs["x"], np.float64)
    axis, q = attrs["axis"], attrs["q"]
    rows = x.reshape(1, -1)
    if axis is not None:
        rows = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    rows = np.sort(rows, axis=1)
    count = rows.shape[1]
    if attrs["rule"] == "ppq":
        size = x.size if bug == "counts_all_rows" else count
        low, high = size * (1 - q), size * q
        if bug == "float32_products":
            low = float(np.float32(size) * (np.float32(1) - np.float32(q)))
            high = float(np.float32(size) * np.float32(q))
        if bug == "nearest_index":
            low, high = np.rint(low), np.rint(high)
        low, high = int(low), int(high)
        if bug == "mirrored_index":
            low = count - 1 - min(high, count - 1)
        high = high % count if bug == "end_wraps" else min(high, count - 1)
        lo, hi = rows[:, min(low, count - 1)], rows[:, high]
    else:
        steps = count if bug == "n_intervals" else count - 1
        lo, hi = _line(rows, steps * (1 - q), bug), _line(rows, steps * q)
        if bug == "n_intervals":
            hi = _line(rows, min(steps * q, count - 1.0))
        elif bug == "lower_neighbour":
            hi = rows[:, int((count - 1) * q)]
    if axis is None:
        lo, hi = lo[0], hi[0]
    return {"lo": np.asarray(lo), "hi": np.asarray(hi)}


OPS = {
    "range_to_qparams": range_to_qparams,
    "minmax_observer": minmax_observer,
    "ema_observer": ema_observer,
    "avg_observer": avg_observer,
    "percentile_range": percentile_range,
}
BUGS = [
    ("range_to_qparams", "low_end_not_forced", "a positive range does not reach down to 0"),
    ("range_to_qparams", "high_end_not_forced", "a negative range does not reach up to 0"),
    ("range_to_qparams", "eps_added", "eps is added to every step"),
    ("range_to_qparams", "zero_of_raw_step", "the zero point is taken before eps bounds the step"),
    ("range_to_qparams", "zero_half_up", "the zero point is rounded with ties up"),
    ("range_to_qparams", "zero_int16", "zero points above 32767 wrap"),
    ("range_to_qparams", "narrow_half_span", "half_span divides by (2^b - 1)/2, narrow or not"),
    ("range_to_qparams", "divides_by_half_range", "divisor p divides by 2^(b-1)"),
    ("range_to_qparams", "amct_narrow_bottom", "amct divides lo by -2^(b-1), narrow or not"),
    ("minmax_observer", "starts_from_zero", "both ends start from 0"),
    ("minmax_observer", "starts_from_smallest_float", "hi starts from the smallest normal float"),
    ("minmax_observer", "last_batch_left_out", "the last of several batches is not seen"),
    ("minmax_observer", "odd_tree", "a tree reduction forgets the middle of odd counts"),
    ("minmax_observer", "else_if", "a new minimum is not looked at as a maximum"),
    ("minmax_observer", "axis_counts_batches", "a positive axis counts the batches' axis too"),
    ("ema_observer", "momentum_of_the_new", "momentum weighs the new batch"),
    ("ema_observer", "unbiased_from_zero", "starts from 0 and divides by 1 - m^t, as Adam does"),
    ("ema_observer", "zero_is_unset", "an end that is 0 is overwritten by the next batch"),
    ("ema_observer", "axis_counts_batches", "a positive axis counts the batches' axis too"),
    ("avg_observer", "averages_first", "the extremes of the mean batch"),
    ("avg_observer", "halves", "averages the last mean with the new batch, right for two"),
    ("avg_observer", "shift_divides", "divides by the power of two not above the count"),
    ("avg_observer", "zero_in_every_range", "every batch's range is made to hold 0"),
    ("avg_observer", "float32_sum", "the ends are added up in float32"),
    ("percentile_range", "counts_all_rows", "ppq takes N as the size of x, not of a row"),
    ("percentile_range", "float32_products", "ppq's products are taken in float32"),
    ("percentile_range", "nearest_index", "ppq's products are rounded, not cut"),
    ("percentile_range", "mirrored_index", "ppq's lo is as far from its end as hi"),
    ("percentile_range", "end_wraps", "ppq's hi at q = 1 wraps to the smallest value"),
    ("percentile_range", "n_intervals", "interpolates at N q instead of (N - 1) q"),
    ("percentile_range", "lower_neighbour", "hi is not interpolated but the lower neighbour"),
    ("percentile_range", "weights_swapped_low", "lo's neighbours have each other's weights"),
]
