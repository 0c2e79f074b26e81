"""A network as a table to read: one line a node, with shapes and parameter counts.

Shapes are found by running one input of zeros, so a network that does not fit together says so
here, with the name of the node.
"""

from math import prod

import numpy as np

from refquant._types import Array
from refquant.network.graph import INPUT, Network, Node, count_parameters
from refquant.network.run import forward

HEADER = ("node", "op", "inputs", "output", "parameters")


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of every edge without its batch axis, in running order."""
    values = forward(network, _zeros(network)).values
    return {edge: value.shape[1:] for edge, value in values.items()}


def describe(network: Network) -> str:
    """Return the table as text: node, op, inputs, output shape, parameter count."""
    found = shapes(network)
    lines: list[tuple[str, ...]] = [HEADER, (INPUT, "", "", _times(found[INPUT]), "")]
    lines += [_line(network, node, found[node.name]) for node in network.nodes]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    table = [_padded(line, widths) for line in lines]
    total = f"{count_parameters(network)} parameters in {len(network.nodes)} nodes"
    return "\n".join([f"{network.name}: {total}", table[0], "-" * len(table[0]), *table[1:]])


def _line(network: Network, node: Node, shape: tuple[int, ...]) -> tuple[str, ...]:
    size = sum(prod(value.shape) for value in network.params_of(node.name).values())
    return node.name, node.op, ", ".join(node.inputs), _times(shape), str(size) if size else ""


def _padded(line: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    return "  ".join([*left[:-1], line[-1].rjust(widths[-1])]).rstrip()


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _zeros(network: Network) -> Array:
    """Return a batch of one zero input in the precision of the first floating parameter."""
    floating = (v.dtype for v in network.params.values() if v.dtype.kind == "f")
    return np.zeros((1, *network.input_shape), next(floating, np.dtype(np.float64)))
