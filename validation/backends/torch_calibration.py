"""Ranges and first steps in PyTorch: observers, percentiles, searches."""

import math

import torch

from validation.backends.common import CODES
from validation.backends.torch_tools import Given, Tensor, counted, per_axis, rows

DEFAULT_P = {"shrink80": 2.4, "grid100_1d": 2.4, "grid100_2d": 2.4}
EPS = 1e-8
SYMMETRIC = ("signed", "narrow")
SHRINKS = {"shrink80": 80, "mq80": 80, "mq95": 95, "omse": 90}


def step_and_zero(low: Tensor, high: Tensor, a: Given, eps: float) -> tuple[Tensor, Tensor]:
    """The step and the zero point of ranges."""
    n, p = CODES[a["grid"]](a["bits"])
    if a["grid"] == "affine":
        low = torch.clamp(low, max=0)
        s = torch.clamp((torch.clamp(high, min=0) - low) / p, min=eps)
        return s, torch.clamp(-torch.round(low / s), 0, p)
    if a["grid"] == "unsigned":
        s = torch.clamp(high, min=0) / p
    elif a["divisor"] == "amct":
        s = torch.maximum(high / p, low / n)
    else:
        s = torch.maximum(-low, high) / (p if a["divisor"] == "p" else (p - n) / 2)
    return torch.clamp(s, min=eps), torch.zeros_like(low)


def range_to_qparams(x: Given, a: Given) -> Given:
    """From a range."""
    s, zero = step_and_zero(x["lo"], x["hi"], a, a["eps"])
    return {"s": s, "zero_point": zero.to(torch.int64)}


def ends(x: Given, a: Given) -> tuple[Tensor, Tensor]:
    """Minima and maxima of each batch."""
    batches = x["batches"]
    if a["axis"] is None:
        flat = batches.flatten(1)
    else:
        flat = batches.movedim(a["axis"] % (batches.ndim - 1) + 1, 1).flatten(2)
    return flat.amin(-1), flat.amax(-1)


def minmax_observer(x: Given, a: Given) -> Given:
    """Over all batches."""
    low, high = ends(x, a)
    return {"lo": low.amin(0), "hi": high.amax(0)}


def ema_observer(x: Given, a: Given) -> Given:
    """Batch by batch."""
    found = []
    for series in ends(x, a):
        value = series[0]
        for new in series[1:]:
            value = a["momentum"] * value + (1 - a["momentum"]) * new
        found.append(value)
    return dict(zip(("lo", "hi"), found, strict=True))


def avg_observer(x: Given, a: Given) -> Given:
    """The mean of the batches."""
    low, high = ends(x, a)
    return {"lo": low.mean(0), "hi": high.mean(0)}


def percentile_range(x: Given, a: Given) -> Given:
    """Order statistics, or torch.quantile."""
    values, q = rows(x["x"], a["axis"]), a["q"]
    if a["rule"] == "interpolated":
        shares = values.new_tensor([1 - q, q])
        low, high = torch.quantile(values, shares, dim=-1)
    else:
        low, high = order_statistics(values, q)
    return {"lo": per_axis(low, a["axis"]), "hi": per_axis(high, a["axis"])}


def order_statistics(values: Tensor, q: float) -> tuple[Tensor, Tensor]:
    """PPQ's ends: what stands at these places of the sorted values."""
    ordered, n = values.sort(-1).values, values.shape[1]
    return ordered[:, int(n * (1 - q))], ordered[:, min(int(n * q), n - 1)]


def hundredths(first: int, count: int, like: Tensor) -> Tensor:
    """A column of (first + i) / 100; downwards if the count is negative."""
    steps = counted(abs(count), like)
    return ((first + (steps if count > 0 else -steps)) / 100)[:, None]


def shrunk(values: Tensor, a: Given) -> tuple[Tensor, Tensor]:
    """Both ends of the range times 1, 0.99, 0.98 ..."""
    count = 50 if a["id"] == "omse" and a["grid"] in SYMMETRIC else SHRINKS[a["id"]]
    share = hundredths(100, -count, values)
    low, high = values.amin(-1) * share, values.amax(-1) * share
    if a["id"] != "shrink80" or a["grid"] != "affine":
        return step_and_zero(low, high, a, EPS)
    s = torch.clamp((high - low) / (2 ** a["bits"] - 1), min=EPS)  # 0 need not be inside
    return s, -torch.round(low / s)


def thresholds(values: Tensor, a: Given) -> tuple[Tensor, Tensor]:
    """Hundredths of the largest magnitude, on the sides that have data."""
    low, high = values.amin(-1), values.amax(-1)
    reach = torch.maximum(-low, high) * hundredths(1, 100, values)
    sides = torch.where(low < 0, -reach, 0.0), torch.where(high > 0, reach, 0.0)
    return step_and_zero(*sides, a, EPS)


