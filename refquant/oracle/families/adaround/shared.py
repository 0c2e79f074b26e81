"""What the descriptions of AdaRound's operations have in common."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.nested import pairs
from refquant.oracle.op import Attr, Attrs, Inputs, Tensor
from refquant.quantizers.grid import KINDS, Grid, QParams, make_qparams
from refquant.quantizers.rectified_sigmoid import EDGES

ALPHA = Tensor("alpha", "float", "any", "variables of the rounding decisions")
W = Tensor("w", "float", "(c_out, ...)", "float weights")
W_LINEAR = Tensor("w", "float", "(c_out, k)", "float weights")
S = Tensor("s", "float", "() or (c_out,)", "distance of two levels, units of w")
ZERO_POINT = Tensor("zero_point", "int", "like s", "the code of 0; 0 unless the grid is affine")
ALPHA_W = Tensor("alpha", "float", "like w", "variables of the rounding decisions")
BITS = Attr("bits", 4, "width of a code, 2..16")
GRID = Attr("grid", "signed", "which codes there are", KINDS)
EDGE = Attr(
    "edge",
    "inclusive",
    "whether the gradient passes at |alpha| = ln 11, where weights on the grid start",
    EDGES,
    dialect=True,
)


def qparams_of(inputs: Inputs, attrs: Attrs) -> QParams:
    """Return step, zero point and grid as the library takes them, channels on axis 0."""
    ndim = inputs["w"].ndim
    step, zero_point = (spread(inputs[name], ndim) for name in ("s", "zero_point"))
    return make_qparams(step, zero_point, Grid(attrs["grid"], attrs["bits"]))


def spread(parameter: Array, ndim: int) -> Array:
    """Return a parameter of shape () or (c_out,) in the shape that broadcasts to (c_out, ...)."""
    return parameter.reshape(-1, *(1,) * (ndim - 1)) if np.ndim(parameter) else parameter


def limits(grid: str, bits: int, zero_point: int) -> tuple[int, int]:
    """Return the ends (n, p) of u-space."""
    ends: tuple[int, int] = Grid(grid, bits).limits(zero_point)
    return ends


def by_channel(
    numbers: dict[str, Any], names: tuple[str, str], function: Callable[[Any, Any, Any, int], Any]
) -> Any:
    """Return function(a, b, s, zero_point) of every number of two tensors (c_out, ...)."""
    channels = []
    for i, (a, b) in enumerate(zip(*(numbers[name] for name in names), strict=True)):
        s, zero = (
            v[i] if isinstance(v, list) else v for v in (numbers["s"], numbers["zero_point"])
        )
        channels.append(pairs(a, b, partial(_placed, function, s, zero)))
    return channels


def _placed(
    function: Callable[[Any, Any, Any, int], Any], s: Any, zero: int, a: Any, b: Any
) -> Any:
    return function(a, b, s, zero)
