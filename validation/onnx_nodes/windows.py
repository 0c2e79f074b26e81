"""Sliding windows: ONNX's attributes as refquant's geometry, automatic padding included.

    auto_pad              padding along an axis of size n, with stride s and dilated kernel k
    NOTSET                pads, as they are
    VALID                 none
    SAME_UPPER, _LOWER    max((ceil(n / s) - 1) s + k - n, 0), the odd one behind or before

ceil_mode adds windows that start on the input or on the padding before it: as rows of padding
behind, which `refquant.layers.windows` asks for.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def window(attrs: Mapping[str, Any], kernel: Sequence[int], size: Sequence[int]) -> dict[str, Any]:
    """Return stride, padding and dilation of a node in two dimensions."""
    stride = list(attrs.get("strides", (1, 1)))
    dilation = list(attrs.get("dilations", (1, 1)))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = explicit(attrs) if explicit(attrs) else same(attrs["auto_pad"], size, stride, span)
    if attrs.get("ceil_mode"):
        more = [
            extra(n, padding[i], padding[i + 2], stride[i], span[i]) for i, n in enumerate(size)
        ]
        padding = [*padding[:2], padding[2] + more[0], padding[3] + more[1]]
    return {"stride": stride, "padding": padding, "dilation": dilation}


def explicit(attrs: Mapping[str, Any]) -> list[int]:
    """Padding that does not depend on the input; nothing if it does."""
    auto = attrs.get("auto_pad", "NOTSET")
    return list(attrs.get("pads", (0,) * 4)) if auto == "NOTSET" else [0] * 4 * (auto == "VALID")


def same(auto: str, size: Sequence[int], stride: Sequence[int], span: Sequence[int]) -> list[int]:
    """Padding by which there are ceil(size / stride) windows."""
    total = [
        max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, span, strict=True)
    ]
    few, many = [t // 2 for t in total], [t - t // 2 for t in total]
    return few + many if auto == "SAME_UPPER" else many + few


def extra(size: int, before: int, after: int, stride: int, span: int) -> int:
    """Rows of padding that the last, incomplete window of ceil_mode reaches beyond."""
    room = size + before + after - span
    last = -(-room // stride) * stride
    return last - room if last < size + before else 0
