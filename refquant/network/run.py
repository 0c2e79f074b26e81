"""Run a network forwards and backwards: walk the nodes, add gradients where an edge forks.

`forward` returns every edge's value and every node's cache; `backward` takes cotangents
dL/d(edge) that may enter at any node, which is how layer, block, network and logit losses are
all the same code. `evaluate` is for values alone: it keeps no cache, and forgets each value as
soon as its last reader has run.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_array, check_in, check_int, check_shape, complaint
from refquant._types import Array
from refquant.network.graph import INPUT, Key, Network, Node
from refquant.network.op import Wanted
from refquant.network.ops import OPS
from refquant.network.signatures import SIGNATURES


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
    keep: Collection[str] | None = None,
) -> Trace:
    """Run `network`, or some of its nodes, from given values.

    Parameters
    ----------
    network : Network
    x : array of shape (n, \\*input_shape), or mapping of edge name to array
        The input, or the values of all edges that enter the chosen nodes.
    nodes : collection of str, optional
        Names of the nodes to run, given values or not; by default all without a given value.
    params : mapping of (node, parameter) to array, optional
        Parameters to use in place of the network's own, or beside them.
    keep : collection of str, optional
        Edges whose values are wanted; others are forgotten behind their last reader, given ones
        too. All are kept by default.

    Returns
    -------
    Trace
        ``values`` holds the given edges and the output of every node that ran, or those to keep.

    Raises
    ------
    ValueError
        If the input has another shape than the network expects, an edge or a parameter is
        missing, or a name is unknown.
    """
    values, caches = _given(network, x), dict[str, Any]()
    own, order = group_by_node(network.params, params), _chosen(network, values, nodes)
    unread = Counter(edge for node in order for edge in set(node.inputs))
    for node in order:
        values[node.name], caches[node.name] = _run(node, values, own)
        if keep is not None:
            _forget(values, node, unread, keep)
    return Trace(values, caches)


def evaluate(
    network: Network,
    x: Array | Mapping[str, Array],
    edges: Collection[str],
    params: Mapping[Key, Array] | None = None,
) -> dict[str, Array]:
    """Return the values of `edges`, running only the nodes they need and keeping nothing else.

    Parameters
    ----------
    network : Network
    x : array of shape (n, \\*input_shape), or mapping of edge name to array
        The input, or values to start from; what has a value is not computed again.
    edges : collection of str
        Names of nodes, or ``"input"``.
    params : mapping of (node, parameter) to array, optional
        As for `forward`.
    """
    values = _given(network, x)
    own = group_by_node(network.params, params)
    order = _needed(network, values, edges)
    unread = Counter(edge for node in order for edge in set(node.inputs))
    for node in order:
        values[node.name], _ = _run(node, values, own)
        _forget(values, node, unread, edges)
    return {edge: values[edge] for edge in edges}


def backward(
    network: Network,
    trace: Trace,
    cotangents: Mapping[str, Array],
    edges: Collection[str] = (),
    owners: Collection[str] | None = None,
) -> Gradients:
    """Pull cotangents back through the nodes that `trace` recorded.

    Parameters
    ----------
    network : Network
    trace : Trace
        From `forward` on the same network.
    cotangents : mapping of edge name to array
        dL/dvalue where the loss reads the network, each of the shape of that value.
    edges : collection of str, optional
        Further edges whose gradients to return, as a Fisher-weighted loss needs them.
    owners : collection of str, optional
        Nodes whose parameters' gradients are wanted, if not all. What lies before them and before
        `edges` is not passed, and other edges get none: some would be sums with parts missing.

    Returns
    -------
    Gradients
        Of every parameter of the nodes passed, of every edge that no recorded node produced,
        and of `edges`. What the loss does not depend on is absent. With `owners`, parameters of
        other nodes may be absent too.

    Raises
    ------
    ValueError
        If a cotangent belongs to an edge the run did not reach, or has another shape.
    """
    _check_cotangents(trace, cotangents)
    d_values, d_params, passed = dict(cotangents), dict[Key, Array](), dict[str, Array]()
    way = trace.caches if owners is None else _after(network, trace, {*owners, *edges})
    for node in reversed(network.nodes):
        if node.name not in way or node.name not in d_values:
            continue
        d_y = d_values.pop(node.name)
        if node.name in edges:
            passed[node.name] = d_y
        wanted = _wanted(node, way, edges, owners)
        with _blame(node):
            d_inputs, own = OPS[node.op].pull(node, d_y, trace.caches[node.name], wanted)
        d_params |= {(node.name, name): value for name, value in own.items()}
        for edge, d_x in zip(node.inputs, d_inputs, strict=wanted.inputs):
            d_values[edge] = d_values[edge] + d_x if edge in d_values else d_x
    return Gradients(d_params, _asked_for(d_values | passed, edges, owners))


def predict(network: Callable[[Array], Array], x: Array, batch: int = 256) -> Array:
    """Return the outputs for all of `x`, computed `batch` inputs at a time.

    Batching bounds the memory; in pinned arithmetic and on exact integers it changes no bit.
    """
    check_int("predict", "batch", batch, 1)
    starts = range(0, max(len(x), 1), batch)  # no inputs at all are one empty batch
    return np.concatenate([network(x[start : start + batch]) for start in starts])


def group_by_node(*layers: Mapping[Key, Array] | None) -> dict[str, dict[str, Array]]:
    """Return {node: {parameter: array}} from {(node, parameter): array}, later layers winning."""
    grouped: dict[str, dict[str, Array]] = {}
    for layer in layers:
        for (owner, name), value in (layer or {}).items():
            grouped.setdefault(owner, {})[name] = value
    return grouped


def _check_cotangents(trace: Trace, cotangents: Mapping[str, Array]) -> None:
    for edge, d_y in cotangents.items():
        value = trace.values[check_in("backward", "an edge of cotangents", edge, trace.values)]
        check_shape("backward", f"the cotangent of {edge!r}", d_y, value.shape)


def _wanted(
    node: Node, way: Collection[str], edges: Collection[str], owners: Collection[str] | None
) -> Wanted:
    """Return which gradients of a node anybody asks for."""
    if owners is None:
        return Wanted(True, True)
    return Wanted(any(edge in way or edge in edges for edge in node.inputs), node.name in owners)


def _asked_for(
    values: dict[str, Array], edges: Collection[str], owners: Collection[str] | None
) -> dict[str, Array]:
    """Return the gradients of edges that are whole."""
    return values if owners is None else {e: v for e, v in values.items() if e in edges}


def _after(network: Network, trace: Trace, names: set[str]) -> set[str]:
    """Return the recorded nodes among `names`, and all that depend on an edge among them."""
    found = set(names)
    for node in network.nodes:
        if node.name in trace.caches and found & set(node.inputs):
            found.add(node.name)
    return found & trace.caches.keys()


def _given(network: Network, x: Array | Mapping[str, Array]) -> dict[str, Array]:
    if isinstance(x, Mapping):
        return dict(x)
    check_array("forward", "x", x)
    if x.shape[1:] != network.input_shape or x.ndim == 0:
        expected = f"(n, {', '.join(map(str, network.input_shape))})"
        fix = f"Network {network.name!r} takes batches; add a leading axis for a single input."
        raise ValueError(complaint("forward", "x", f"of shape {x.shape}", expected, fix))
    return {INPUT: x}


def _chosen(
    network: Network, values: Mapping[str, Array], nodes: Collection[str] | None
) -> tuple[Node, ...]:
    if nodes is None:
        return tuple(node for node in network.nodes if node.name not in values)
    for name in nodes:
        network.node(name)
    return tuple(node for node in network.nodes if node.name in nodes)


def _needed(
    network: Network, values: Mapping[str, Array], edges: Collection[str]
) -> Sequence[Node]:
    """Return the nodes that lead from `values` to `edges`, in running order."""
    for edge in edges:
        if edge not in values:
            network.node(edge)
    wanted, found = set(edges), []
    for node in reversed(network.nodes):
        if node.name in wanted and node.name not in values:
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _forget(
    values: dict[str, Array], node: Node, unread: Counter[str], keep: Collection[str]
) -> None:
    """Delete what `node` was the last to read, unless it is to be kept."""
    for edge in set(node.inputs):
        unread[edge] -= 1
        if not unread[edge] and edge not in keep:
            del values[edge]


def _run(
    node: Node, values: Mapping[str, Array], params: Mapping[str, Mapping[str, Array]]
) -> tuple[Array, Any]:
    own = params.get(node.name, {})
    for edge in node.inputs:
        if edge not in values:
            got, fix = f"without a value for {edge!r}", f"Give it, or run node {edge!r} as well."
            message = complaint("forward", f"x for node {node.name!r}", got, "all inputs", fix)
            raise ValueError(message)
    for name in SIGNATURES[node.op].params:
        if name not in own:
            expected = f"one of shape and meaning as {node.op!r} reads it"
            what = f"parameter {(node.name, name)!r}"
            raise ValueError(complaint("forward", what, "missing", expected))
    with _blame(node):
        return OPS[node.op].forward(node, tuple(values[edge] for edge in node.inputs), own)


@contextmanager
def _blame(node: Node) -> Iterator[None]:
    """Add the node's name to the complaint of a layer, which does not know it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.add_note(f"in node {node.name!r} ({node.op})")
        raise
