"""The operations of a linear node taken apart: patches -> (quantizer) -> product -> output.

`refquant.network.lower` takes nodes apart; `refquant.network.join` puts some together again, whose
operations are in `refquant.network.joined_parts`.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_shape
from refquant._types import Array
from refquant.kernels.nearest import mix_forward, sound
from refquant.kernels.unfold import unfold
from refquant.layers.im2col import col2im
from refquant.layers.linear import linear_backward, linear_forward
from refquant.layers.product import product_forward, product_pull_cols, product_pull_w
from refquant.network.node import Node
from refquant.network.op import Component, Op, Params, Pulled, Wanted
from refquant.quantizers.mixing import MixCache, mix_backward, qdrop_mix_forward
from refquant.quantizers.transform import output_transform_backward, output_transform_forward


def _patches(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Im2col kept as an image: (n, c*k_h*k_w, h_o, w_o), one column of patches a pixel."""
    x, geometry = inputs[0], node.attr("geometry")
    if geometry is None:  # a fully connected layer: the features are the only patch
        return x, x.shape
    cols = unfold(x, geometry)
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
    if nx.current().mode == "fast":
        y, mix = mix_forward(inputs[0], x_hat, params["share"])
        if sound(y):
            return y, MixedCache(cache, mix)
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
    if shorter is None or wanted.inputs:
        return _quantize_pull(node, d_y, cache)
    if isinstance(cache, MixedCache):
        return (), shorter(mix_backward(d_y, cache.mix).x_q, cache.inner)
    return (), shorter(d_y, cache)


PARTS = {
    "patches": Op(_patches, _patches_pull),
    "product": Op(_product, _product_pull, _product_sparing),
    "output": Op(_output, _output_pull),
    "quantize": Op(_quantize, _quantize_pull, _quantize_sparing),
}
