"""The attributes of everything that slides a window, and what library and twin make of them."""

from types import SimpleNamespace
from typing import Any

from refquant.layers.geometry import Geometry
from refquant.oracle.op import Attr, Attrs

KERNEL = Attr("kernel", [1, 1], "[k_h, k_w], taps along rows and columns")
GROUPS = Attr("groups", 1, "channels fall into so many groups of neighbours that do not mix")
WINDOWS = (
    Attr("stride", [1, 1], "[rows, columns], distance of neighbouring windows"),
    Attr("padding", [0, 0, 0, 0], "[top, left, bottom, right], as in ONNX"),
    Attr("dilation", [1, 1], "[rows, columns], distance of neighbouring taps"),
)
SIZES = (
    "h_o = (h + top + bottom - dilation_h (k_h - 1) - 1) // stride_h + 1, at least 1;  w_o alike"
)


def geometry(attrs: Attrs, kernel: Any) -> Geometry:
    """The library's geometry."""
    given = fields(attrs, kernel)
    return Geometry(given.kernel, given.stride, given.dilation, given.padding, given.groups)


def fields(attrs: Attrs, kernel: Any) -> SimpleNamespace:
    """What the twins take: five fields and no code."""
    return SimpleNamespace(
        kernel=tuple(kernel),
        stride=tuple(attrs["stride"]),
        dilation=tuple(attrs["dilation"]),
        padding=tuple(attrs["padding"]),
        groups=attrs.get("groups", 1),
    )
