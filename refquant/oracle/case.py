"""A case: one set of inputs of one op, chosen for what it distinguishes."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Inputs
from refquant.oracle.tiers import TIERS, check_tier


@dataclass(frozen=True)
class Case:
    """Inputs and attributes, and why they were chosen.

    Attributes
    ----------
    op : str
    tier : {"T8", "T11", "T24", "T53", "REAL"}
        What the inputs are made of; see `tiers`.
    purpose : str
        What it distinguishes, in a few words; cases of one op have different purposes.
    inputs : dict of name to array
        float64, int64 or bool; floats hold numbers that the tier allows.
    attrs : dict
        Only what differs from the defaults.
    clauses : tuple of str
        Of the op's clauses, those that this case tests.
    flags : tuple of str
        "trajectory": a step of a recorded run.
    frozen : dict or None
        The attributes that it was frozen with, where `attrs` has values that a backend declares in
        their place; see `declared`. The id stays that of the frozen case.
    """

    op: str
    tier: str
    purpose: str
    inputs: Inputs
    attrs: dict[str, Any] = field(default_factory=dict)
    clauses: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    frozen: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Bring the arrays to the stored dtypes; refuse numbers that the tier does not allow."""
        inputs = {name: _stored(value) for name, value in self.inputs.items()}
        object.__setattr__(self, "inputs", inputs)
        for name, value in inputs.items():
            check_tier(f"{self.op} ({self.purpose})", name, value, TIERS[self.tier])

    @property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of op, attributes and inputs, as frozen."""
        attrs = self.attrs if self.frozen is None else self.frozen
        digest = hashlib.sha256(canonical([self.op, attrs]).encode())
        for name in sorted(self.inputs):
            value = self.inputs[name]
            digest.update(canonical([name, value.dtype.str, list(value.shape)]).encode())
            digest.update(value.tobytes())
        return digest.hexdigest()[:16]


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, floats in hexadecimal."""
    return json.dumps(_hexed(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hexed(value: Any) -> Any:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _hexed(item) for key, item in value.items()}
    return [_hexed(item) for item in value] if isinstance(value, list | tuple) else value


def _stored(value: Any) -> Array:
    """`value` as a C-ordered, read-only array of float64, int64 or bool."""
    array = np.asarray(value)
    dtype = {"f": "<f8", "i": "<i8", "u": "<i8", "b": "|b1"}[array.dtype.kind]
    array = np.array(array, dtype=dtype, order="C")
    array.flags.writeable = False
    return array
