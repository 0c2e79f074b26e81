"""Descriptions of the poolings, forward and backward."""

from typing import Any

from refquant.layers import average_pool as library_average
from refquant.layers import global_average_pool as library_global
from refquant.layers import max_pool as library_max
from refquant.oracle.exact import pooling as twin
from refquant.oracle.families.layers import plain_pool as plain
from refquant.oracle.families.layers.windows import KERNEL, SIZES, WINDOWS, fields, geometry
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]
X = Tensor("x", "float", "(n, c, h, w)", "the input, without NaN")
Y = Tensor("y", "float", "(n, c, h_o, w_o)", "the output")
D_Y = Tensor("d_y", "float", "(n, c, h_o, w_o)", "dL/dy")
D_X = Tensor("d_x", "float", "like x", "dL/dx")
COUNTS = Attr(
    "count_include_pad", False, "divide by all taps, also those on padding", (False, True), True
)


def _window(attrs: Numbers) -> twin.Window:
    f = fields(attrs, attrs["kernel"])
    return twin.Window(f.kernel, f.stride, f.dilation, f.padding)


def _max(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": library_max.max_pool_forward(inputs["x"], geometry(attrs, attrs["kernel"]))[0]}


def _max_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = library_max.max_pool_forward(inputs["x"], geometry(attrs, attrs["kernel"]))
    return {"d_x": library_max.max_pool_backward(inputs["d_y"], cache)}


def _average(inputs: Inputs, attrs: Attrs) -> Arrays:
    window, counts = geometry(attrs, attrs["kernel"]), attrs["count_include_pad"]
    return {"y": library_average.average_pool_forward(inputs["x"], window, counts)[0]}


def _average_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    window, counts = geometry(attrs, attrs["kernel"]), attrs["count_include_pad"]
    _, cache = library_average.average_pool_forward(inputs["x"], window, counts)
    return {"d_x": library_average.average_pool_backward(inputs["d_y"], cache)}


def _max_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"y": twin.max_pool(numbers["x"], _window(attrs))}


def _max_backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"d_x": twin.max_pool_backward(numbers["d_y"], numbers["x"], _window(attrs))}


def _average_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"y": twin.average_pool(numbers["x"], _window(attrs), attrs["count_include_pad"])}


def _average_backward_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    operands = numbers["d_y"], numbers["x"], _window(attrs)
    return {"d_x": twin.average_pool_backward(*operands, attrs["count_include_pad"])}


def _global(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"y": library_global.global_average_pool_forward(inputs["x"])[0]}


def _global_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = library_global.global_average_pool_forward(inputs["x"])
    return {"d_x": library_global.global_average_pool_backward(inputs["d_y"], cache)}


OPS = (
    Op(
        name="max_pool",
        says="The largest value under every window; padding never wins.",
        formula=f"y = max of x over the taps that lie on the map; every window has one\n{SIZES}",
        inputs=(X,),
        outputs=(Y,),
        attrs=(KERNEL, *WINDOWS),
        clauses=("4.3", "C1"),
        reference=_max,
        twin=_max_twin,
        plain=plain.MAX_POOL,
    ),
    Op(
        name="max_pool_backward",
        says="Send every gradient to the first maximum of its window.",
        formula="d_x[first maximum of the taps on the map, row by row] += d_y\n"
        "-0.0 equals 0.0;  of taps that are all -inf the first on the map",
        inputs=(D_Y, X),
        outputs=(D_X,),
        attrs=(KERNEL, *WINDOWS),
        clauses=("4.3", "C1"),
        reference=_max_backward,
        twin=_max_backward_twin,
        plain=plain.MAX_POOL_BACKWARD,
    ),
    Op(
        name="average_pool",
        says="The mean under every window.",
        formula="y = sum of x over the taps on the map / divisor\n"
        "divisor: the taps on the map, or (count_include_pad) k_h k_w;  no window is off the map\n"
        f"{SIZES}",
        inputs=(X,),
        outputs=(Y,),
        attrs=(KERNEL, *WINDOWS, COUNTS),
        clauses=("4.3", "C1"),
        reference=_average,
        twin=_average_twin,
        plain=plain.AVERAGE_POOL,
    ),
    Op(
        name="average_pool_backward",
        says="Spread every gradient evenly over its window.",
        formula="d_x[every tap on the map] += d_y / divisor;  divisor as in average_pool",
        inputs=(D_Y, X),
        outputs=(D_X,),
        attrs=(KERNEL, *WINDOWS, COUNTS),
        clauses=("4.3", "C1"),
        reference=_average_backward,
        twin=_average_backward_twin,
        plain=plain.AVERAGE_POOL_BACKWARD,
    ),
    Op(
        name="global_average_pool",
        says="The mean of every channel of every sample.",
        formula="y = sum of x over h and w / (h w)",
        inputs=(X,),
        outputs=(Tensor("y", "float", "(n, c, 1, 1)", "the output"),),
        clauses=("4.3",),
        reference=_global,
        twin=lambda numbers, attrs: {"y": twin.global_average_pool(numbers["x"])},
        plain=plain.GLOBAL_AVERAGE_POOL,
    ),
    Op(
        name="global_average_pool_backward",
        says="Spread every gradient evenly over its channel.",
        formula="d_x = d_y / (h w)",
        inputs=(Tensor("d_y", "float", "(n, c, 1, 1)", "dL/dy"), X),
        outputs=(D_X,),
        clauses=("4.3",),
        reference=_global_backward,
        twin=lambda numbers, attrs: {
            "d_x": twin.global_average_pool_backward(numbers["d_y"], numbers["x"])
        },
        plain=plain.GLOBAL_AVERAGE_POOL_BACKWARD,
    ),
)
