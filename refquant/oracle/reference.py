"""Run an op of the oracle on anybody's inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.oracle.op import Arrays, Op
from refquant.oracle.profiles import resolve
from refquant.oracle.registry import ops

KINDS = {"float": "f", "int": "iu", "bool": "b"}


def reference(
    op: str,
    inputs: Mapping[str, Any],
    attrs: Mapping[str, Any] | None = None,
    profile: str | Mapping[str, Any] = "paper",
) -> Arrays:
    """Return the outputs of an op, computed in pinned arithmetic with three slices.

    Parameters
    ----------
    op : str
        A name of `ops()`.
    inputs : mapping of name to array-like
        Floats are taken as float64.
    attrs : mapping, optional
        What differs from the defaults.
    profile : str or mapping
        Dialect whose values the attributes have that `attrs` does not give.

    Returns
    -------
    dict of name to array

    Raises
    ------
    TypeError, ValueError
        If the op, an input, an attribute or the profile is unknown or of the wrong kind.

    Examples
    --------
    >>> from refquant import oracle
    >>> oracle.reference("round", {"x": [0.5, 1.5, 2.5]})["y"]
    array([0., 2., 2.])
    """
    check_in("reference", "op", op, ops())
    found = ops()[op]
    prefix = f"{op}."
    spoken = {
        k.removeprefix(prefix): v for k, v in resolve(profile).items() if k.startswith(prefix)
    }
    given = _inputs(found, inputs)
    with nx.arithmetic("pinned", slices=3), np.errstate(all="ignore"):
        return found.reference(given, found.resolve({**spoken, **(attrs or {})}))


def _inputs(op: Op, inputs: Mapping[str, Any]) -> dict[str, Array]:
    known = {tensor.name: tensor for tensor in op.inputs}
    missing = [t.name for t in op.inputs if not t.optional and t.name not in inputs]
    unknown = [name for name in inputs if name not in known]
    if missing or unknown:
        got = f"{sorted(inputs)}"
        raise ValueError(complaint(f"reference({op.name!r})", "inputs", got, f"{sorted(known)}"))
    return {name: _array(op.name, known[name].kind, name, value) for name, value in inputs.items()}


def _array(op: str, kind: str, name: str, value: Any) -> Array:
    array = np.asarray(value)
    if kind == "float" and array.dtype.kind in "fiu":
        return np.array(array, dtype=np.float64)
    if array.dtype.kind not in KINDS[kind]:
        raise TypeError(complaint(f"reference({op!r})", name, array.dtype, f"{kind}s"))
    return np.array(array, dtype=np.int64 if kind == "int" else np.bool_)
