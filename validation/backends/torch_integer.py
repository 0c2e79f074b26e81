"""Integer inference in PyTorch: 64-bit arithmetic, no floats but in `requant_float`."""

import torch
from torch.nn import functional as F

from validation.backends.common import CODES, along, only
from validation.backends.torch_layers import padded
from validation.backends.torch_tools import Given, Tensor

INT32 = -(2**31), 2**31 - 1


def int_conv_acc(x: Given, a: Given) -> Given:
    """F.conv2d of 64-bit integers, less the zero point."""
    only(not x["w"].is_cuda, "no convolution of integers on GPUs")
    codes = x["x_codes"].to(torch.int64) - x["zero_point"]
    options = (tuple(a["stride"]), 0, tuple(a["dilation"]), a["groups"])
    return {"acc": F.conv2d(padded(codes, a), x["w"].to(torch.int64), None, *options)}


def to_codes(level: Tensor, x: Given, a: Given) -> Given:
    """Add the zero point, clip, and fuse the ReLU."""
    low, high = CODES[a["grid"]](a["bits"])
    codes = level.to(torch.int64) + x["zero_point"]
    if a["relu"]:
        codes = torch.maximum(codes, x["zero_point"])
    return {"codes": torch.clamp(codes, low, high)}


def requant_float(x: Given, a: Given) -> Given:
    """rint((scale acc + offset) / step)."""
    scale, offset = (along(x[k], a["axis"], x["acc"]) for k in ("scale", "offset"))
    level = torch.round((scale * x["acc"] + offset) / x["step"])
    return to_codes(torch.clamp(level, *INT32), x, a)


def doubling_high_product(acc: Tensor, m0: Tensor) -> Tensor:
    """gemmlowp's saturating rounding doubling high multiply."""
    product = acc * m0
    nudge = torch.where(product >= 0, 2**30, 1 - 2**30)
    return torch.clamp(torch.div(product + nudge, 2**31, rounding_mode="trunc"), *INT32)


def half_away(x: Tensor, exponent: Tensor) -> Tensor:
    """x / 2^exponent, ties away from zero."""
    half = torch.where(exponent > 0, 1 << torch.clamp(exponent - 1, 0, 62), 0)
    return torch.sign(x) * ((x.abs() + half) >> exponent)


def requant_fixed(x: Given, a: Given) -> Given:
    """A 32-bit multiplier and a shift, in two roundings or in one."""
    acc = x["acc"].to(torch.int64)
    m0, exponent = (along(x[k].to(torch.int64), a["axis"], acc) for k in ("m0", "exponent"))
    left, right = torch.clamp(-exponent, 0), torch.clamp(exponent, 0)
    acc = torch.clamp(acc << left, *INT32)
    if a["requantize"] == "double":
        return to_codes(half_away(doubling_high_product(acc, m0), torch.clamp(right, max=62)), x, a)
    shift = 31 + torch.clamp(right, max=31)
    once = (acc * m0 + (1 << (shift - 1))) >> shift
    return to_codes(torch.where(right > 31, 0, once), x, a)


def quantize_multiplier(x: Given, a: Given) -> Given:
    """torch.frexp of the magnitude, in float64."""
    mantissa, exponent = torch.frexp(x["multiplier"].double().abs())
    scaled = mantissa * 2**31
    away = a["mantissa_rounding"] == "half_away"
    m0 = (torch.floor(scaled + 0.5) if away else torch.round(scaled)).to(torch.int64)
    carried = m0 == 2**31
    m0 = torch.where(carried, 2**30, m0) * torch.sign(x["multiplier"]).to(torch.int64)
    right = -exponent.to(torch.int64) - carried.to(torch.int64)
    return {"m0": m0, "exponent": torch.where(m0 == 0, 0, right)}


FORWARD = {
    "int_conv_acc": int_conv_acc,
    "requant_float": requant_float,
    "requant_fixed": requant_fixed,
    "quantize_multiplier": quantize_multiplier,
}
