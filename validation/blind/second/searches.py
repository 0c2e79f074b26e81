"""The search for a step and a zero point: a right version and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import grid_ends

EPS = 1e-8


def _qparams(lo, hi, bits, grid, divisor, forced=True):
    """Give the step and the zero point of a range; forced: 0 lies in it, z in the codes."""
    n, p = grid_ends(bits, grid)
    if grid == "affine":
        a, b = (min(lo, 0.0), max(hi, 0.0)) if forced else (lo, hi)
        s = max((b - a) / p, EPS)
        z = -np.rint(a / s)
        return s, (np.clip(z, 0, p) if forced else z)
    if grid == "unsigned":
        return max(max(hi, 0.0) / p, EPS), 0.0
    if divisor == "half_span":
        return max(max(-lo, hi) / ((p - n) / 2), EPS), 0.0
    if divisor == "p":
        return max(max(-lo, hi) / p, EPS), 0.0
    return max(hi / p, lo / n, EPS), 0.0


def _ranges(row, name, grid, whole, bug):
    """List the ranges that a search tries on a row."""
    low, high = row.min(), row.max()
    if name in ("shrink80", "mq80", "mq95", "omse"):
        count = {"shrink80": 80, "mq80": 80, "mq95": 95, "omse": 90}[name]
        if name == "omse" and grid in ("signed", "narrow") and bug != "omse_always_90":
            count = 50
        if name == "mq95" and bug == "mq95_stops_at_80":
            count = 80
        return [(low * (1 - 0.01 * i), high * (1 - 0.01 * i)) for i in range(count)]
    if name == "ifmr":
        q = 0.999999
        ordered = np.sort(row)
        low = ordered[int(row.size * (1 - q))]
        high = ordered[min(int(row.size * q), row.size - 1)]
        factors = [i / 100 for i in range(70, 130 if bug == "ifmr_stops_early" else 131)]
        keep = grid == "affine" and bug != "ifmr_scales_both"
        return [(low if keep else low * f, high * f) for f in factors]
    t = np.abs(whole if bug == "threshold_of_all_rows" else row).max()
    first = 0 if bug == "grid_starts_at_zero" else 1
    factors = [i / 100 for i in range(first, first + 100)]
    below, above = low < 0, high > 0
    if bug == "both_ends":
        below = above = True
    return [(-t * f if below else 0.0, t * f if above else 0.0) for f in factors]


def _candidates(row, attrs, whole, bug):
    """List steps, each with the zero points to be tried with it."""
    name, bits, grid, divisor = (attrs[k] for k in ("id", "bits", "grid", "divisor"))
    if bug == "divisor_ignored":
        divisor = "half_span"
    if name == "grid100_2d" and grid == "affine" and row.min() < 0 < row.max():
        top = 2**bits - 1
        zeros = np.arange(top if bug == "last_zero_left_out" else top + 1, dtype=np.float64)
        width = row.max() - row.min()
        return [(max(width * (i / 100) / top, EPS), zeros) for i in range(1, 101)]
    forced = name != "shrink80" or bug == "zero_forced_in"
    pairs = [
        _qparams(lo, hi, bits, grid, divisor, forced)
        for lo, hi in _ranges(row, name, grid, whole, bug)
    ]
    return [(s, np.asarray([z], np.float64)) for s, z in pairs]


def _search(row, attrs, whole, bug):
    """Give the first step and zero point of a row whose error is the smallest."""
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    exponent = attrs["p"]
    if exponent is None:
        exponent = 2.4 if attrs["id"] in ("shrink80", "grid100_1d", "grid100_2d") else 2.0
        if bug == "always_2_4":
            exponent = 2.4
    best = None
    for s, zeros in _candidates(row, attrs, whole, bug):
        codes = np.rint(row / s)
        clipped = np.clip(codes, n - zeros[:, None], p - zeros[:, None])
        error = np.abs(s * clipped - row) ** exponent
        scores = error.sum(axis=1) if attrs["id"] == "fro" else error.mean(axis=1)
        k = int(np.argmin(scores))
        if bug == "last_minimum":
            k = len(scores) - 1 - int(np.argmin(scores[::-1]))
        better = best is None or scores[k] < best[2]
        if bug == "last_minimum":
            better = best is None or scores[k] <= best[2]
        if better:
            best = (s, zeros[k], scores[k])
    return best


def mse_search(inputs, attrs, bug=""):
    """Give the first of a list of steps and zero points whose error is the smallest."""
    x = np.asarray(inputs["x"], np.float64)
    axis = attrs["axis"]
    rows = x.reshape(1, -1)
    if axis is not None:
        rows = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    found = np.array([_search(row, attrs, x, bug) for row in rows], np.float64)
    if axis is None:
        found = found[0]
    s, z, score = found[..., 0], found[..., 1], found[..., 2]
    if bug == "zero_int8":
        z = z.astype(np.int64).astype(np.int8)
    return {
        "s": np.asarray(s),
        "zero_point": np.asarray(z).astype(np.int64),
        "score": np.asarray(score),
    }


OPS = {"mse_search": mse_search}
BUGS = [
    ("mse_search", "last_minimum", "of equal errors the last candidate wins"),
    ("mse_search", "grid_starts_at_zero", "grid100 and fro try 0.00..0.99 of T, not T itself"),
    ("mse_search", "omse_always_90", "omse tries 90 ranges on signed grids too"),
    ("mse_search", "mq95_stops_at_80", "mq95 tries 80 ranges"),
    ("mse_search", "ifmr_stops_early", "ifmr does not try 1.30"),
    ("mse_search", "ifmr_scales_both", "ifmr moves the lower end of affine ranges too"),
    ("mse_search", "always_2_4", "the exponent is 2.4 wherever none is given"),
    ("mse_search", "zero_forced_in", "shrink80 forces 0 into the range and clips z"),
    ("mse_search", "divisor_ignored", "signed steps divide by half_span always"),
    ("mse_search", "both_ends", "an end without data is not set to 0"),
    ("mse_search", "threshold_of_all_rows", "T is taken over all rows"),
    ("mse_search", "last_zero_left_out", "grid100_2d does not try z = 2^b - 1"),
    ("mse_search", "zero_int8", "zero points above 127 wrap"),
]
