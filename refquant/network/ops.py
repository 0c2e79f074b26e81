"""What each operation of a network does: the table from names to layer functions.

One `Op` a row; `refquant.network.op` says what that is, `refquant.network.signatures` what a node
must carry.
"""

from collections.abc import Callable, Mapping
from typing import Any

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
from refquant.layers.leaky_relu import leaky_relu_backward, leaky_relu_forward
from refquant.layers.linear import linear_backward, linear_forward
from refquant.layers.max_pool import max_pool_backward, max_pool_forward
from refquant.layers.relu import relu_backward, relu_forward
from refquant.layers.relu6 import relu6_backward, relu6_forward
from refquant.layers.sigmoid import sigmoid_backward, sigmoid_forward
from refquant.layers.softmax import softmax_backward, softmax_forward
from refquant.network.joined_parts import JOINED
from refquant.network.linear_parts import PARTS
from refquant.network.node import Node
from refquant.network.op import Backward, Op, Params, Pulled

# Operations without parameters: of one input, and of several.


def _plain(forward: Callable[..., Any], backward: Callable[..., Any], *attrs: str) -> Op:
    """Return the operation of a layer of one input, whose arguments are the named attributes."""

    def run(node: Node, inputs: tuple[Array, ...], params: Params) -> tuple[Array, Any]:
        y, cache = forward(inputs[0], *(node.attr(name) for name in attrs))
        return y, cache

    def pull(node: Node, d_y: Array, cache: Any) -> Pulled:
        return (backward(d_y, cache),), {}

    return Op(run, pull)


def _join(forward: Callable[..., Any], backward: Callable[..., Any]) -> Op:
    """Return the operation of a layer that takes all inputs."""

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
        """Leave out the gradients of parameters that are absent."""
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
    "softmax": _plain(softmax_forward, softmax_backward),
    "max_pool": _plain(max_pool_forward, max_pool_backward, "geometry"),
    "average_pool": _plain(
        average_pool_forward, average_pool_backward, "geometry", "count_include_pad"
    ),
    "global_average_pool": _plain(global_average_pool_forward, global_average_pool_backward),
    "flatten": _plain(flatten_forward, flatten_backward),
    "add": _join(add_forward, add_backward),
    "concat": _join(concat_forward, concat_backward),
    **PARTS,
    **JOINED,
    "identity": Op(_identity, _identity_pull),
}
