"""Carry the calibration set forward through a network, one unit at a time.

Reconstruction needs each unit's inputs twice: as the float network makes them, and as the part
quantized so far makes them. A `Prefix` holds the edges that are still needed, and moves on when
the next unit is due; by then the units before it are hardened.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from refquant._types import Array
from refquant.network.graph import INPUT, Key, Network
from refquant.network.run import forward

CHUNK = 128  # images in one pass: bounds the memory of im2col, changes no value


@dataclass(frozen=True)
class Prefix:
    """Values on the live edges, and the nodes that have run."""

    values: Mapping[str, Array]
    done: frozenset[str] = frozenset()


def start(x: Array) -> Prefix:
    """Return the prefix in which nothing has run: only the input is known."""
    return Prefix({INPUT: x})


def advance(
    prefix: Prefix, network: Network, edges: Iterable[str], params: Mapping[Key, Array]
) -> Prefix:
    """Run what is missing until all of `edges` have values, and drop the edges nobody needs.

    Parameters
    ----------
    prefix : Prefix
    network : Network
        Always the same graph; only its parameters may have changed since the last call.
    edges : iterable of str
        Inputs (or output) of the unit that is due.
    params : mapping
        Parameters in place of the network's own, as `forward` takes them.
    """
    wanted = set(edges)
    todo = _ancestors(network, wanted - set(prefix.values), prefix.done)
    values = dict(prefix.values)
    for node in network.nodes:
        if node.name in todo:
            inputs = {edge: values[edge] for edge in node.inputs}
            values |= _run(network, inputs, (node.name,), (node.name,), params)
    done = prefix.done | todo
    live = wanted | {e for n in network.nodes if n.name not in done for e in n.inputs}
    return Prefix({edge: value for edge, value in values.items() if edge in live}, done)


def run_sites(
    network: Network, inputs: Mapping[str, Array], nodes: Collection[str], edges: Iterable[str]
) -> dict[str, Array]:
    """Return the values of `edges` for all samples, from running `nodes` in chunks."""
    return _run(network, inputs, nodes, tuple(edges), {})


def _run(
    network: Network,
    inputs: Mapping[str, Array],
    nodes: Collection[str],
    edges: tuple[str, ...],
    params: Mapping[Key, Array],
) -> dict[str, Array]:
    parts: list[dict[str, Array]] = []
    for begin in range(0, len(next(iter(inputs.values()))), CHUNK):
        chunk = {edge: value[begin : begin + CHUNK] for edge, value in inputs.items()}
        values = forward(network, chunk, nodes, params).values
        parts.append({edge: values[edge] for edge in edges})
    return {edge: np.concatenate([part[edge] for part in parts]) for edge in edges}


def _ancestors(network: Network, edges: set[str], done: frozenset[str]) -> frozenset[str]:
    """Return the names of the nodes that must run to produce `edges`."""
    needed = set(edges)
    for node in reversed(network.nodes):
        if node.name in needed and node.name not in done:
            needed |= set(node.inputs)
    names = {node.name for node in network.nodes}
    return frozenset((needed & names) - done)
