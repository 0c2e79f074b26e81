"""Wrong versions of mse_search and lloyd_scale, as vector code goes wrong."""

import numpy as np

from validation.blind.third.common import as_rows, grid_ends

EPS = 1e-8
STEPS = {"shrink80": 80, "mq80": 80, "mq95": 95}


def _qparams(lo, hi, attrs):
    """Return the step and the zero point that cover a range."""
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    if attrs["grid"] == "affine":
        a, b = min(lo, 0.0), max(hi, 0.0)
        s = max((b - a) / p, EPS)
        return s, np.clip(-np.rint(a / s), 0, p)
    if attrs["grid"] == "unsigned":
        return max(max(hi, 0.0) / p, EPS), 0.0
    if attrs["divisor"] == "amct":
        return max(hi / p, lo / n, EPS), 0.0
    return max(max(-lo, hi) / (p if attrs["divisor"] == "p" else (p - n) / 2), EPS), 0.0


def _shrunk(lo, hi, attrs, bug):
    """List the candidates that shrink both ends alike."""
    grid, kind = attrs["grid"], attrs["id"]
    top = 2 ** attrs["bits"] - 1
    steps = STEPS.get(kind, 50 if grid in ("signed", "narrow") else 90)
    found = []
    for i in range(steps):
        f = 1 - 0.01 * i
        if kind == "shrink80" and grid == "affine":
            s = max((hi * f - lo * f) / top, EPS)
            z = -np.rint(lo * f / s)
            found.append((s, np.clip(z, 0, top) if bug == "zero_point_byte" else z))
        else:
            found.append(_qparams(lo * f, hi * f, attrs))
    return found


def _percentiles(row):
    """Return the ends that percentile_range gives at q = 0.999999."""
    row, count, q = np.sort(row), row.size, 0.999999
    return row[int(count * (1 - q))], row[min(int(count * q), count - 1)]


def _candidates(row, attrs, bug):
    """List the steps to be tried, each with one zero point or more."""
    kind, affine = attrs["id"], attrs["grid"] == "affine"
    lo, hi = row.min(), row.max()
    if kind == "ifmr":
        a, b = _percentiles(row)
        keep = affine and bug != "one_loop"
        ratios = [i / 100 for i in range(70, 131)]
        return [_qparams(a if keep else a * f, b * f, attrs) for f in ratios]
    if kind not in ("grid100_1d", "grid100_2d", "fro"):
        return _shrunk(lo, hi, attrs, bug)
    ratios = [i / 100 for i in range(1, 101)]
    if kind == "grid100_2d" and lo < 0 < hi:
        top = 2 ** attrs["bits"] - 1
        return [(max((hi - lo) * f / top, EPS), np.arange(top + 1.0)) for f in ratios]
    reach = max(abs(lo), abs(hi))
    low, high = (-reach if lo < 0 else 0.0), (reach if hi > 0 else 0.0)
    return [_qparams(low * f, high * f, attrs) for f in ratios]


def _search_row(row, attrs, bug):
    """Return step, zero point and score of the first best candidate of a row."""
    low, high = grid_ends(attrs["bits"], attrs["grid"])
    power = attrs["p"]
    if power is None:
        power = 2.4 if attrs["id"] in ("shrink80", "grid100_1d", "grid100_2d") else 2.0
    best = (0.0, 0.0, np.inf)
    for s, z in _candidates(row, attrs, bug):
        z = np.atleast_1d(z)[:, None]
        k = np.clip(np.rint(row / s), low - z, high - z)
        errors = np.abs(s * k - row) ** power
        scores = errors.sum(1) if attrs["id"] == "fro" else errors.mean(1)
        i = int(np.argmin(scores))
        if bug == "later_of_equal":
            i = scores.size - 1 - int(np.argmin(scores[::-1]))
        if scores[i] < best[2] or (bug == "later_of_equal" and scores[i] == best[2]):
            best = (s, z[i, 0], scores[i])
        elif bug == "stops_early" and scores[i] > best[2]:
            break
    return best


def mse_search(inputs, attrs, bug=""):
    """Search the steps and zero points of a list for the smallest error."""
    found = [_search_row(row, attrs, bug) for row in as_rows(inputs["x"], attrs["axis"])]
    s, z, score = np.array(found, np.float64).T
    if attrs["axis"] is None:
        s, z, score = s[0], z[0], score[0]
    return {
        "s": np.asarray(s),
        "zero_point": np.asarray(z).astype(np.int64),
        "score": np.asarray(score),
    }


def _wrap(value):
    """Keep the low 32 bits, as a signed number."""
    return (value + 2.0**31) % 2.0**32 - 2.0**31


@np.errstate(all="ignore")
def lloyd_scale(inputs, attrs, bug=""):
    """Alternate between the codes for a step and the best step for the codes."""
    w = as_rows(inputs["w"], attrs["axis"])
    s = np.array(inputs["s0"], np.float64).reshape(-1)
    n, p = grid_ends(attrs["bits"], attrs["grid"])

    def quantize(step):
        """Return the codes for a step of each row."""
        return np.clip(np.rint(w / step[:, None]), n, p)

    def error(step, q):
        """Return the squared error of each row."""
        return ((step[:, None] * q - w) ** 2).sum(1)

    errors = [error(s, quantize(s))]
    for _ in range(attrs["iters"]):
        q = quantize(s)
        norm = (q * q).sum(1)
        if bug == "int32_norm":
            norm = _wrap(norm)
        new = (w * q).sum(1) / np.maximum(norm, 1 if bug == "guarded_norm" else -np.inf)
        if bug != "guarded_norm":
            new = np.where(q.any(1), new, s)
        done = bug == "any_lane" and (new == s).any()
        s = new
        errors.append(error(s, q if bug == "fused_error" else quantize(s)))
        if done:
            break
    errors += errors[-1:] * (attrs["iters"] + 1 - len(errors))
    errors = np.array(errors)
    if attrs["axis"] is None:
        return {"s": np.asarray(s[0]), "errors": errors[:, 0]}
    return {"s": s, "errors": errors}


OPS = {"mse_search": mse_search, "lloyd_scale": lloyd_scale}

BUGS = [
    ("mse_search", "stops_early", "stops at the first candidate that is worse than the best"),
    ("mse_search", "later_of_equal", "blends with less-or-equal: the last of equals is taken"),
    ("mse_search", "zero_point_byte", "stores zero points as codes, which clips those of shrink80"),
    ("mse_search", "one_loop", "ifmr moves the lower end on the affine grid too"),
    ("lloyd_scale", "fused_error", "the error in the pass of the update, with the codes before"),
    ("lloyd_scale", "guarded_norm", "divides by max(<q, q>, 1): s = 0 where all codes are 0"),
    ("lloyd_scale", "int32_norm", "accumulates <q, q> in int32, which wraps for wide codes"),
    ("lloyd_scale", "any_lane", "stops all channels as soon as any channel is settled"),
]
