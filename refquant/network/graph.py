"""A network is data: a tuple of nodes in the order they run, and the arrays they read.

Nothing here computes. `run.forward` and `run.backward` walk the nodes; `ops.OPS` says what each
operation does; every change of a network (folding, lowering, inserting quantizers) is a function
from a network to a new one, so that two methods can be compared on the same object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant._checks import check_in, complaint
from refquant._types import Array

INPUT = "input"  # the edge that carries the network's input

Key = tuple[str, str]  # (node, parameter)
Block = tuple[str, tuple[str, ...]]  # (block name, its node names)


@dataclass(frozen=True)
class Node:
    """One operation; its name is also the name of the edge that carries its output.

    Attributes
    ----------
    name : str
        Unique in the network.
    op : str
        A key of `refquant.network.ops.OPS`.
    inputs : tuple of str
        Names of the producing nodes, or ``"input"``.
    attrs : tuple of (str, value) pairs
        Constants of the operation, hashable: a `Geometry`, a slope, a quantizer component.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: tuple[tuple[str, Any], ...] = ()

    def attr(self, name: str) -> Any:
        """Return the attribute called `name`; KeyError if the node has none of that name."""
        return dict(self.attrs)[name]


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes, parameters and blocks. Immutable: arrays are read-only, the mapping too.

    Attributes
    ----------
    name : str
    input_shape : tuple of int
        Shape of one input without the batch axis, as (c, h, w) or (features,).
    nodes : tuple of Node
        In an order in which every node follows its inputs; the last one is the output.
    params : mapping of (node, parameter) to array
        Weights, biases, batch-norm statistics, steps: whatever the operations read.
    blocks : tuple of (name, node names)
        The reconstruction blocks, in order; nodes in no block stand between two of them.

    Raises
    ------
    ValueError
        If a name is used twice, an input is unknown or comes later, a parameter belongs to no
        node, or a block names an unknown node.
    """

    name: str
    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    params: Mapping[Key, Array] = field(repr=False)
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        _check_nodes(self.nodes)
        names = [node.name for node in self.nodes]
        for owner, parameter in self.params:
            check_in("Network", f"owner of parameter {parameter!r}", owner, names)
        for block, members in self.blocks:
            for member in members:
                check_in("Network", f"member of block {block!r}", member, names)
        frozen = {key: read_only(value) for key, value in self.params.items()}
        object.__setattr__(self, "params", MappingProxyType(frozen))

    def node(self, name: str) -> Node:
        """Return the node called `name`; ValueError with the nearest name otherwise."""
        found = {node.name: node for node in self.nodes}
        return found[check_in("Network.node", "name", name, found)]

    def params_of(self, name: str, override: Mapping[Key, Array] | None = None) -> dict[str, Array]:
        """Return the parameters of one node by their short names, `override` first."""
        own = {p: value for (owner, p), value in self.params.items() if owner == name}
        if override:
            own |= {p: value for (owner, p), value in override.items() if owner == name}
        return own

    @property
    def output(self) -> str:
        """Name of the last node."""
        return self.nodes[-1].name

    def __call__(self, x: Array) -> Array:
        """Return the output for a batch `x` of shape (n, \\*input_shape)."""
        from refquant.network.run import forward  # run reads this module

        return forward(self, x).values[self.output]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "params": dict(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "params": MappingProxyType(state["params"])})


def read_only(value: Array) -> Array:
    """Return a read-only copy-on-nothing view of `value`; the caller's array stays writable."""
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view


def consumers(network: Network, edge: str) -> tuple[Node, ...]:
    """Return the nodes that read `edge`, in running order."""
    return tuple(node for node in network.nodes if edge in node.inputs)


def replace_params(network: Network, params: Mapping[Key, Array]) -> Network:
    """Return `network` with some parameters replaced or added."""
    merged = {**network.params, **params}
    return Network(network.name, network.input_shape, network.nodes, merged, network.blocks)


def count_parameters(network: Network) -> int:
    """Return how many numbers the network stores."""
    return sum(value.size for value in network.params.values())


def _check_nodes(nodes: Iterable[Node]) -> None:
    seen = [INPUT]
    for node in nodes:
        if node.name in seen:
            fix = "Rename one of them."
            got = f"{node.name!r} twice"
            raise ValueError(complaint("Network", "a node name", got, "unique names", fix))
        for edge in node.inputs:
            check_in("Network", f"an input of node {node.name!r}", edge, seen)
        seen.append(node.name)
    if len(seen) == 1:
        raise ValueError(complaint("Network", "nodes", "empty", "at least one node"))
