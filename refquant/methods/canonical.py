"""Frozen dataclasses as plain data: what a setting's JSON, hash and saved form are made of."""

from dataclasses import fields, is_dataclass
from typing import Any


def as_data(value: Any) -> Any:
    """Return dataclasses as dicts that name their class, tuples as lists, numbers as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        entries = {f.name: as_data(getattr(value, f.name)) for f in fields(value)}
        return {"is": type(value).__name__, **entries}
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    return value
