"""Step searches, alternating fits and the first steps of LSQ in plain NumPy, row by row."""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate.shared import answers, as_rows
from refquant.oracle.families.fake_quant.plain_uniform import code_range
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

EPS = 1e-8
HUNDREDTHS = np.arange(1, 101) / 100
FACTORS = {
    "shrink80": 1 - 0.01 * np.arange(80),
    "mq80": 1 - 0.01 * np.arange(80),
    "mq95": 1 - 0.01 * np.arange(95),
    "omse": 1 - 0.01 * np.arange(90),
    "grid100_1d": HUNDREDTHS,
    "grid100_2d": HUNDREDTHS,
    "fro": HUNDREDTHS,
    "ifmr": 0.7 + 0.01 * np.arange(61),
}
EXPONENTS = {"shrink80": 2.4, "grid100_1d": 2.4, "grid100_2d": 2.4}
OMSE_OF_WEIGHTS = 50


def ends(row: Array, search: str, symmetric: bool) -> tuple[Array, Array]:
    """What the factors are applied to: the extremes, or for ifmr the quantiles."""
    if search == "ifmr":
        n, q = row.size, 0.999999
        ordered = np.sort(row)
        return ordered[int(n * (1 - q))], ordered[min(int(n * q), n - 1)]
    return row.min(), row.max()


