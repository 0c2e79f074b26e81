"""A node test of ONNX: one operator, its inputs, and what it must give.

Inputs and outputs go by the names that the specification gives them, whatever the graph calls them.
Numbers of narrow types (int4, float8, ...) are held in wider arrays that NumPy has; `types` keeps
what they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.quantizers.grid import Grid


class OutOfScope(Exception):
    """Raised where refquant has no such operator or format; the text says which."""


@dataclass(frozen=True)
class NodeTest:
    """One node test.

    Attributes
    ----------
    name : str
        As in ONNX, ``test_...``.
    op : str
        The operator.
    version : int
        Of the operator set that defines it.
    inputs, outputs : mapping of formal name to Array
        What was left out is absent.
    attrs : mapping
        As the node gives them; no defaults filled in.
    types : mapping of formal name to str
        Element types as ONNX names them, in lower case: uint8, int4, float, float8e4m3fn, ...
    """

    name: str
    op: str
    version: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


def integer_grid(kind: str, zero_point: Array) -> tuple[Grid, int]:
    """Return the grid of an integer type, and what its code 0 is in ONNX.

    Signed and unsigned grids have no zero point; with one, a type is the affine grid moved down:
    code c of int8 is c + 128 there.

    Raises
    ------
    OutOfScope
        If it is no integer type of 2 to 16 bits.
    """
    found = re.fullmatch(r"(u?)int(\d+)", kind)
    if found is None:
        raise OutOfScope(f"{kind}: the levels of a floating-point format are no uniform grid")
    unsigned, bits = bool(found[1]), int(found[2])
    if not 2 <= bits <= 16:
        raise OutOfScope(f"{kind}: codes have 2 to 16 bits")
    if not np.any(zero_point):
        return Grid("unsigned" if unsigned else "signed", bits), 0
    return Grid("affine", bits), 0 if unsigned else -(1 << (bits - 1))


def one_number(node: NodeTest, name: str, default: int = 0) -> Any:
    """Return an input that is one number for all: a scalar, or an array of one.

    Raises
    ------
    OutOfScope
        If it is several.
    """
    value = np.asarray(node.inputs.get(name, default))
    if value.size != 1:
        raise OutOfScope(f"{node.op}: {name} differs along a dimension")
    return value.reshape(())[()]
