"""What the adapters of libraries share: skipping, dispatch by name, grids and axes."""

from collections.abc import Callable, Mapping
from typing import Any

from refquant import oracle

Arrays = Mapping[str, Any]
LARGE = 1e30  # stands for an infinity where a gradient is taken
CODES = {
    "unsigned": lambda bits: (0, 2**bits - 1),
    "affine": lambda bits: (0, 2**bits - 1),
    "signed": lambda bits: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
    "narrow": lambda bits: (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1),
}


def only(condition: bool, text: str) -> None:
    """Skip a case that the library has no function for."""
    if not condition:
        raise oracle.Unsupported(text)


def dispatch(op: str, inputs: Arrays, attrs: Arrays, **functions: Callable[..., Arrays]) -> Arrays:
    """Call the function of an op; skip the op if there is none."""
    only(op in functions, "no such function")
    return functions[op](inputs, attrs)


def along(p: Any, axis: int | None, x: Any) -> Any:
    """A parameter per index of an axis, to broadcast against x; arrays of any library."""
    if axis is None:
        return p
    return p.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def per_row(p: Any, w: Any) -> Any:
    """A parameter per output, or one for all of them, to broadcast against w."""
    return along(p, 0 if p.ndim else None, w)
