"""What a result says beside its numbers, as data: its notes, and widths of layers that differ."""

from collections.abc import Sequence
from typing import Any

from refquant.methods.allocation import Allocated

REMARKS = ("notes", "allocation")


def remarks(notes: Sequence[str], allocation: Allocated | None) -> dict[str, Any]:
    """Return a result's notes and its allocation by their names; less where there is none."""
    found: dict[str, Any] = {"notes": list(notes)} if notes else {}
    return found | ({} if allocation is None else {"allocation": allocation.to_data()})
