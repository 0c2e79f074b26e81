"""A network is data: a tuple of nodes in the order they run, and the arrays they read.

Nothing here computes. `run.forward` and `run.backward` walk the nodes; `ops.OPS` says what each
operation does; every change of a network (folding, lowering, inserting quantizers) is a function
from a network to a new one, so that two methods can be compared on the same object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant._checks import check_in, check_int, complaint
from refquant._types import Array
from refquant.network.node import INPUT, Block, Key, Node


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes, parameters and blocks. Immutable: arrays are read-only copies, the mapping too.

    Parameters
    ----------
    name : str
    input_shape : tuple of int
        Shape of one input without the batch axis, as (c, h, w) or (features,).
    nodes : tuple of Node
        In an order in which every node follows its inputs; the last one is the output.
    params : mapping of (node, parameter) to array
        Weights, biases, batch-norm statistics, steps: whatever the operations read. Copied,
        unless an array is already read-only and nobody else's.
    blocks : tuple of (name, node names)
        The reconstruction blocks, in order; nodes in no block stand between two of them.

    Raises
    ------
    TypeError
        If a parameter is not an array of numbers.
    ValueError
        If a name is used twice, an input is unknown or comes later, a parameter belongs to no
        node, a block is empty, or a node of a block is unknown or in two blocks.
    """

    name: str
    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    params: Mapping[Key, Array] = field(repr=False)
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(check_int("Network", "input_shape", size, 1) for size in self.input_shape)
        object.__setattr__(self, "input_shape", shape)
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "blocks", tuple((b, tuple(m)) for b, m in self.blocks))
        names = _check_nodes(self.nodes)
        _check_blocks(self.blocks, names)
        for owner, parameter in self.params:
            if owner not in names:
                check_in("Network", f"owner of parameter {parameter!r}", owner, names)
        self._freeze(self.params)

    def node(self, name: str) -> Node:
        """Return the node called `name`; ValueError with the nearest name otherwise."""
        found = {node.name: node for node in self.nodes}
        return found[check_in("Network.node", "name", name, found)]

    def params_of(self, name: str) -> dict[str, Array]:
        """Return the parameters of one node by their short names."""
        return {p: value for (owner, p), value in self.params.items() if owner == name}

    @property
    def output(self) -> str:
        """Name of the last node."""
        return self.nodes[-1].name

    def __call__(self, x: Array) -> Array:
        """Return the output for a batch `x` of shape (n, \\*input_shape)."""
        from refquant.network.run import evaluate  # run reads this module

        return evaluate(self, x, (self.output,))[self.output]

    def _freeze(self, params: Mapping[Key, Array]) -> None:
        frozen = {key: read_only(value) for key, value in params.items()}
        object.__setattr__(self, "params", MappingProxyType(frozen))

    # Pickling drops both kinds of protection: a mapping proxy cannot be pickled, and arrays come
    # back writable. Spawned workers must get what their parent had.
    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "params": dict(self.params)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze(state["params"])


def read_only(value: Array) -> Array:
    """Return `value` as a read-only array in C order and native bytes that nobody else can change.

    That is `value` itself if it is one already, so that networks made from one another share
    their arrays; a copy otherwise.

    Raises
    ------
    TypeError
        If `value` holds anything but numbers or booleans.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        expected = "an array of floats, integers or booleans"
        raise TypeError(complaint("Network", "a parameter", f"of dtype {array.dtype}", expected))
    flags = array.flags
    if flags.owndata and flags.c_contiguous and not flags.writeable and array.dtype.isnative:
        return array
    copy = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    copy.flags.writeable = False
    return copy


def consumers(network: Network, edge: str) -> tuple[Node, ...]:
    """Return the nodes that read `edge`, in running order."""
    return tuple(node for node in network.nodes if edge in node.inputs)


def replace_params(network: Network, params: Mapping[Key, Array]) -> Network:
    """Return `network` with some parameters replaced or added."""
    return replace(network, params={**network.params, **params})


def count_parameters(network: Network) -> int:
    """Return how many numbers the network stores, batch-norm statistics included."""
    return sum(value.size for value in network.params.values())


def _check_nodes(nodes: tuple[Node, ...]) -> dict[str, None]:
    """Return the names of the nodes; refuse duplicates, and inputs that do not come before."""
    seen = {INPUT: None}
    for node in nodes:
        if node.name in seen:
            taken = "the name of the network's input" if node.name == INPUT else "used twice"
            got = f"{node.name!r}, {taken}"
            fix = "Rename one of them."
            raise ValueError(complaint("Network", "a node name", got, "unique names", fix))
        for edge in node.inputs:
            if edge not in seen:
                check_in("Network", f"an input of node {node.name!r}", edge, seen)
        seen[node.name] = None
    if len(seen) == 1:
        raise ValueError(complaint("Network", "nodes", "empty", "at least one node"))
    del seen[INPUT]
    return seen


def _check_blocks(blocks: tuple[Block, ...], names: dict[str, None]) -> None:
    owner: dict[str, str] = {}
    for block, members in blocks:
        if not members or [name for name, _ in blocks].count(block) > 1:
            got = f"{block!r}, {'a name used twice' if members else 'without nodes'}"
            raise ValueError(complaint("Network", "a block", got, "unique names, some nodes"))
        for member in members:
            if member not in names:
                check_in("Network", f"member of block {block!r}", member, names)
            if member in owner:
                got = f"in {owner[member]!r} and in {block!r}"
                expected = "each node in one block, once"
                raise ValueError(complaint("Network", f"node {member!r}", got, expected))
            owner[member] = block


__all__ = [
    "INPUT",
    "Block",
    "Key",
    "Network",
    "Node",
    "consumers",
    "count_parameters",
    "read_only",
    "replace_params",
]
