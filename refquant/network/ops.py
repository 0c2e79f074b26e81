"""What each operation of a network does: the table from names to layer functions.

One `Op` a row. ``forward(node, inputs, params)`` returns the output and a cache;
``backward(node, d_y, cache)`` returns one gradient per input and a dict of parameter gradients.
Only differentiable parameters have gradients; statistics (``mean``, ``var``) have none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from refquant._types import Array
from refquant.layers.add import add_backward, add_forward
from refquant.layers.average_pool import average_pool_backward, average_pool_forward
from refquant.layers.batch_norm import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_train_backward,
    batch_norm_train_forward,
)
from refquant.layers.concat import concat_backward, concat_forward
from refquant.layers.conv2d import conv2d_backward, conv2d_forward
from refquant.layers.flatten import flatten_backward, flatten_forward
from refquant.layers.global_average_pool import (
    global_average_pool_backward,
    global_average_pool_forward,
)
from refquant.layers.im2col import col2im, im2col
from refquant.layers.leaky_relu import leaky_relu_backward, leaky_relu_forward
from refquant.layers.linear import linear_backward, linear_forward
from refquant.layers.max_pool import max_pool_backward, max_pool_forward
from refquant.layers.product import product_backward, product_forward
from refquant.layers.relu import relu_backward, relu_forward
from refquant.layers.relu6 import relu6_backward, relu6_forward
from refquant.layers.sigmoid import sigmoid_backward, sigmoid_forward
from refquant.network.graph import Node
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

Params = Mapping[str, Array]
Forward = Callable[[Node, tuple[Array, ...], Params], tuple[Array, Any]]
Backward = Callable[[Node, Array, Any], tuple[tuple[Array, ...], dict[str, Array]]]


class Op(NamedTuple):
    """Forward and backward of one operation, and the parameters it must find."""

    forward: Forward
    backward: Backward
    required: tuple[str, ...] = ()


def _plain(forward: Callable[..., Any], backward: Callable[..., Any], *attrs: str) -> Op:
    """Return the Op of a function of one input without parameters."""

    def run(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
        y, cache = forward(inputs[0], *(node.attr(name) for name in attrs))
        return y, cache

    def pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        return (backward(d_y, cache),), {}

    return Op(run, pull)


def _conv2d(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return conv2d_forward(inputs[0], params["w"], params.get("bias"), node.attr("geometry"))


def _conv2d_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    grads = conv2d_backward(d_y, cache)
    return (grads.x,), _present(w=grads.w, bias=grads.bias)


def _linear(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return linear_forward(inputs[0], params["w"], params.get("bias"))


def _linear_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    grads = linear_backward(d_y, cache)
    return (grads.x,), _present(w=grads.w, bias=grads.bias)


def _norm(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    p = params
    eps = node.attr("eps")
    return batch_norm_forward(inputs[0], p["gamma"], p["beta"], p["mean"], p["var"], eps)


def _norm_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    grads = batch_norm_backward(d_y, cache)
    return (grads.x,), {"gamma": grads.gamma, "beta": grads.beta}


def _norm_train(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Batch norm with the statistics of the batch, kept in the cache as mean and var."""
    return batch_norm_train_forward(inputs[0], params["gamma"], params["beta"], node.attr("eps"))


def _norm_train_pull(
    node: Node, d_y: Array, cache: Any
) -> tuple[tuple[Array, ...], dict[str, Array]]:
    grads = batch_norm_train_backward(d_y, cache)
    return (grads.x,), {"gamma": grads.gamma, "beta": grads.beta}


def _add(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return add_forward(*inputs)


def _add_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    return tuple(add_backward(d_y, cache)), {}


def _concat(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return concat_forward(*inputs)


def _concat_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    return tuple(concat_backward(d_y, cache)), {}


# A linear node taken apart: patches -> (quantizer) -> product -> output transform.


def _patches(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Im2col kept as an image: (n, c*k_h*k_w, h_o, w_o), one column of patches a pixel."""
    x, geometry = inputs[0], node.attr("geometry")
    if geometry is None:  # a fully connected layer: the features are the only patch
        return x, x.shape
    cols = im2col(x, geometry)
    return cols.reshape(*cols.shape[:2], *geometry.output_size(*x.shape[2:])), x.shape


def _patches_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    geometry = node.attr("geometry")
    if geometry is None:
        return (d_y,), {}
    return (col2im(d_y.reshape(*d_y.shape[:2], -1), cache, geometry),), {}


def _product(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    x = inputs[0]
    if x.ndim == 2:
        return linear_forward(x, params["w"], None)
    cols = x.reshape(*x.shape[:2], -1)
    y, cache = product_forward(cols, params["w"], node.attr("groups"))
    return y.reshape(*y.shape[:2], *x.shape[2:]), cache


def _product_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    if d_y.ndim == 2:
        dense = linear_backward(d_y, cache)
        return (dense.x,), {"w": dense.w}
    grads = product_backward(d_y.reshape(*d_y.shape[:2], -1), cache)
    return (grads.cols.reshape(*grads.cols.shape[:2], *d_y.shape[2:]),), {"w": grads.w}


def _output(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    p = params
    return output_transform_forward(inputs[0], p.get("bias"), p.get("xi"), p.get("eta"))


def _output_pull(node: Node, d_y: Array, cache: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
    grads = output_transform_backward(d_y, cache)
    return (grads.y0,), _present(bias=grads.bias, xi=grads.xi, eta=grads.eta)


# Quantizer nodes carry their component; this room does not know which components exist.


def _quantize(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    y, cache = node.attr("component").forward(inputs[0], params)
    return y, cache


def _quantize_pull(
    node: Node, d_y: Array, cache: Any
) -> tuple[tuple[Array, ...], dict[str, Array]]:
    d_x, d_params = node.attr("component").backward(d_y, cache)
    return (d_x,), d_params


def _identity(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return inputs[0], None


def _identity_pull(
    node: Node, d_y: Array, cache: Any
) -> tuple[tuple[Array, ...], dict[str, Array]]:
    return (d_y,), {}


def _present(**grads: Array | None) -> dict[str, Array]:
    return {name: value for name, value in grads.items() if value is not None}


OPS: Mapping[str, Op] = {
    "conv2d": Op(_conv2d, _conv2d_pull, ("w",)),
    "linear": Op(_linear, _linear_pull, ("w",)),
    "batch_norm": Op(_norm, _norm_pull, ("gamma", "beta", "mean", "var")),
    "batch_norm_train": Op(_norm_train, _norm_train_pull, ("gamma", "beta")),
    "relu": _plain(relu_forward, relu_backward),
    "relu6": _plain(relu6_forward, relu6_backward),
    "leaky_relu": _plain(leaky_relu_forward, leaky_relu_backward, "slope"),
    "sigmoid": _plain(sigmoid_forward, sigmoid_backward),
    "max_pool": _plain(max_pool_forward, max_pool_backward, "geometry"),
    "average_pool": _plain(
        average_pool_forward, average_pool_backward, "geometry", "count_include_pad"
    ),
    "global_average_pool": _plain(global_average_pool_forward, global_average_pool_backward),
    "flatten": _plain(flatten_forward, flatten_backward),
    "add": Op(_add, _add_pull),
    "concat": Op(_concat, _concat_pull),
    "patches": Op(_patches, _patches_pull),
    "product": Op(_product, _product_pull, ("w",)),
    "output": Op(_output, _output_pull),
    "quantize": Op(_quantize, _quantize_pull),
    "identity": Op(_identity, _identity_pull),
}
