"""The operations of parts that were joined: what a kernel computes at once.

`refquant.network.join` says where. A quantizer that does not cover what it is given leaves the
parts to be run one after the other, as they are in `refquant.network.linear_parts`.
"""

from typing import Any, NamedTuple

from refquant._types import Array
from refquant.kernels.winograd import WinogradCache, convolve, pull_w, pull_x
from refquant.network.linear_parts import PARTS
from refquant.network.node import Node
from refquant.network.op import Op, Params, Pulled, Wanted


def _patches_product(
    node: Node, inputs: tuple[Array, ...], params: Params
) -> tuple[Array, WinogradCache]:
    """Both in one where nothing stands in between."""
    return convolve(inputs[0], params["w"], node.attr("geometry"))


def _patches_product_pull(node: Node, d_y: Array, cache: WinogradCache) -> Pulled:
    return _patches_product_sparing(node, d_y, cache, Wanted(True, True))


def _patches_product_sparing(
    node: Node, d_y: Array, cache: WinogradCache, wanted: Wanted
) -> Pulled:
    d_inputs = (pull_x(d_y, cache),) if wanted.inputs else ()
    return d_inputs, {"w": pull_w(d_y, cache)} if wanted.params else {}


class Apart(NamedTuple):
    """Caches of the parts, where they ran one after the other."""

    caches: tuple[Any, ...]


def _quantized_product(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
    """Patches, quantizer and product; mixed values (`share`) are never the kernel's."""
    found = None
    if "share" not in params:
        component, geometry = node.attr("component"), node.attr("geometry")
        found = component.quantized_product(inputs[0], params["w"], geometry, params)
    return _one_by_one(node, inputs, params) if found is None else found


def _one_by_one(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Apart]:
    caches = []
    for part in _parts(node):
        y, cache = PARTS[part.op].forward(part, inputs, params)
        inputs = (y,)
        caches.append(cache)
    return inputs[0], Apart(tuple(caches))


def _quantized_product_pull(node: Node, d_y: Array, cache: Any) -> Pulled:
    return _quantized_product_sparing(node, d_y, cache, Wanted(True, True))


def _quantized_product_sparing(node: Node, d_y: Array, cache: Any, wanted: Wanted) -> Pulled:
    if not isinstance(cache, Apart):
        d_x, grads = node.attr("component").pull_quantized_product(d_y, cache, wanted.inputs)
        return ((d_x,) if wanted.inputs else ()), grads
    found: dict[str, Array] = {}
    for part, own in zip(reversed(_parts(node)), reversed(cache.caches), strict=True):
        (d_y,), grads = PARTS[part.op].backward(part, d_y, own)
        found |= grads
    return (d_y,), found


def _parts(node: Node) -> tuple[Node, ...]:
    """Return the nodes that this one stands for."""
    geometry = node.attr("geometry")
    return (
        Node("patches", "patches", node.inputs, (("geometry", geometry),)),
        Node("q", "quantize", ("patches",), (("component", node.attr("component")),)),
        Node(node.name, "product", ("q",), (("groups", geometry.groups),)),
    )


JOINED = {
    "patches_product": Op(_patches_product, _patches_product_pull, _patches_product_sparing),
    "quantized_product": Op(
        _quantized_product, _quantized_product_pull, _quantized_product_sparing
    ),
}
