"""One operation of a network: its forward, its backward, and whose gradients are wanted.

``forward(node, inputs, params)`` returns the output and a cache; ``backward(node, d_y, cache)``
returns one gradient per input and a dict of parameter gradients. Only differentiable parameters
have gradients; statistics (``mean``, ``var``) have none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from refquant._types import Array
from refquant.network.node import Node

Params = Mapping[str, Array]
Pulled = tuple[tuple[Array, ...], dict[str, Array]]  # d_inputs, d_params
Forward = Callable[[Node, tuple[Array, ...], Params], tuple[Array, Any]]
Backward = Callable[[Node, Array, Any], Pulled]


class Wanted(NamedTuple):
    """Whose gradients somebody asked for: the inputs', the parameters'."""

    inputs: bool
    params: bool


class Op(NamedTuple):
    """Forward and backward of one operation.

    `sparing`, where it pays, is a backward that leaves out what is not wanted: no d_inputs, or no
    parameter gradients.
    """

    forward: Forward
    backward: Backward
    sparing: Callable[[Node, Array, Any, Wanted], Pulled] | None = None

    def pull(self, node: Node, d_y: Array, cache: Any, wanted: Wanted) -> Pulled:
        """Return at least the gradients that are wanted."""
        if self.sparing is None or all(wanted):
            return self.backward(node, d_y, cache)
        return self.sparing(node, d_y, cache, wanted)


class Component(Protocol):
    """What a quantize node carries. This room does not know which components exist."""

    def forward(self, x: Array, params: Params) -> tuple[Array, Any]:
        """Return the quantized `x` and a cache; `params` are the node's, by short name."""

    def backward(self, d_y: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        """Return dL/dx and dL/dparameter by short name."""
