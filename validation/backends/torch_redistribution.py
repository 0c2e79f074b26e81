"""Scales that move range between layers, in PyTorch."""

import torch

from validation.backends.torch_tools import Given


def smoothquant_scale(x: Given, a: Given) -> Given:
    """x_max^alpha / w_max^(1 - alpha)."""
    weights = torch.clamp(x["w_max"], min=1e-5) ** (1 - a["alpha"])
    return {"scale": torch.clamp(x["x_max"] ** a["alpha"] / weights, min=1e-5)}


def osplus_shift_scale(x: Given, a: Given) -> Given:
    """The largest magnitude after the shift, in thresholds."""
    shift = (x["high"] + x["low"]) / 2
    reach = torch.maximum(x["high"] - shift, shift - x["low"])
    return {"shift": shift, "scale": torch.clamp(reach / a["threshold"], min=1)}


def repq_reparam(x: Given, a: Given) -> Given:
    """Means over the channels."""
    s, zero = x["s"].mean(), torch.round(x["zero_point"].double().mean())
    offset = s * (zero - x["zero_point"]).to(s.dtype)
    common = {"common_s": s, "common_zero_point": zero.to(torch.int64)}
    return common | {"ratio": x["s"] / s, "offset": offset}


def cle_scale(x: Given, a: Given) -> Given:
    """sqrt(r2 / r1)."""
    dead = (x["r1"] == 0) | (x["r2"] == 0)
    scale = torch.where(dead, 1.0, torch.sqrt(x["r2"] / x["r1"]))
    return {"scale": scale if a["clip"] is None else torch.clamp(scale, *a["clip"])}


FORWARD = {
    "smoothquant_scale": smoothquant_scale,
    "osplus_shift_scale": osplus_shift_scale,
    "repq_reparam": repq_reparam,
    "cle_scale": cle_scale,
}
