"""Steps by the divergence of histograms: right versions and wrong ones of a port."""

from fractions import Fraction

import numpy as np


def _bins(values, low, width, bins, bug=""):
    """Count values in equal bins [a, b) from low on, the last one closed, exactly."""
    if bug == "float32_bins":
        step = np.float32(width) / np.float32(bins)
        at = np.floor((values - low).astype(np.float32) / step).astype(np.int64)
        return np.bincount(np.clip(at, 0, bins - 1), minlength=bins).astype(np.float64)
    position = (values - low) / width * bins
    at = np.floor(position).astype(np.int64)
    near = np.abs(position - np.rint(position)) < 1e-6
    for k in np.flatnonzero(near):
        exact = (Fraction(float(values[k])) - Fraction(float(low))) * bins / Fraction(float(width))
        at[k] = exact.numerator // exact.denominator
    if bug == "right_edge_open":
        at = at[at < bins]
    return np.bincount(np.minimum(at, bins - 1), minlength=bins).astype(np.float64)


def _exact_bins(w, t, bins, bug):
    """Count w in equal bins over [-t, t]; 2 t is exact, as is the test of membership."""
    return _bins(w, -t, 2 * t, bins, bug)


def _shared(mass, edges, bug):
    """Share the mass of every group equally among its non-zero bins."""
    sizes = np.diff(edges)
    group = np.repeat(np.arange(len(sizes)), sizes)
    filled = mass > 0
    if bug == "shares_with_empty":
        filled = np.ones_like(filled)
    total = np.bincount(group, mass, len(sizes))
    members = np.maximum(np.bincount(group, filled, len(sizes)), 1)
    return np.where(filled, (total / members)[group], 0.0)


def _smoothed(h, bug):
    """Move zeros off zero, and normalise."""
    empty = h == 0
    extra = 1e-4 * empty.sum() / max((~empty).sum(), 1)
    out = np.where(empty, 1e-4, h)
    if extra < 1:
        out = np.where(empty, out, h - extra if bug == "mass_kept" else h + extra)
    return out / out.sum()


def _amct_row(w, bits, bins, searches, t, bug):
    """Give the step of a row of weights."""
    smallest = 2.0**-52 if bug == "double_eps" else 2.0**-23
    if t == 0:
        return 1.0
    h = _exact_bins(w, t, bins, bug)
    groups = 2**bits - 1
    best = None
    for i in range(searches + 1 if bug == "one_search_more" else searches):
        m = bins - 2 * i
        if m <= 0:
            break
        plain = h[i : bins - i]
        p = plain.copy()
        p[0] += h[:i].sum()
        p[-1] += h[bins - i :].sum()
        if bug == "floor_groups":
            edges = np.arange(groups + 1, dtype=np.int64) * m // groups
        else:
            edges = -(-np.arange(groups + 1, dtype=np.int64) * m // groups)
        q = _shared(plain if bug == "unsaturated_q" else p, edges, bug)
        p, q = _smoothed(p, bug), _smoothed(q, bug)
        score = (p * np.log(p / q)).sum()
        if best is None or score < best[0]:
            best = (score, i)
    s = (t - best[1] * 2 * t / bins) / 2 ** (bits - 1)
    return s if s >= smallest else 1.0


def kl_scale_amct(inputs, attrs, bug=""):
    """Give the step whose clipped histogram diverges least from itself quantised, by AMCT."""
    w = np.asarray(inputs["w"], np.float64)
    axis = attrs["axis"]
    rows = w.reshape(1, -1)
    if axis is not None:
        rows = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
    steps = []
    for row in rows:
        t = float(np.abs(w if bug == "range_of_all_rows" else row).max())
        steps.append(_amct_row(row, attrs["bits"], attrs["bins"], attrs["searches"], t, bug))
    return {"s": np.asarray(steps if axis is not None else steps[0], np.float64)}


def kl_scale_trt(inputs, attrs, bug=""):
    """Give the step whose clipped histogram diverges least from itself quantised, by TensorRT."""
    a = np.abs(np.asarray(inputs["x"], np.float64)).reshape(-1)
    bits, bins = attrs["bits"], attrs["bins"]
    t = float(a.max())
    if t == 0:
        return {"s": np.asarray(1e-8 if bug == "zeros_give_eps" else 1.0)}
    h = _bins(a, 0.0, t, bins, bug)
    k0 = int(0.002 * (4096 if bug == "first_bins_of_4096" else bins))
    h[:k0] = 0
    if bug == "bin_k0_emptied":
        h[k0] = 0
    elif bug != "bin_k0_kept":
        h[k0] = 1
    levels = 2 ** (bits - 1)
    total = h.sum()
    best = None
    for r in range(levels, bins if bug == "whole_range_left_out" else bins + 1, levels):
        p = h[:r].copy()
        if bug != "tail_dropped":
            p[-1] += h[r:].sum()
        source = p if bug == "saturated_q" else h[:r]
        q = _shared(source, np.arange(0, r + 1, r // levels), bug)
        if q.sum() == 0:
            if bug == "empty_wins":
                best = (-np.inf, r)
            continue
        p, q = p / total, q / q.sum()
        score = (p * (np.log10(p + 1e-30) - np.log10(q + 1e-30))).sum()
        if best is None or score < best[0]:
            best = (score, r)
    r = best[1] if best else levels
    return {"s": np.asarray(r * (t / bins) / levels)}


OPS = {"kl_scale_amct": kl_scale_amct, "kl_scale_trt": kl_scale_trt}
BUGS = [
    ("kl_scale_amct", "right_edge_open", "values of exactly T are not counted"),
    ("kl_scale_amct", "float32_bins", "bins are computed in float32, so edges change sides"),
    ("kl_scale_amct", "unsaturated_q", "Q is built without the mass outside the window"),
    ("kl_scale_amct", "shares_with_empty", "a group's mass is shared with its empty bins"),
    ("kl_scale_amct", "mass_kept", "smoothing takes from the non-zeros instead of adding"),
    ("kl_scale_amct", "floor_groups", "group edges are floor(j m / G)"),
    ("kl_scale_amct", "double_eps", "steps below 2^-52 become 1, not below 2^-23"),
    ("kl_scale_amct", "one_search_more", "the window i = searches is tried too"),
    ("kl_scale_amct", "range_of_all_rows", "T is taken over all rows"),
    ("kl_scale_trt", "right_edge_open", "values of exactly T are not counted"),
    ("kl_scale_trt", "empty_wins", "a window without mass gives NaN, which wins"),
    ("kl_scale_trt", "bin_k0_kept", "bin k0 keeps its count"),
    ("kl_scale_trt", "bin_k0_emptied", "bin k0 is emptied too"),
    ("kl_scale_trt", "first_bins_of_4096", "eight bins are emptied however many there are"),
    ("kl_scale_trt", "whole_range_left_out", "R = bins is not tried"),
    ("kl_scale_trt", "tail_dropped", "P leaves out the rest"),
    ("kl_scale_trt", "saturated_q", "Q is built with the rest on its last bin"),
    ("kl_scale_trt", "shares_with_empty", "a group's mass is shared with its empty bins"),
    ("kl_scale_trt", "zeros_give_eps", "T = 0 gives 1e-8"),
]