def ranges(row: Array, f: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """The ends of every range tried."""
    search, grid = attrs["id"], attrs["grid"]
    lo, hi = part.ends(row, search, grid in ("signed", "narrow"))
    if search in ("grid100_1d", "grid100_2d", "fro"):
        top = part.top(lo, hi)
        return -top * f * (lo < 0), top * f * (hi > 0)
    if search == "ifmr" and grid == "affine":
        return np.minimum(lo, 0) * np.ones_like(f), np.maximum(hi, 0) * f
    return lo * f, hi * f


def place(lo: Array, hi: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """Steps and zero points for ranges."""
    grid, eps = attrs["grid"], lo.dtype.type(EPS)
    n, p = part.code_range(grid, attrs["bits"])
    if grid == "affine":
        if part.forces_zero(attrs["id"]):
            lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
        s = np.maximum((hi - lo) / p, eps)
        z = -np.rint(lo / s)
        return s, np.clip(z, 0, p) if part.clips_zero(attrs["id"]) else z
    divisors: dict[str, Callable[[], Array]] = {
        "p": lambda: np.maximum(-lo, hi) / p,
        "half_span": lambda: np.maximum(-lo, hi) / ((p - n) / 2),
        "amct": lambda: np.maximum(hi / p, lo / n),
    }
    s = np.maximum(hi, 0) / p if grid == "unsigned" else divisors[attrs["divisor"]]()
    s = np.maximum(s, eps)
    return s, np.zeros_like(s)


def plane(row: Array, f: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """Every width with every zero point, the zero point running fastest."""
    p = part.code_range("affine", attrs["bits"])[1]
    width = row.max() - row.min()
    s = np.maximum(width * f / p, row.dtype.type(EPS))
    zeros = np.arange(p + 1).astype(row.dtype)
    return np.repeat(s, p + 1), np.tile(zeros, f.size)


def levels(u: Array, z: Array, n: int, p: int) -> Array:
    """clip(rint(u), n - z, p - z)."""
    return np.clip(np.rint(u), n - z, p - z)


def _one(row: Array, rows: Array, attrs: Attrs, part: Any) -> tuple[Array, ...]:
    search, grid = attrs["id"], attrs["grid"]
    f = part.factors(search, grid in ("signed", "narrow")).astype(row.dtype)
    if search == "grid100_2d" and part.two_sided(row, rows):
        s, z = part.plane(row, f, attrs, part)
    else:
        s, z = part.place(*part.ranges(row, f, attrs, part), attrs, part)
    n, p = part.code_range(grid, attrs["bits"])
    e = s[:, None] * part.levels(row / s[:, None], z[:, None], n, p) - row
    power = attrs["p"] if attrs["p"] is not None else part.exponent(search)
    score = part.total(np.abs(e) ** row.dtype.type(power), search)
    best = part.choose(score)
    return s[best], z[best], score[best]


def total(powers: Array, search: str) -> Array:
    """The mean over the row; the sum for fro."""
    sums = powers.sum(axis=1)
    return np.asarray(sums if search == "fro" else sums / powers.dtype.type(powers.shape[1]))


def factors(search: str, symmetric: bool) -> Array:
    """In the order in which they are tried."""
    return FACTORS[search][: OMSE_OF_WEIGHTS if search == "omse" and symmetric else None]


def _mse_search(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    rows = part.rows(inputs["x"], attrs["axis"])
    s, z, score = zip(*(_one(row, rows, attrs, part) for row in rows), strict=True)
    axis = attrs["axis"]
    return {
        "s": answers(s, axis),
        "zero_point": answers(z, axis).astype(np.int64),
        "score": answers(score, axis),
    }


def fit(w: Array, q: Array, s: Array) -> Array:
    """<w, q> / <q, q>; the old step where all codes are 0."""
    square = (q * q).sum()
    return np.asarray((w * q).sum() / square if square else s)


def _lloyd(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    axis, limits = attrs["axis"], part.code_range(attrs["grid"], attrs["bits"])
    steps, errors = [], []
    for w, s in zip(as_rows(inputs["w"], axis), inputs["s0"].reshape(-1), strict=True):
        own = []
        for k in range(attrs["iters"] + 1):
            q = part.codes(w / s, *limits)
            own.append(part.error(s * q - w))
            s = part.fit(w, q, s) if k < part.updates(attrs["iters"]) else s
        steps.append(s)
        errors.append(own)
    return {"s": answers(steps, axis), "errors": answers(errors, axis).T}


def _lsq(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    rows = as_rows(inputs["x"], attrs["axis"])
    p = part.largest(attrs["grid"], attrs["bits"])
    s = part.two * part.mean(rows) / rows.dtype.type(np.sqrt(p))
    return {"s": answers(part.guarded(s), attrs["axis"])}


def guarded(s: Array) -> Array:
    """Steps, 1e-8 at least."""
    return np.asarray(np.maximum(s, s.dtype.type(EPS)))


def _plus(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    rows, axis = as_rows(inputs["x"], attrs["axis"]), attrs["axis"]
    if attrs["of"] == "activations":
        found = [part.shrunk(row, attrs, part) for row in rows]
        s, o, score = (answers(column, axis) for column in zip(*found, strict=True))
        return {"s": s, "o": o, "score": score}
    mu = rows.mean(axis=1)
    sd = part.deviation(rows)
    reach = part.reach(mu, part.sigmas * sd) / part.halves[attrs["divisor"]](attrs["bits"])
    return {"s": answers(guarded(reach), axis)}


def deviation(rows: Array) -> Array:
    """Of the population: divided by the number of values."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(np.sqrt((centred * centred).mean(axis=1)))


def shrunk(row: Array, attrs: Attrs, part: Any) -> tuple[Array, ...]:
    """The best of the ranges (min f, max f)."""
    f = (1 - 0.01 * np.arange(attrs["steps"])).astype(row.dtype)
    lo, hi, p = row.min() * f, row.max() * f, 2 ** attrs["bits"] - 1
    s = np.maximum((hi - lo) / p, row.dtype.type(EPS))
    u = part.shifted(row, lo[:, None]) / s[:, None]
    e = s[:, None] * np.clip(np.rint(u), 0, p) + lo[:, None] - row
    score = (np.abs(e) ** row.dtype.type(attrs["p"])).mean(axis=1)
    best = int(score.argmin())
    return s[best], lo[best], score[best]


MSE_SEARCH = Plain(
    _mse_search,
    {
        "rows": as_rows,
        "code_range": code_range,
        "factors": factors,
        "ends": ends,
        "top": lambda lo, hi: np.maximum(-lo, hi),
        "ranges": ranges,
        "forces_zero": lambda search: search != "shrink80",
        "clips_zero": lambda search: search != "shrink80",
        "place": place,
        "two_sided": lambda row, rows: bool(row.min() < 0 < row.max()),
        "plane": plane,
        "levels": levels,
        "exponent": lambda search: EXPONENTS.get(search, 2.0),
        "total": total,
        "choose": lambda score: int(score.argmin()),
    },
)
LLOYD_SCALE = Plain(
    _lloyd,
    {
        "code_range": code_range,
        "codes": lambda u, n, p: np.clip(np.rint(u), n, p),
        "fit": fit,
        "error": lambda e: (e * e).sum(),
        "updates": lambda iters: iters,
    },
)
LSQ_INIT = Plain(
    _lsq,
    {
        "largest": lambda grid, bits: code_range(grid, bits)[1],
        "mean": lambda rows: np.abs(rows).mean(axis=1),
        "two": 2,
        "guarded": guarded,
    },
)
LSQPLUS_INIT = Plain(
    _plus,
    {
        "deviation": deviation,
        "reach": lambda mu, spread: np.maximum(np.abs(mu - spread), np.abs(mu + spread)),
        "sigmas": 3,
        "halves": {"paper": lambda bits: 2 ** (bits - 1), "mqbench": lambda bits: 2**bits},
        "shrunk": shrunk,
        "shifted": lambda row, lo: row - lo,
    },
)
