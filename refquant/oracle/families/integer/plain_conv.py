"""`int_conv_acc` in plain NumPy: windows cut out of the padded map, one einsum per group."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

Pair = tuple[int, int]


def padded(x: Array, padding: list[int], value: int) -> Array:
    """x in a frame [top, left, bottom, right] of one value."""
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def windows(x: Array, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """(n, c, k_h, k_w, h_o, w_o)."""
    size = [(x.shape[2 + a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1)]
    cut = np.empty((*x.shape[:2], *kernel, *size), x.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = i * dilation[0] + stride[0] * np.arange(size[0])
            columns = j * dilation[1] + stride[1] * np.arange(size[1])
            cut[:, :, i, j] = x[:, :, rows[:, None], columns]
    return cut


def by_group(cut: Array, groups: int) -> Array:
    """(n, groups, features, h_o w_o)."""
    return cut.reshape(len(cut), groups, -1, cut.shape[4] * cut.shape[5])


def filters(w: Array, groups: int) -> Array:
    """(groups, c_out/groups, features)."""
    return w.reshape(groups, len(w) // groups, -1)


def total(patches: Array, w: Array, z: int) -> Array:
    """sum w (x - z), (n, groups, c_out/groups, h_o w_o)."""
    return np.asarray(np.einsum("ngrl,gor->ngol", patches - z, w))


def _run(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    x, w = part.codes(inputs["x_codes"].astype(np.int64)), part.levels(inputs["w"].astype(np.int64))
    z, groups = part.zero(int(inputs["zero_point"])), attrs["groups"]
    frame = part.padded(x, part.padding(attrs["padding"]), part.outside(z))
    steps = part.stride(attrs["stride"]), part.dilation(attrs["dilation"])
    cut = part.windows(frame, w.shape[2:], *steps)
    acc = part.total(part.by_group(cut, groups), part.filters(w, groups), z)
    return {"acc": part.output(acc, groups).reshape(len(x), len(w), *cut.shape[4:])}


def itself(value: Any) -> Any:
    """What it is."""
    return value


INT_CONV_ACC = Plain(
    _run,
    {
        "codes": itself,
        "levels": itself,
        "zero": itself,
        "outside": itself,
        "padding": itself,
        "stride": itself,
        "dilation": itself,
        "padded": padded,
        "windows": windows,
        "by_group": by_group,
        "filters": filters,
        "total": total,
        "output": lambda acc, groups: acc,
    },
)
