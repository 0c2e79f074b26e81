"""What each operation of a network does: the table from names to layer functions.

One `Op` a row. ``forward(node, inputs, params)`` returns the output and a cache;
``backward(node, d_y, cache)`` returns one gradient per input and a dict of parameter gradients.
Only differentiable parameters have gradients; statistics (``mean``, ``var``) have none.
What a node must carry stands in `refquant.network.signatures`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_shape
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
from refquant.layers.product import product_forward, product_pull_cols, product_pull_w
from refquant.layers.relu import relu_backward, relu_forward
from refquant.layers.relu6 import relu6_backward, relu6_forward
from refquant.layers.sigmoid import sigmoid_backward, sigmoid_forward
from refquant.network.node import Node
from refquant.quantizers.mixing import MixCache, mix_backward, qdrop_mix_forward
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

Params = Mapping[str, Array]
Pulled = tuple[tuple[Array, ...], dict[str, Array]]  # d_inputs, d_params
Forward = Callable[[Node, tuple[Array, ...], Params], tuple[Array, Any]]
Backward = Callable[[Node, Array, Any], Pulled]


class Wanted(NamedTuple):
    """Whose gradients somebody asked for: the inputs', the parameters'."""

    inputs: bool
    params: bool


class Op(NamedTuple):
    """Forward and backward of one operation.

    `sparing`, where it pays, is a backward that leaves out what is not wanted: no d_inputs, or no
    parameter gradients.
    """

    forward: Forward
    backward: Backward
    sparing: Callable[[Node, Array, Any, Wanted], Pulled] | None = None

    def pull(self, node: Node, d_y: Array, cache: Any, wanted: Wanted) -> Pulled:
        """Return at least the gradients that are wanted."""
        if self.sparing is None or all(wanted):
            return self.backward(node, d_y, cache)
        return self.sparing(node, d_y, cache, wanted)


class Component(Protocol):
    """What a quantize node carries. This room does not know which components exist."""

    def forward(self, x: Array, params: Params) -> tuple[Array, Any]:
        """Return the quantized `x` and a cache; `params` are the node's, by short name."""

    def backward(self, d_y: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        """Return dL/dx and dL/dparameter by short name."""


# Operations without parameters: of one input, and of several.


def _plain(forward: Callable[..., Any], backward: Callable[..., Any], *attrs: str) -> Op:
    def run(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
        y, cache = forward(inputs[0], *(node.attr(name) for name in attrs))
        return y, cache

    def pull(node: Node, d_y: Array, cache: Any) -> Pulled:
        return (backward(d_y, cache),), {}

    return Op(run, pull)


def _join(forward: Callable[..., Any], backward: Callable[..., Any]) -> Op:
    def run(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
        y, cache = forward(*inputs)
        return y, cache

    def pull(node: Node, d_y: Array, cache: Any) -> Pulled:
        return tuple(backward(d_y, cache)), {}

    return Op(run, pull)


# Operations with parameters.


def _pull(backward: Callable[..., Any], *params: str) -> Backward:
    """Return the backward that reads d_x and the named gradients off a grads NamedTuple."""

    def pull(node: Node, d_y: Array, cache: Any) -> Pulled:
        grads = backward(d_y, cache)
        own = {name: getattr(grads, name) for name in params}
        return (grads.x,), {name: d for name, d in own.items() if d is not None}

    return pull


def _conv2d(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return conv2d_forward(inputs[0], params["w"], params.get("bias"), node.attr("geometry"))


def _linear(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return linear_forward(inputs[0], params["w"], params.get("bias"))


def _norm(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    p, eps = params, node.attr("eps")
    return batch_norm_forward(inputs[0], p["gamma"], p["beta"], p["mean"], p["var"], eps)


def _norm_train(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Batch norm with the statistics of the batch, kept in the cache as mean and var."""
    return batch_norm_train_forward(inputs[0], params["gamma"], params["beta"], node.attr("eps"))


# A linear node taken apart: patches -> (quantizer) -> product -> output transform.


def _patches(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Im2col kept as an image: (n, c*k_h*k_w, h_o, w_o), one column of patches a pixel."""
    x, geometry = inputs[0], node.attr("geometry")
    if geometry is None:  # a fully connected layer: the features are the only patch
        return x, x.shape
    cols = im2col(x, geometry)
    return cols.reshape(*cols.shape[:2], *geometry.output_size(*x.shape[2:])), x.shape


def _patches_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
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


def _product_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
    return _product_sparing(node, d_y, cache, Wanted(True, True))


def _product_sparing(node: Node, d_y: Array, cache: Any, wanted: Wanted) -> Pulled:
    if d_y.ndim == 2:
        dense = linear_backward(d_y, cache)
        return (dense.x,), {"w": dense.w}
    d_inputs: tuple[Array, ...] = ()
    flat = d_y.reshape(*d_y.shape[:2], -1)
    if wanted.inputs:
        d_cols = product_pull_cols(flat, cache)
        d_inputs = (d_cols.reshape(*d_cols.shape[:2], *d_y.shape[2:]),)
    return d_inputs, {"w": product_pull_w(flat, cache)} if wanted.params else {}


def _output(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Bias, and xi and eta where the node has them; absent, they are neutral (P47)."""
    y0, bias = inputs[0], params.get("bias")
    present = tuple(name for name in ("bias", "xi", "eta") if name in params)
    if present in ((), ("bias",)):
        return y0 if bias is None else y0 + _per_channel(bias, y0), (present, None)
    xi, eta = params.get("xi"), params.get("eta")
    xi = np.ones(y0.shape[1], y0.dtype) if xi is None else xi
    eta = np.zeros(y0.shape[1], y0.dtype) if eta is None else eta
    y, cache = output_transform_forward(y0, bias, xi, eta)
    return y, (present, cache)


def _output_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
    present, transform = cache
    if transform is None:
        axes = (0, *range(2, d_y.ndim))
        return (d_y,), {name: nx.sum(d_y, axis=axes) for name in present}
    grads = output_transform_backward(d_y, transform)
    return (grads.y0,), {name: getattr(grads, name) for name in present}


def _per_channel(bias: Array, y: Array) -> Array:
    check_shape("output", "bias", bias, y.shape[1:2])
    return bias.reshape(-1, *[1] * (y.ndim - 2))


# Quantizers, and what stands in for one that is bypassed.


class MixedCache(NamedTuple):
    """Cache of a quantize node whose values are mixed with the real ones."""

    inner: Any
    mix: MixCache


def _quantize(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Quantized values; with a parameter `share`, mixed with the real ones (methods.md 10.1)."""
    component: Component = node.attr("component")
    x_hat, cache = component.forward(inputs[0], params)
    if "share" not in params:
        return x_hat, cache
    mask = np.broadcast_to(params["share"], x_hat.shape)
    y, mix = qdrop_mix_forward(inputs[0], x_hat, mask)
    return y, MixedCache(cache, mix)


def _quantize_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
    component: Component = node.attr("component")
    if not isinstance(cache, MixedCache):
        d_x, d_params = component.backward(d_y, cache)
        return (d_x,), d_params
    direct, through = mix_backward(d_y, cache.mix)
    d_x, d_params = component.backward(through, cache.inner)
    return (direct + d_x,), d_params


def _quantize_sparing(node: Node, d_y: Array, cache: Any, wanted: Wanted) -> Pulled:
    """Parameter gradients alone, if the component has a shorter way to them."""
    shorter = getattr(node.attr("component"), "parameter_gradients", None)
    if shorter is None or wanted.inputs or isinstance(cache, MixedCache):
        return _quantize_pull(node, d_y, cache)
    return (), shorter(d_y, cache)


def _identity(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    return inputs[0], None


def _identity_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
    return (d_y,), {}


OPS: Mapping[str, Op] = {
    "conv2d": Op(_conv2d, _pull(conv2d_backward, "w", "bias")),
    "linear": Op(_linear, _pull(linear_backward, "w", "bias")),
    "batch_norm": Op(_norm, _pull(batch_norm_backward, "gamma", "beta")),
    "batch_norm_train": Op(_norm_train, _pull(batch_norm_train_backward, "gamma", "beta")),
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
    "add": _join(add_forward, add_backward),
    "concat": _join(concat_forward, concat_backward),
    "patches": Op(_patches, _patches_pull),
    "product": Op(_product, _product_pull, _product_sparing),
    "output": Op(_output, _output_pull),
    "quantize": Op(_quantize, _quantize_pull, _quantize_sparing),
    "identity": Op(_identity, _identity_pull),
}
