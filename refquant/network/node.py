"""One operation of a network, as data."""

from dataclasses import dataclass
from typing import Any

from refquant._checks import check_in, complaint
from refquant.network.signatures import SIGNATURES

INPUT = "input"  # the edge that carries the network's input

Key = tuple[str, str]  # (node, parameter)
Block = tuple[str, tuple[str, ...]]  # (block name, its node names)


@dataclass(frozen=True)
class Node:
    """One operation; its name is also the name of the edge that carries its output.

    Parameters
    ----------
    name : str
        Unique in the network.
    op : str
        A row of the table in `refquant.network.signatures`.
    inputs : tuple of str
        Names of the producing nodes, or ``"input"``. One name may stand there twice.
    attrs : tuple of (str, value) pairs
        Constants of the operation, hashable: a `Geometry`, a slope, a quantizer component.

    Raises
    ------
    TypeError
        If a name is not a string, or `inputs` or `attrs` is not a tuple.
    ValueError
        If the op is unknown, or has other attributes or another number of inputs.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self._check_types()
        where = f"of node {self.name!r}"
        signature = SIGNATURES[check_in("Node", f"op {where}", self.op, SIGNATURES)]
        names = [name for name, _ in self.attrs]
        if sorted(names) != sorted(signature.attrs):
            expected = f"{list(signature.attrs)}, which is what {self.op!r} reads"
            raise ValueError(complaint("Node", f"attrs {where}", names, expected))
        low, high = signature.inputs_min, signature.inputs_max
        if len(self.inputs) < low or (high is not None and len(self.inputs) > high):
            expected = f"{low} for {self.op!r}" if high else f"at least {low} for {self.op!r}"
            got = f"of {len(self.inputs)} names"
            raise ValueError(complaint("Node", f"inputs {where}", got, expected))

    def _check_types(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(complaint("Node", "name", repr(self.name), "a non-empty string"))
        if not isinstance(self.inputs, tuple) or not all(isinstance(e, str) for e in self.inputs):
            fix = f"Write ({self.inputs!r},)." if isinstance(self.inputs, str) else ""
            got = repr(self.inputs)
            message = complaint("Node", f"inputs of {self.name!r}", got, "a tuple of names", fix)
            raise TypeError(message)
        if not isinstance(self.attrs, tuple):
            got = repr(self.attrs)
            expected = "a tuple of (name, value) pairs"
            raise TypeError(complaint("Node", f"attrs of {self.name!r}", got, expected))

    def attr(self, name: str) -> Any:
        """Return the attribute called `name`; ValueError if the node has none of that name."""
        values = dict(self.attrs)
        return values[check_in("Node.attr", f"attribute of {self.name!r}", name, values)]
