"""What the adapters of libraries share: skipping, and dispatch by name."""

from collections.abc import Callable, Mapping
from typing import Any

from refquant import oracle

Arrays = Mapping[str, Any]


def only(condition: bool, text: str) -> None:
    """Skip a case that the library has no function for."""
    if not condition:
        raise oracle.Unsupported(text)


def dispatch(op: str, inputs: Arrays, attrs: Arrays, **functions: Callable[..., Arrays]) -> Arrays:
    """Call the function of an op; skip the op if there is none."""
    only(op in functions, "no such function")
    return functions[op](inputs, attrs)
