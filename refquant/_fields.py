"""Fields of dataclasses on which published implementations differ: the value, and who has which."""

from dataclasses import field
from typing import Any


def published(default: Any, programs: str) -> Any:
    """Return a dataclass field of which `describe` says which program or paper has which value."""
    return field(default=default, metadata={"published": programs})