def plane(values: Tensor, a: Given) -> tuple[Tensor, Tensor]:
    """Hundredths of the width, each with every zero point; thresholds for data of one sign."""
    low, high, top = values.amin(-1), values.amax(-1), 2 ** a["bits"] - 1
    s = torch.clamp((high - low) * hundredths(1, 100, values) / top, min=EPS)
    zero = counted(top + 1, values).repeat(100)[:, None]
    s, (s1, zero1) = s.repeat_interleave(top + 1, 0), thresholds(values, a)
    late = len(s) - len(s1)
    padded = (torch.cat([t, t[-1:].expand(late, -1)]) for t in (s1, zero1))
    two_sided = (low < 0) & (high > 0)
    s1, zero1 = padded
    return torch.where(two_sided, s, s1), torch.where(two_sided, zero, zero1)


def around_quantile(values: Tensor, a: Given) -> tuple[Tensor, Tensor]:
    """0.70 to 1.30 of the order statistics at 0.999999; on affine grids of the upper one."""
    share = hundredths(70, 61, values)
    low, high = order_statistics(values, 0.999999)
    return step_and_zero(low * (share**0 if a["grid"] == "affine" else share), high * share, a, EPS)


CANDIDATES = dict.fromkeys(SHRINKS, shrunk) | {
    "grid100_1d": thresholds,
    "fro": thresholds,
    "grid100_2d": plane,
    "ifmr": around_quantile,
}


def mse_search(x: Given, a: Given) -> Given:
    """All candidates at once."""
    values = rows(x["x"], a["axis"])
    n, p = CODES[a["grid"]](a["bits"])
    s, zero = CANDIDATES[a["id"]](values, a)
    level = torch.clamp(
        torch.round(values / s[..., None]), (n - zero)[..., None], (p - zero)[..., None]
    )
    power = a["p"] or DEFAULT_P.get(a["id"], 2.0)
    error = (s[..., None] * level - values).abs() ** power
    score = error.sum(-1) if a["id"] == "fro" else error.mean(-1)
    best = score.argmin(0, keepdim=True)
    s, zero, score = (per_axis(t.gather(0, best)[0], a["axis"]) for t in (s, zero, score))
    return {"s": s, "zero_point": zero.to(torch.int64), "score": score}


def lloyd_scale(x: Given, a: Given) -> Given:
    """Codes and step in turn; a row that has come to rest keeps its error."""
    values, s = rows(x["w"], a["axis"]), x["s0"].reshape(-1)
    grid = CODES[a["grid"]](a["bits"])

    def codes(s: Tensor) -> Tensor:
        return torch.clamp(torch.round(values / s[:, None]), *grid)

    def error(s: Tensor) -> Tensor:
        return ((s[:, None] * codes(s) - values) ** 2).sum(1)

    found = [error(s)]
    for _ in range(a["iters"]):
        q = codes(s)
        squares = (q**2).sum(1)
        s = torch.where(squares == 0, s, (values * q).sum(1) / squares)
        found.append(error(s))
    errors = torch.stack(found)
    return {"s": per_axis(s, a["axis"]), "errors": errors[:, 0] if a["axis"] is None else errors}


def lsq_init(x: Given, a: Given) -> Given:
    """2 mean|x| / sqrt(p)."""
    mean = rows(x["x"], a["axis"]).abs().mean(-1)
    s = 2 * mean / math.sqrt(CODES[a["grid"]](a["bits"])[1])
    return {"s": per_axis(torch.clamp(s, min=1e-8), a["axis"])}


def lsqplus_init(x: Given, a: Given) -> Given:
    """Three standard deviations, or a search."""
    values, axis = rows(x["x"], a["axis"]), a["axis"]
    if a["of"] == "weights":
        mean, sd = values.mean(-1), values.std(-1, correction=0)
        reach = torch.maximum((mean - 3 * sd).abs(), (mean + 3 * sd).abs())
        return {"s": per_axis(reach / 2 ** (a["bits"] - (a["divisor"] == "paper")), axis)}
    low, top = values.amin(-1), 2 ** a["bits"] - 1
    share = 1 - 0.01 * counted(a["steps"], values)[:, None]
    s, offset = (values.amax(-1) - low) * share / top, low * share
    q = torch.clamp(torch.round((values - offset[..., None]) / s[..., None]), 0, top)
    score = ((s[..., None] * q + offset[..., None] - values).abs() ** a["p"]).mean(-1)
    best = score.argmin(0, keepdim=True)
    found = {"s": s, "o": offset, "score": score}
    return {k: per_axis(v.gather(0, best)[0], axis) for k, v in found.items()}


FORWARD = {
    "range_to_qparams": range_to_qparams,
    "minmax_observer": minmax_observer,
    "ema_observer": ema_observer,
    "avg_observer": avg_observer,
    "percentile_range": percentile_range,
    "mse_search": mse_search,
    "lloyd_scale": lloyd_scale,
    "lsq_init": lsq_init,
    "lsqplus_init": lsqplus_init,
}
