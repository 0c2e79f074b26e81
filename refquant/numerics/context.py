"""Which arithmetic is in force: fast (NumPy as it is) or pinned (the same bits anywhere).

The current arithmetic is a context variable, as the precision of `decimal` and the error
state of NumPy are: set for a `with` block, restored when it ends, also on an exception.

A new thread or process starts in fast. Work that is sent away carries its `Arithmetic`
in its configuration and enters it itself; nothing is inherited silently.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import numpy as np

from refquant._checks import check_in, check_int, complaint

Mode = Literal["fast", "pinned"]

MAX_SLICES = 3
DEFAULT_SLICES = 2
SMALLEST = 5e-324  # the smallest subnormal, 2^-1074


@dataclass(frozen=True)
class Arithmetic:
    """A named arithmetic: what a configuration stores and a worker enters.

    Parameters
    ----------
    mode : {"fast", "pinned"}
        "fast" is BLAS and NumPy; "pinned" gives the same bits on every machine.
    slices : int or None
        Pinned only: how many slices a matrix product cuts its operands into, 1 to 3.
        None means 2 in pinned; fast has none.
    """

    mode: Mode = "fast"
    slices: int | None = None

    def __post_init__(self) -> None:
        """Fill in the default slices of pinned; refuse slices in fast."""
        check_in("Arithmetic", "mode", self.mode, ("fast", "pinned"))
        if self.mode == "pinned":
            slices = DEFAULT_SLICES if self.slices is None else self.slices
            slices = check_int("Arithmetic", "slices", slices, 1, MAX_SLICES)
            object.__setattr__(self, "slices", slices)
        elif self.slices is not None:
            fix = "Only pinned arithmetic has slices."
            raise ValueError(complaint("Arithmetic", "slices", self.slices, "None in fast", fix))


FAST = Arithmetic()
_current: ContextVar[Arithmetic] = ContextVar("refquant_arithmetic", default=FAST)


def current() -> Arithmetic:
    """Return the arithmetic in force here."""
    return _current.get()


@contextmanager
def arithmetic(
    mode: Mode | Arithmetic = "pinned", slices: int | None = None
) -> Iterator[Arithmetic]:
    """Compute the `with` block in this arithmetic.

    Parameters
    ----------
    mode : {"pinned", "fast"} or Arithmetic
        What to enter; an `Arithmetic` already says its slices.
    slices : int, optional
        Slices of a pinned matrix product, 1 to 3 (default 2).

    Yields
    ------
    Arithmetic
        The arithmetic in force.

    Raises
    ------
    ValueError
        If the mode is unknown, slices are out of range or given where they do not belong.
    RuntimeError
        If pinned is entered while this process flushes subnormal numbers to zero.

    Examples
    --------
    >>> from refquant import numerics as nx
    >>> with nx.arithmetic("pinned", slices=3) as entered:
    ...     entered.slices
    3
    """
    if isinstance(mode, Arithmetic):
        if slices is not None:
            fix = "Use dataclasses.replace(mode, slices=...)."
            got = f"{slices} beside an Arithmetic"
            raise ValueError(complaint("arithmetic", "slices", got, "None", fix))
        entered = mode
    else:
        entered = Arithmetic(mode, slices)
    if entered.mode == "pinned":
        check_subnormals()
    token = _current.set(entered)
    try:
        yield entered
    finally:
        _current.reset(token)


def check_subnormals() -> None:
    """Raise RuntimeError if additions or products of subnormal numbers give zero here.

    A shared library built with -ffast-math switches the whole thread to flush-to-zero when
    it is loaded; results below 1e-308 would then depend on what else was imported.
    """
    tiny = np.array([SMALLEST, 2.0**-1060])
    kept = (tiny + 0.0 > 0.0).all() and (tiny[1:] * 0.5 > 0.0).all()
    if not kept:
        raise RuntimeError(
            "arithmetic(): this process flushes subnormal numbers to zero; pinned arithmetic "
            "needs them. Find the library built with -ffast-math and keep it out of this process."
        )
