"""Kernels in Triton as backends, one for each arithmetic of the tensor cores.

    refquant verify validation.cuda.triton_backend:Ieee
    refquant verify validation.cuda.triton_backend:Bfloat16 --only 'linear*,conv2d*'

With TRITON_INTERPRET=1 they run on the CPU, slowly: so they were debugged.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
import triton
from torch.nn import functional as F

from validation.backends.common import CODES, Arrays, dispatch, only
from validation.backends.torch_layers import padded
from validation.cuda import triton_kernels

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
BLOCK = 32
FLOATS = {"float16": torch.float16, "bfloat16": torch.bfloat16}
Tensor = torch.Tensor


class Triton:
    """Everything that has a kernel; products in one arithmetic.

    Parameters
    ----------
    dtype : str
        What products take: float32, tf32, float16 or bfloat16; they add in float32.
    exact : bool
        Whether quotients are rounded as IEEE 754 asks.
    """

    profile = "any"

    def __init__(self, dtype: str = "float32", exact: bool = True) -> None:
        how = dtype if exact else f"{dtype}, division by a slash"
        self.name, self.dtype, self.exact = f"Triton {triton.__version__}, {how}", dtype, exact

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Look the op up; only products differ from arithmetic to arithmetic."""
        x = {k: torch.from_numpy(v.copy()).to(DEVICE) for k, v in inputs.items()}
        parts = (self.linear, self.linear_backward, self.conv2d, self.conv2d_backward)
        found = {part.__name__: part for part in parts}
        if self.dtype == "float32":
            others = (self.fake_quant, self.aquant_quant, self.int_conv_acc)
            found |= {part.__name__: part for part in others}
        return {k: v.cpu().numpy() for k, v in dispatch(op, x, attrs, **found).items()}

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """a b for matrices, or for a batch of them."""
        given = FLOATS.get(self.dtype, torch.float32)
        return multiplied(a.to(given), b.to(given), "tf32" if self.dtype == "tf32" else "ieee")

    def linear(self, x: Arrays, attrs: Arrays) -> Arrays:
        """x w^T + bias."""
        y = self.product(x["x"], x["w"].T)
        return {"y": y + x["bias"] if "bias" in x else y}

    def linear_backward(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Two products and a sum."""
        d_y = x["d_y"]
        d_x, d_w = self.product(d_y, x["w"]), self.product(d_y.T, x["x"])
        return {"d_x": d_x, "d_w": d_w, "d_bias": d_y.sum(0)}

    def conv2d(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Patches times the filters of each group."""
        y = convolved(self.product, padded(x["x"], attrs), x["w"], attrs)
        return {"y": y + x["bias"][:, None, None] if "bias" in x else y}

    def conv2d_backward(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Gradients of patches, folded onto the map, and of filters, summed over the images."""
        d_y, w, groups = x["d_y"], x["w"], attrs["groups"]
        whole = padded(x["x"], attrs)
        patches = grouped(whole, w, attrs)  # (n, g, taps, places)
        d = d_y.reshape(len(d_y), groups, -1, patches.shape[-1])
        filters = w.reshape(groups, len(w) // groups, -1)
        d_w = self.product(
            d.permute(1, 2, 0, 3).flatten(2), patches.permute(1, 0, 3, 2).flatten(1, 2)
        )
        d_patches = torch.stack([self.product(filters.mT, image) for image in d])
        d_x = F.fold(d_patches.flatten(1, 2), whole.shape[2:], *geometry(w, attrs))
        top, left, _, _ = attrs["padding"]
        h, width = x["x"].shape[2:]
        d_x = d_x[:, :, top : top + h, left : left + width]
        return {"d_x": d_x, "d_w": d_w.reshape(w.shape), "d_bias": d_y.sum((0, 2, 3))}

    def int_conv_acc(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Bytes times bytes; unsigned codes are moved by 128, which the sum of the filter mends."""
        codes, w, zero = x["x_codes"], x["w"], int(x["zero_point"])
        moved = 128 if int(codes.max()) > 127 else 0
        only(all(is_bytes(t) for t in (codes - moved, w, x["zero_point"] - moved)), "bytes only")
        top, left, bottom, right = attrs["padding"]
        whole = F.pad(codes - moved, (left, right, top, bottom), value=zero - moved)
        acc = convolved(bytes_product, whole, w, attrs)
        return {"acc": acc + (moved - zero) * w.sum((1, 2, 3), dtype=torch.int32)[:, None, None]}

    def fake_quant(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Flat, with the channel found from the place."""
        value, axis = x["x"], attrs["axis"]
        low, high = CODES[attrs["grid"]](attrs["bits"])
        inner = 1 if axis is None else value[(0,) * (axis % value.ndim + 1)].numel()
        y, codes = torch.empty_like(value), torch.empty_like(value, dtype=torch.int32)
        triton_kernels.fake_quant[(triton.cdiv(value.numel(), 128),)](
            value, x["s"], x["zero_point"], y, codes, value.numel(), inner, x["s"].numel(),
            low, high, attrs["rounding"], attrs["nan"], self.exact, 128,
        )  # fmt: skip
        return {"y": y, "codes": codes}

    def aquant_quant(self, x: Arrays, attrs: Arrays) -> Arrays:
        """A program for each channel of an image and each block of places."""
        b0, value = x["b0"], x["x"]
        channels, taps = b0.shape
        images, places = len(value), value.shape[-1]
        apart = attrs["fuse"] == "none"
        border = value.new_empty(images, channels, taps if apart else 1, places)
        x_hat, levels = torch.empty_like(value), torch.empty_like(value)
        b2, fusion = x.get("b2", torch.zeros_like(b0)), x.get("fusion", torch.ones_like(b0))
        numbers = (float(x["s"]), *(float(attrs[k]) for k in ("a", "n", "p", "kappa")))
        triton_kernels.aquant[(images * channels, triton.cdiv(places, BLOCK))](
            value, b0, x["b1"], b2, fusion, x_hat, levels, border,
            *numbers, channels, taps, places,
            attrs["fuse"], attrs["bound"], attrs["scale"], triton.next_power_of_2(taps), BLOCK,
        )  # fmt: skip
        return {"x_hat": x_hat, "levels": levels, "border": border}


def multiplied(a: Tensor, b: Tensor, precision: str) -> Tensor:
    """The product of two batches of matrices, or of two matrices, in 32 bits."""
    left, right = (t.reshape(-1, *t.shape[-2:]).contiguous() for t in (a, b))
    batch, m, k = left.shape
    n, whole = right.shape[-1], a.dtype == torch.int8
    y = torch.empty(batch, m, n, dtype=torch.int32 if whole else torch.float32, device=a.device)
    grid = triton.cdiv(m, BLOCK), triton.cdiv(n, BLOCK), batch
    triton_kernels.product[grid](left, right, y, m, n, k, precision, whole, BLOCK)
    return y.reshape(*a.shape[:-1], n)


def is_bytes(t: Tensor) -> bool:
    """Whether signed bytes hold it."""
    return bool(((t >= -128) & (t <= 127)).all())


def bytes_product(a: Tensor, b: Tensor) -> Tensor:
    """Bytes in, 32-bit integers out."""
    return multiplied(a.to(torch.int8), b.to(torch.int8), "ieee")


def geometry(w: Tensor, attrs: Arrays) -> tuple[Any, ...]:
    """Kernel, dilation, padding and stride, in the order of F.unfold."""
    return tuple(w.shape[2:]), tuple(attrs["dilation"]), 0, tuple(attrs["stride"])


def grouped(whole: Tensor, w: Tensor, attrs: Arrays) -> Tensor:
    """Patches of a padded map: (n, groups, taps of a group, places)."""
    patches = F.unfold(whole.to(torch.float32), *geometry(w, attrs))
    return patches.unflatten(1, (attrs["groups"], -1)).to(whole.dtype)


def convolved(times: Callable[..., Tensor], whole: Tensor, w: Tensor, attrs: Arrays) -> Tensor:
    """Filters times patches, for each image."""
    patches = grouped(whole, w, attrs)
    filters = w.reshape(attrs["groups"], len(w) // attrs["groups"], -1)
    y = torch.stack([times(filters, image) for image in patches]).flatten(1, 2)
    size = (
        (n - d * (k - 1) - 1) // step + 1
        for n, k, d, step in zip(
            whole.shape[2:], w.shape[2:], attrs["dilation"], attrs["stride"], strict=True
        )
    )
    return y.unflatten(2, tuple(size))


Ieee, Slash = Triton(), Triton(exact=False)
Tf32, Float16, Bfloat16 = Triton("tf32"), Triton("float16"), Triton("bfloat16")
