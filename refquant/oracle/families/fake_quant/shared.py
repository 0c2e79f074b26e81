"""What the descriptions of the uniform quantizers have in common."""

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Attr, Tensor
from refquant.quantizers.grid import KINDS

X = Tensor("x", "float", "any", "values to be quantized")
STEP = Tensor("s", "float", "() or (c,)", "distance of two levels, units of x")
BITS = Attr("bits", 8, "width of a code, 2..16")
GRID = Attr("grid", "signed", "which codes there are", KINDS)
AXIS = Attr("axis", None, "the axis of x along which parameters differ; none: one for all of x")
GRAD_SCALE = Attr("grad_scale", 1.0, "factor on the gradients of the parameters")


def spread(parameter: Array, axis: int | None, ndim: int) -> Array:
    """Return a parameter of shape () or (c,) in the shape that broadcasts along `axis`."""
    if axis is None:
        return parameter
    shape = np.ones(ndim, dtype=np.int64)
    shape[axis] = parameter.size
    return parameter.reshape(shape)
