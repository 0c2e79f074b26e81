"""Run a network forwards and backwards: walk the nodes, add gradients where an edge forks.

`forward` returns every edge's value and every node's cache; `backward` takes cotangents
dL/d(edge) that may enter at any node, which is how layer, block, network and logit losses are
all the same code.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from refquant._checks import check_array, complaint
from refquant._types import Array
from refquant.network.graph import INPUT, Key, Network, Node
from refquant.network.ops import OPS


class Trace(NamedTuple):
    """What a forward run leaves: values by edge name, caches by node name."""

    values: dict[str, Array]
    caches: dict[str, Any]


class Gradients(NamedTuple):
    """dL/dparameter by (node, parameter); dL/dedge for the edges the run started from."""

    params: dict[Key, Array]
    values: dict[str, Array]


def forward(
    network: Network,
    x: Array | Mapping[str, Array],
    nodes: Collection[str] | None = None,
    params: Mapping[Key, Array] | None = None,
) -> Trace:
    """Run `network`, or some of its nodes, from given values.

    Parameters
    ----------
    network : Network
    x : array of shape (n, \\*input_shape), or mapping of edge name to array
        The input, or the values of all edges that enter the chosen nodes.
    nodes : collection of str, optional
        Names of the nodes to run; all of them by default.
    params : mapping of (node, parameter) to array, optional
        Parameters to use in place of the network's own.

    Returns
    -------
    Trace
        ``values`` holds the given edges and the output of every node that ran.

    Raises
    ------
    ValueError
        If the input has another shape than the network expects, or an edge is missing.
    """
    values = dict(x) if isinstance(x, Mapping) else {INPUT: _check_input(network, x)}
    caches: dict[str, Any] = {}
    own = group_by_node(network.params, params)
    for node in network.nodes:
        if nodes is None or node.name in nodes:
            inputs = tuple(_value(values, edge, node) for edge in node.inputs)
            arguments = own.get(node.name, {})
            values[node.name], caches[node.name] = OPS[node.op].forward(node, inputs, arguments)
    return Trace(values, caches)


def backward(network: Network, trace: Trace, cotangents: Mapping[str, Array]) -> Gradients:
    """Pull cotangents back through the nodes that `trace` recorded.

    Parameters
    ----------
    network : Network
    trace : Trace
        From `forward` on the same network.
    cotangents : mapping of edge name to array
        dL/dvalue where the loss reads the network, each of the shape of that value.

    Returns
    -------
    Gradients
        Of every parameter of the nodes passed, and of every edge that no recorded node produced.
    """
    d_values: dict[str, Array] = dict(cotangents)
    d_params: dict[Key, Array] = {}
    for node in reversed(network.nodes):
        if node.name not in trace.caches or node.name not in d_values:
            continue
        d_y = d_values.pop(node.name)
        d_inputs, own = OPS[node.op].backward(node, d_y, trace.caches[node.name])
        d_params |= {(node.name, name): value for name, value in own.items()}
        for edge, d_x in zip(node.inputs, d_inputs, strict=True):
            d_values[edge] = d_values[edge] + d_x if edge in d_values else d_x
    return Gradients(d_params, d_values)


def predict(network: Callable[[Array], Array], x: Array, batch: int = 256) -> Array:
    """Return the outputs for all of `x`, computed `batch` inputs at a time.

    Batching bounds the memory; in pinned arithmetic and on exact integers it changes no bit.
    """
    import numpy as np

    parts = [network(x[start : start + batch]) for start in range(0, len(x), batch)]
    return np.concatenate(parts)


def group_by_node(*layers: Mapping[Key, Array] | None) -> dict[str, dict[str, Array]]:
    """Return {node: {parameter: array}} from {(node, parameter): array}, later layers winning."""
    grouped: dict[str, dict[str, Array]] = {}
    for layer in layers:
        for (owner, name), value in (layer or {}).items():
            grouped.setdefault(owner, {})[name] = value
    return grouped


def _check_input(network: Network, x: Array) -> Array:
    check_array("forward", "x", x)
    if x.ndim != len(network.input_shape) + 1 or x.shape[1:] != network.input_shape:
        expected = f"(n, {', '.join(map(str, network.input_shape))})"
        fix = f"Network {network.name!r} takes batches; add a leading axis for a single input."
        raise ValueError(complaint("forward", "x", f"of shape {x.shape}", expected, fix))
    return x


def _value(values: Mapping[str, Array], edge: str, node: Node) -> Array:
    if edge not in values:
        fix = f"Give its value, or run the node {edge!r} as well."
        got = f"without a value for {edge!r}"
        raise ValueError(complaint("forward", f"x for node {node.name!r}", got, "all inputs", fix))
    return values[edge]
