"""Frozen dataclasses as plain data: what a setting's JSON, hash and saved form are made of."""

from dataclasses import Field, field, fields, is_dataclass
from typing import Any


def added(default: Any, published: str = "") -> Any:
    """Return a dataclass field that came after settings had been hashed and their rows kept.

    Data leave it out where it has its default, which is what the code did before there was a
    choice: so a setting that makes no use of it keeps its hash, and the rows stay valid.

    Parameters
    ----------
    default : Any
    published : str
        Which published implementation has which value; `describe` prints it beside the field.
    """
    return field(default=default, metadata={"unsaid": True, "published": published})


def as_data(value: Any) -> Any:
    """Return dataclasses as dicts that name their class, tuples as lists, numbers as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        said = [f.name for f in fields(value) if not _is_unsaid(f, value)]
        entries = {name: as_data(getattr(value, name)) for name in said}
        return {"is": type(value).__name__, **entries}
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    return value


def _is_unsaid(one: "Field[Any]", owner: Any) -> bool:
    return "unsaid" in one.metadata and bool(getattr(owner, one.name) == one.default)
