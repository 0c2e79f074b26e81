"""All cases of `refquant bench`, in the order they are printed."""

from refquant._checks import complaint
from refquant.bench import (
    convolutions,
    gram_steps,
    memory,
    pinned,
    scaling,
    solves,
    unit_steps,
    whole_runs,
)
from refquant.bench.case import Case


def catalogue() -> tuple[Case, ...]:
    """Return all cases; their names are unique."""
    families = (gram_steps, unit_steps, convolutions, solves, memory, scaling, pinned, whole_runs)
    return tuple(case for family in families for case in family.cases())


def chosen(only: str | None, quick: bool) -> tuple[Case, ...]:
    """Return the cases whose name contains `only`, and of these the quick ones if asked.

    Raises
    ------
    ValueError
        If there is none.
    """
    cases = catalogue()
    found = tuple(c for c in cases if (only or "") in c.name and (c.quick or not quick))
    if not found:
        names = "; ".join(c.name for c in cases)
        raise ValueError(complaint("bench", "only", repr(only), f"a part of one of: {names}"))
    return found
