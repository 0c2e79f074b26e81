"""What the descriptions of the border's ops share: attributes, tensors, and arguments of both."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.exact import aquant as twin
from refquant.oracle.op import Attr, Attrs, Inputs, Tensor
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import (
    BORDER_MASKS,
    BOUNDS,
    FUSES,
    GATES,
    MASKS,
    SCALES,
    BorderOptions,
)
from refquant.quantizers.grid import Grid, QParams, make_qparams

SCALE = "outer: E = clip(1/2 + kappa (sigma(P) - 1/2), 0, 1); inner: E = sigma(kappa P)"
BOUND = (
    Attr("bound", "sigmoid", "from P to [0, 1]; clip: E = clip(1/2 + P, 0, 1)", BOUNDS, True),
    Attr("scale", "outer", SCALE, SCALES, True),
    Attr("kappa", 2.5, "scale of the sigmoid"),
)
MASK = Attr(
    "border_mask", "closed", "open: the border's clips block no gradient", BORDER_MASKS, True
)
FUSE = Attr("fuse", "bound_fuse", "what the taps of a channel share, in which order", FUSES, True)
RANGE = (
    Attr("n", 0, "lowest level, code_min - zero_point"),
    Attr("p", 3, "highest level; n <= 0 <= p, with 2^bits levels, or 2^bits - 1 and n = -p"),
    Attr("a", 1.0, "weight of the rounding in 0..1"),
)
BACKWARD = (
    Attr(
        "gate",
        "literal",
        "literal: by the chain rule; support: none to the border but for n < u < p",
        GATES,
        True,
    ),
    Attr("mask", "rounded", "clip mask on v or, unrounded, on u", MASKS, True),
    Attr(
        "detach_border_input",
        False,
        "the border counts as independent of x and s",
        (False, True),
        dialect=True,
    ),
)
PARAMS = (
    Tensor("b0", "float", "(c, k)", "coefficient of 1"),
    Tensor("b1", "float", "(c, k)", "coefficient of u"),
    Tensor("b2", "float", "(c, k)", "coefficient of u^2; left out of a linear border", True),
    Tensor("fusion", "float", "(c, k)", "fusion weights; left out where all are 1", True),
)
FIELDS = ("bound", "scale", "kappa", "fuse", "border_mask", "gate", "mask", "detach_border_input")


def options(attrs: Attrs, degree: int = 2) -> BorderOptions:
    """The library's options, of the attributes that the op has."""
    return BorderOptions(degree=degree, **{name: attrs[name] for name in FIELDS if name in attrs})


def twin_options(attrs: dict[str, Any]) -> twin.Options:
    """The twin's options."""
    names = {name: attrs[name] for name in FIELDS[:-1] if name in attrs}
    return twin.Options(**names, detach=attrs.get("detach_border_input", False))


def params(inputs: Inputs) -> BorderParams:
    """The library's parameters."""
    return BorderParams(inputs["b0"], inputs["b1"], inputs.get("b2"), inputs.get("fusion"))


def twin_params(numbers: dict[str, Any]) -> list[twin.Taps]:
    """The twin's parameters, channel by channel."""
    columns = [numbers.get(name) for name in ("b0", "b1", "b2", "fusion")]

    def of_channel(c: int) -> twin.Taps:
        found: list[Any] = [None if column is None else column[c] for column in columns]
        return twin.Taps(*found)

    return [of_channel(c) for c in range(len(numbers["b0"]))]


def qparams(step: Array, n: int, p: int) -> QParams:
    """Step and grid whose levels are n..p."""
    bits = (p - n + 1).bit_length() - 1
    if p - n + 1 == 1 << bits:
        return make_qparams(step, -n, Grid("affine", bits))
    return make_qparams(step, 0, Grid("narrow", bits + 1))


def by_tap(x: list[Any], taps: int) -> list[Any]:
    """[image][channel tap][window] as [image][channel][tap][window]."""
    return [[image[i : i + taps] for i in range(0, len(image), taps)] for image in x]


def by_row(x: list[Any]) -> list[Any]:
    """The way back."""
    return [[row for channel in image for row in channel] for image in x]


def windows_last(x: Array, taps: int) -> Array:
    """(n, c k, l) as (n, c, k, l)."""
    return np.reshape(x, (x.shape[0], -1, taps, x.shape[2]))
