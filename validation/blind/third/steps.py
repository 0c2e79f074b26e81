"""Wrong versions of the first steps of LSQ and LSQ+ and of the KL searches."""

from fractions import Fraction

import numpy as np

from validation.blind.third.common import as_rows, estimated_rsqrt

LANES = 8
FLOAT_EPS = 2.0**-23


def _drop_axis(values, axis):
    """Return an array of answers, without axes if there is one answer."""
    return np.asarray(values[0] if axis is None else values)


def lsq_init(inputs, attrs, bug=""):
    """Find the first step of LSQ."""
    rows = as_rows(inputs["x"], attrs["axis"])
    p = 2 ** (attrs["bits"] - (attrs["grid"] in ("signed", "narrow"))) - 1
    count = rows.shape[1]
    if bug == "padded_count":
        count = -(-count // LANES) * LANES
    root = estimated_rsqrt(p) if bug == "estimated_root" else 1 / np.sqrt(p)
    s = np.maximum(2 * np.abs(rows).sum(1) / count * root, 1e-8)
    return {"s": _drop_axis(s, attrs["axis"])}


def _moments(row, bug):
    """Return the mean and the standard deviation of a row."""
    if bug == "single_pass":
        row = row.astype(np.float32)
        mean = row.mean()
        return float(mean), float(np.sqrt(max((row * row).mean() - mean * mean, 0)))
    if bug == "lane_variance":
        parts = [row[i::LANES] for i in range(min(LANES, row.size))]
        return row.mean(), np.sqrt(sum(part.var() * part.size for part in parts) / row.size)
    return row.mean(), row.std()


def _activation_row(row, attrs, bug):
    """Return step, offset and score of the first best candidate of a row."""
    top, lo, hi = 2 ** attrs["bits"] - 1, row.min(), row.max()
    power = 2.0 if bug == "squares" else attrs["p"]
    best = (0.0, 0.0, np.inf)
    for i in range(attrs["steps"]):
        f = 1 - 0.01 * i
        s = max((hi - lo) * f / top, 1e-8)
        o = lo if bug == "hoisted_offset" else lo * f
        y = s * np.clip(np.rint((row - o) / s), 0, top) + o
        score = (np.abs(y - row) ** power).mean()
        if score < best[2]:
            best = (s, o, score)
    return best


def lsqplus_init(inputs, attrs, bug=""):
    """Find the first step of LSQ+, and for activations its offset."""
    rows, axis = as_rows(inputs["x"], attrs["axis"]), attrs["axis"]
    if attrs["of"] == "activations":
        found = np.array([_activation_row(row, attrs, bug) for row in rows]).T
        return {k: _drop_axis(v, axis) for k, v in zip(("s", "o", "score"), found, strict=True)}
    shift = attrs["bits"] - (attrs["divisor"] == "paper")
    moments = [_moments(row, bug) for row in rows]
    reach = [max(abs(mu - 3 * sd), abs(mu + 3 * sd)) for mu, sd in moments]
    return {"s": _drop_axis(np.maximum(np.array(reach) / 2.0**shift, 1e-8), axis)}


def _bins(x, start, width, count):
    """Return the exact bin of every value; the end of the last one is `count`."""
    position = (x / width - start / width) * count
    index = np.floor(position)
    for i in np.flatnonzero(np.abs(position - np.rint(position)) < 1e-6):
        exact = (Fraction(x[i]) - Fraction(start)) * count / Fraction(width)
        index[i] = exact.numerator // exact.denominator
    return index.astype(np.int64)


def _histogram(index, bins, bug):
    """Count the values in every bin."""
    if bug == "open_top":
        index = index[index < bins]
    index = np.minimum(index, bins - 1)
    if bug == "scatter_conflict":
        blocks = [np.unique(index[i : i + LANES]) for i in range(0, index.size, LANES)]
        index = np.concatenate(blocks)
    counts = np.bincount(index, minlength=bins).astype(np.float64)
    return counts % 256 if bug == "byte_counters" else counts


def _share(mass, filled, group, groups):
    """Share the mass of each group among its filled bins."""
    total = np.bincount(group, mass, minlength=groups)
    number = np.bincount(group, filled, minlength=groups)
    return np.where(filled, (total / np.maximum(number, 1))[group], 0.0)


def _smooth(mass):
    """Lift the zeros, add to the others, and normalise."""
    zeros = int((mass == 0).sum())
    added = 1e-4 * zeros / max(mass.size - zeros, 1)
    if added < 1:
        mass = np.where(mass == 0, 1e-4, mass + added)
    return mass / mass.sum()


def _amct_row(row, attrs, bug):
    """Return the step of one row."""
    bins, groups = attrs["bins"], 2 ** attrs["bits"] - 1
    reach = np.abs(row).max()
    if reach == 0:
        return 1.0
    h = _histogram(_bins(row, -reach, 2 * reach, bins), bins, bug)
    best = (np.inf, 0)
    for i in range(attrs["searches"]):
        p = h[i : bins - i].copy()
        p[0] += h[:i].sum()
        p[-1] += h[bins - i :].sum()
        group = np.arange(p.size) * groups // p.size
        if bug == "fixed_point_groups":
            group = np.arange(p.size) * (groups * 256 // p.size) >> 8
        q = _smooth(_share(p, p > 0, group, groups))
        p = _smooth(p)
        used = p > 0
        score = (p[used] * np.log(p[used] / q[used])).sum()
        if score < best[0]:
            best = (score, i)
    s = (reach - best[1] * 2 * reach / bins) / 2 ** (attrs["bits"] - 1)
    return s if s >= FLOAT_EPS else 1.0


def kl_scale_amct(inputs, attrs, bug=""):
    """Find the step by AMCT's form of the KL search."""
    rows = as_rows(inputs["w"], attrs["axis"])
    s = np.array([_amct_row(row, attrs, bug) for row in rows])
    return {"s": _drop_axis(s, attrs["axis"])}


def kl_scale_trt(inputs, attrs, bug=""):
    """Find the step by TensorRT's form of the KL search."""
    x = np.abs(np.asarray(inputs["x"], np.float64)).reshape(-1)
    bins, levels = attrs["bins"], 2 ** (attrs["bits"] - 1)
    reach = x.max()
    if reach == 0:
        return {"s": np.asarray(1.0)}
    h = _histogram(_bins(x, 0.0, reach, bins), bins, bug)
    counted = h.sum()
    first = int(0.002 * bins)
    h[:first] = 0
    h[first] = 1
    total = counted if bug == "stale_total" else h.sum()
    best = (np.inf, 0)
    for size in range(levels, bins + 1, levels):
        p = h[:size].copy()
        if p.sum() == 0:
            continue
        p[-1] += total - p.sum()
        group = np.arange(size) // (size // levels)
        base = p if bug == "one_buffer" else h[:size]
        q = _share(base, base > 0, group, levels)
        p, q = p / total, q / q.sum()
        score = (p * (np.log10(p + 1e-30) - np.log10(q + 1e-30))).sum()
        if score < best[0]:
            best = (score, size)
    return {"s": np.asarray(best[1] * (reach / bins) / levels)}


OPS = {
    "lsq_init": lsq_init,
    "lsqplus_init": lsqplus_init,
    "kl_scale_amct": kl_scale_amct,
    "kl_scale_trt": kl_scale_trt,
}

BUGS = [
    ("lsq_init", "estimated_root", "1 / sqrt(p) from the estimate of twelve bits, no Newton step"),
    ("lsq_init", "padded_count", "divides by the number of values rounded up to whole vectors"),
    ("lsqplus_init", "single_pass", "E[x^2] - E[x]^2 in float32 cancels where the mean is large"),
    ("lsqplus_init", "lane_variance", "averages the lanes' variances, though their means differ"),
    ("lsqplus_init", "hoisted_offset", "the offset is min for all candidates, out of the loop"),
    ("lsqplus_init", "squares", "squares the errors whatever p is"),
    ("kl_scale_amct", "scatter_conflict", "equal bins within 8 neighbours count once"),
    ("kl_scale_amct", "open_top", "masks out indices beyond the last bin, so T itself is lost"),
    ("kl_scale_amct", "fixed_point_groups", "groups by a factor in 8 bits, which is too small"),
    ("kl_scale_trt", "byte_counters", "counts in bytes, which wrap at 256"),
    ("kl_scale_trt", "stale_total", "the number of values for the sum of h, emptied since"),
    ("kl_scale_trt", "one_buffer", "builds Q from the buffer of P, the rest in its last bin"),
]
