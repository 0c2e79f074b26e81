"""Rounding and uniform quantizers in PyTorch, forwards."""

import torch

from validation.backends.common import CODES, along
from validation.backends.torch_tools import Given, Tensor, clip, finite, nearest, straight


def half_up(x: Tensor) -> Tensor:
    """Nearest, ties up; x + 1/2 would be rounded itself."""
    low = torch.floor(x)
    return torch.where(x - low >= 0.5, low + 1, low)


def half_away(x: Tensor) -> Tensor:
    """Nearest, ties away from zero."""
    low = torch.trunc(x)
    return torch.where((x - low).abs() >= 0.5, low + torch.sign(x), low)


ROUND = {
    "rint": torch.round,
    "half_up": half_up,
    "half_down": lambda x: -half_up(-x),
    "half_away": half_away,
    "floor": torch.floor,
    "ceil": torch.ceil,
}


def border_round(x: Given, a: Given) -> Given:
    """floor(u) + [f > B], with the comparison moved where the fraction is not exact."""
    u, border = x["u"], x["border"]
    base = torch.floor(u)
    up = torch.where((u > -0.5) & (u < 0), u > border - 1, u - base > border)
    return {"y": torch.where(torch.isfinite(u), base + up, u)}


def fake_quant(x: Given, a: Given) -> Given:
    """As in QAT, clamp(round_ste(x / s)): x / s stays infinite where autograd sees it."""
    s, z = (along(x[k], a["axis"], x["x"]) for k in ("s", "zero_point"))
    low, high = CODES[a["grid"]](a["bits"])
    u = finite(x["x"] / s)
    hard = torch.clamp(ROUND[a["rounding"]](u.detach()), low - z, high - z)
    if a.get("mask") == "unrounded":
        q = straight(hard, torch.clamp(u, low - z, high - z))
    else:
        q = torch.clamp(straight(ROUND[a["rounding"]](u), u), low - z, high - z)
    rest = {"zero_point": torch.zeros_like(hard), "low": low - z, "high": high - z}
    q = torch.where(torch.isnan(x["x"]), rest[a.get("nan", "zero_point")], q)
    return {"y": s * q, "codes": (q.detach() + z).to(torch.int64)}


def lsqplus_int(x: Given, a: Given) -> Given:
    """clip(rint(x / s) + Z), both roundings straight through."""
    s, z = (along(x[k], a["axis"], x["x"]) for k in ("s", "zero_point"))
    zero = nearest(z)
    q = torch.clamp(nearest(finite(x["x"]) / s) + zero, 0, 2 ** a["bits"] - 1)
    q = torch.where(torch.isnan(x["x"]), q.detach(), q)  # NaN counts as clipped
    return {"y": s * (q - zero)}


def lsqplus_real(x: Given, a: Given) -> Given:
    """clip(rint((x - o) / s)), and the offset added again."""
    s, offset = (along(x[k], a["axis"], x["x"]) for k in ("s", "offset"))
    q = torch.clamp(nearest((finite(x["x"]) - offset) / s), *CODES[a["grid"]](a["bits"]))
    q = torch.where(torch.isnan(x["x"]), q.detach(), q)
    return {"y": s * q + offset}


def adaquant_quant(x: Given, a: Given) -> Given:
    """A step and a zero point of a range, clamped before they round."""
    span, minimum = (along(x[k], a["axis"], x["x"]) for k in ("span", "minimum"))
    top = 2 ** a["bits"] - 1
    s = clip(span, 1e-6, 1e5) / top
    zero = torch.clamp(nearest(-minimum / s), 0, top)
    t = torch.clamp(finite(x["x"]) / s + zero, 0, top)
    q = torch.where(torch.isnan(x["x"]), t.round().detach(), nearest(t))
    return {"y": s * (q - zero)}


def logsqrt2_quant(x: Given, a: Given) -> Given:
    """Halves of octaves below the scale."""
    r = torch.round(-2 * torch.log2(x["x"] / x["scale"]))
    r = torch.nan_to_num(r, torch.inf, torch.inf, -torch.inf)
    zero = r >= 2 ** a["bits"]
    codes = torch.clamp(r, 0, 2 ** a["bits"] - 1)
    y = torch.where(zero, 0.0, x["scale"] * torch.exp2(-codes / 2))
    return {"y": y, "codes": codes.to(torch.int64), "zero": zero}


FORWARD = {
    "round": lambda x, a: {"y": ROUND[a["mode"]](x["x"])},
    "border_round": border_round,
    "fake_quant": fake_quant,
    "lsqplus_int": lsqplus_int,
    "lsqplus_real": lsqplus_real,
    "adaquant_quant": adaquant_quant,
    "logsqrt2_quant": logsqrt2_quant,
}
