"""The same numbers in other memory: what a backend must take, and may answer in.

    C           as it is
    Fortran     columns first
    strided     every second element of a larger array, its gaps filled with what would show
    reversed    negative strides
    read-only   C, not writeable

An array without axes is handed over as a 0-d array in each of them.
"""

from collections.abc import Callable

import numpy as np

from refquant._types import Array


def fortran(x: Array) -> Array:
    """Return `x` with its columns first in memory."""
    return np.array(x, order="F")


def strided(x: Array) -> Array:
    """Return `x` as every second element along each axis of an array full of other numbers."""
    if not x.ndim:
        return x.copy()
    wide = np.full(tuple(2 * n for n in x.shape), _filler(x), dtype=x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x: Array) -> Array:
    """Return `x` as a view with negative strides."""
    turn = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[turn])[turn] if x.ndim else x.copy()


def read_only(x: Array) -> Array:
    """Return a copy that cannot be written to."""
    copy = np.array(x, order="C")
    copy.flags.writeable = False
    return copy


def _filler(x: Array) -> float | int | bool:
    return {"f": 12345.0, "i": 77, "b": True}[x.dtype.kind]


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": lambda x: np.array(x, order="C"),
    "Fortran": fortran,
    "strided": strided,
    "reversed": backwards,
    "read-only": read_only,
}


def turn(case: str) -> str:
    """Return the layout that a case gets where each is run once: by its id, so never by chance."""
    return list(LAYOUTS)[int(case, 16) % len(LAYOUTS)]
