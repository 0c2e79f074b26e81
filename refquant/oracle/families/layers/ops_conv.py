"""Descriptions of `im2col`, `col2im`, `conv2d` and `conv2d_backward`."""

from typing import Any

import numpy as np

from refquant.layers import conv2d as library
from refquant.layers import im2col as library_im2col
from refquant.oracle.exact import conv2d as twin
from refquant.oracle.exact import im2col as twin_im2col
from refquant.oracle.families.layers import plain_conv as plain
from refquant.oracle.families.layers.windows import GROUPS, KERNEL, SIZES, WINDOWS, fields, geometry
from refquant.oracle.nested import shape_of
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

X = Tensor("x", "float", "(n, c_in, h, w)", "the input")
W = Tensor("w", "float", "(c_out, c_in/groups, k_h, k_w)", "the filter, not flipped")
PATCHES = Tensor(
    "patches", "float", "(n, c k_h k_w, h_o w_o)", "a column per window, row c k_h k_w + i k_w + j"
)


def _im2col(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"patches": library_im2col.im2col(inputs["x"], geometry(attrs, attrs["kernel"]))}


def _im2col_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    return {"patches": twin_im2col.im2col(numbers["x"], fields(attrs, attrs["kernel"]))}


def _col2im(inputs: Inputs, attrs: Attrs) -> Arrays:
    shape, window = tuple(attrs["x_shape"]), geometry(attrs, attrs["kernel"])
    return {"x": library_im2col.col2im(inputs["patches"], shape, window)}


def _col2im_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    window = fields(attrs, attrs["kernel"])
    return {"x": twin_im2col.col2im(numbers["patches"], tuple(attrs["x_shape"]), window)}


def _conv2d(inputs: Inputs, attrs: Attrs) -> Arrays:
    x, w, bias = inputs["x"], inputs["w"], inputs.get("bias")
    return {"y": library.conv2d_forward(x, w, bias, geometry(attrs, w.shape[2:]))[0]}


def _conv2d_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    window = fields(attrs, shape_of(numbers["w"])[2:])
    return {"y": twin.conv2d(numbers["x"], numbers["w"], numbers.get("bias"), window)}


def _conv2d_backward(inputs: Inputs, attrs: Attrs) -> Arrays:
    x, w = inputs["x"], inputs["w"]
    bias = np.zeros(len(w), x.dtype)
    _, cache = library.conv2d_forward(x, w, bias, geometry(attrs, w.shape[2:]))
    grads = library.conv2d_backward(inputs["d_y"], cache)
    return {"d_x": grads.x, "d_w": grads.w, "d_bias": np.asarray(grads.bias)}


def _conv2d_backward_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    window = fields(attrs, shape_of(numbers["w"])[2:])
    grads = twin.conv2d_backward(numbers["d_y"], numbers["x"], numbers["w"], window)
    return dict(zip(("d_x", "d_w", "d_bias"), grads, strict=True))


OPS = (
    Op(
        name="im2col",
        says="Unfold a map into the matrix of the patches under a sliding window.",
        formula="patches[n, c k_h k_w + i k_w + j, p w_o + q] =\n"
        "    x[n, c, p stride_h + i dilation_h - top, q stride_w + j dilation_w - left]\n"
        f"0 outside the map\n{SIZES}",
        inputs=(Tensor("x", "float", "(n, c, h, w)", "the map"),),
        outputs=(PATCHES,),
        attrs=(KERNEL, *WINDOWS),
        clauses=("4.1", "P02", "C1"),
        reference=_im2col,
        twin=_im2col_twin,
        plain=plain.IM2COL,
    ),
    Op(
        name="col2im",
        says="Add every patch back to where it was read: the adjoint of im2col.",
        formula="x[n, c, row, column] = sum of patches[n, c k_h k_w + i k_w + j, p w_o + q] with\n"
        "    row = p stride_h + i dilation_h - top, column = q stride_w + j dilation_w - left\n"
        "what falls on padding is dropped",
        inputs=(PATCHES,),
        outputs=(Tensor("x", "float", "x_shape", "the map"),),
        attrs=(Attr("x_shape", [1, 1, 1, 1], "[n, c, h, w] of the map"), KERNEL, *WINDOWS),
        clauses=("4.1", "P02", "C1"),
        reference=_col2im,
        twin=_col2im_twin,
        plain=plain.COL2IM,
    ),
    Op(
        name="conv2d",
        says="Convolve (correlate), in groups.",
        formula="y[n, o, p, q] = bias[o] + sum over c, i, j of\n"
        "    w[o, c, i, j] x[n, g c_in/groups + c, p stride_h + i dilation_h - top,\n"
        "                    q stride_w + j dilation_w - left],   g = o // (c_out/groups)\n"
        f"x is 0 outside the map\n{SIZES}",
        inputs=(X, W, Tensor("bias", "float", "(c_out,)", "added last", optional=True)),
        outputs=(Tensor("y", "float", "(n, c_out, h_o, w_o)", "the output"),),
        attrs=(*WINDOWS, GROUPS),
        clauses=("4.1", "P01", "P03", "C1"),
        reference=_conv2d,
        twin=_conv2d_twin,
        plain=plain.CONV2D,
    ),
    Op(
        name="conv2d_backward",
        says="Gradients of a convolution.",
        formula="d_x = col2im(w^T d_y);  d_w = sum over n of d_y im2col(x)^T\n"
        "d_bias[o] = sum over n, p, q of d_y[n, o, p, q]",
        inputs=(Tensor("d_y", "float", "(n, c_out, h_o, w_o)", "dL/dy"), X, W),
        outputs=(
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("d_w", "float", "like w", "dL/dw, summed over the batch"),
            Tensor("d_bias", "float", "(c_out,)", "dL/d bias"),
        ),
        attrs=(*WINDOWS, GROUPS),
        clauses=("4.1", "P02", "C1"),
        reference=_conv2d_backward,
        twin=_conv2d_backward_twin,
        plain=plain.CONV2D_BACKWARD,
    ),
)
