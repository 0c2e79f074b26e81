"""Argument checks: every refusal says function, argument, got, expected and the fix.

The public entry points validate first and change nothing on error. The helpers here build
the message, so that all of refquant complains in one voice.
"""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from refquant._pieces import BYTES, pieces_of
from refquant._types import Array

MIN_BITS, MAX_BITS = 2, 16
MANY = 64  # more names than this are counted in a message, not listed
NUMBERS = ((bool, np.bool_), (int, np.integer), (float, np.floating))  # the first that fits counts


def complaint(function: str, argument: str, got: object, expected: str, fix: str = "") -> str:
    """One sentence in the shape all refusals share.

    Parameters
    ----------
    function, argument : str
        Where the bad value arrived.
    got : object
        What arrived, as the reader should see it.
    expected : str
        What would have been accepted.
    fix : str, optional
        What to do about it.

    Returns
    -------
    str
        ``function(): argument is got; expected expected. fix``
    """
    text = f"{function}(): {argument} is {got}; expected {expected}."
    return f"{text} {fix}" if fix else text


def check_array(function: str, argument: str, value: Any, ndim: int | None = None) -> Array:
    """Return `value` if it is a float32 or float64 array (of `ndim` axes).

    Raises
    ------
    TypeError
        If it is not a NumPy array of float32 or float64.
    ValueError
        If it has another number of axes.
    """
    if not isinstance(value, np.ndarray):
        fix = "Convert it with numpy.asarray first."
        raise TypeError(complaint(function, argument, type(value).__name__, "a numpy array", fix))
    if value.dtype not in (np.float32, np.float64):
        fix = f"Cast it: {argument}.astype(numpy.float64)."
        message = complaint(function, argument, value.dtype, "float32 or float64", fix)
        raise TypeError(message)
    if ndim is not None and value.ndim != ndim:
        got = f"of shape {value.shape}"
        raise ValueError(complaint(function, argument, got, f"an array of {ndim} axes"))
    return value


def check_shape(function: str, argument: str, value: Array, shape: tuple[int, ...]) -> Array:
    """Return `value` if it has exactly this shape; ValueError otherwise."""
    if value.shape != shape:
        raise ValueError(complaint(function, argument, f"of shape {value.shape}", f"{shape}"))
    return value


def check_dtype(function: str, argument: str, value: Array, dtype: np.dtype[Any]) -> Array:
    """Return `value` if it has the dtype of its partner; TypeError otherwise.

    Mixing float32 and float64 would silently widen the result.
    """
    if value.dtype != dtype:
        fix = f"Cast it: {argument}.astype(numpy.{dtype})."
        raise TypeError(complaint(function, argument, value.dtype, f"{dtype} like the rest", fix))
    return value


def check_operand(
    function: str, argument: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Array:
    """Return `value` if it is a float array of exactly this shape and dtype; an error otherwise."""
    check_array(function, argument, value, ndim=len(shape))
    check_shape(function, argument, value, shape)
    return check_dtype(function, argument, value, dtype)


def check_finite(function: str, argument: str, value: Array) -> Array:
    """Return `value` if it holds no NaN and no infinity; ValueError otherwise."""
    if not _is_finite(np.asarray(value)):
        got, fix = _first(value, ~np.isfinite(value)), "Remove or replace them before calling."
        raise ValueError(complaint(function, argument, got, "finite numbers", fix))
    return value


def check_positive(function: str, argument: str, value: Any, fix: str = "") -> Any:
    """Return `value` if every entry is a positive normal number; ValueError otherwise.

    A subnormal step would make ``x / s`` overflow, so it is refused like zero.
    """
    array = np.asarray(value)
    kind = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    bad = ~(np.isfinite(array) & (array >= np.finfo(kind).tiny))
    if array.size == 0 or bad.any():
        got = "empty" if array.size == 0 else _first(array, bad)
        raise ValueError(complaint(function, argument, got, "positive normal numbers", fix))
    return value


def _is_finite(array: Array) -> bool:
    """Whether all entries are, looked at a few rows at a time where there are many."""
    if array.nbytes <= BYTES:
        return bool(np.isfinite(array).all())
    return all(bool(np.isfinite(array[rows]).all()) for rows in pieces_of(array))


def _kind(value: Any) -> Any:
    """What numbers are told apart by; None for anything else."""
    return next((kind for kind in NUMBERS if isinstance(value, kind)), None)


def _first(value: Array, bad: Array) -> str:
    """The first bad entry, where it stands, and how many there are."""
    if not bad.ndim:
        return f"{value}"
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{value[index]} at index {index} ({int(bad.sum())} such entries)"


def check_int(function: str, argument: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as int if it is a whole number in [low, high]; an error otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        got = f"{value!r} ({type(value).__name__})"
        raise TypeError(complaint(function, argument, got, "an integer"))
    if value < low or (high is not None and value > high):
        expected = f"at least {low}" if high is None else f"in {low}..{high}"
        raise ValueError(complaint(function, argument, value, f"an integer {expected}"))
    return int(value)


def check_number(function: str, argument: str, value: Any) -> float:
    """Return `value` if it is a real number, and no bool; TypeError otherwise."""
    if _kind(value) not in NUMBERS[1:]:
        got = f"{value!r} ({type(value).__name__})"
        raise TypeError(complaint(function, argument, got, "a number"))
    number: float = value
    return number


def check_kinds(function: str, argument: str, values: Any, kind: type) -> None:
    """Refuse what is no tuple of `kind` alone, with a TypeError."""
    wrong = (
        [v for v in values if not isinstance(v, kind)] if isinstance(values, tuple) else [values]
    )
    if wrong:
        got = type(wrong[0]).__name__
        expected = "a tuple" if kind is object else f"a tuple of {kind.__name__} alone"
        raise TypeError(complaint(function, argument, got, expected))


def check_bits(function: str, argument: str, value: Any) -> int:
    """Return `value` if it is a bit width refquant supports (2..16); an error otherwise."""
    return check_int(function, argument, value, MIN_BITS, MAX_BITS)


def check_in(function: str, argument: str, value: Any, allowed: Iterable[Any]) -> Any:
    """Return `value` if it is one of `allowed`; else a ValueError naming the nearest one.

    A number has to be of the option's kind as well: to Python True is 1 and 1.0 is 1, but not in
    the JSON that settings are hashed by.
    """
    options = list(allowed)
    if isinstance(value, str) and value in options:
        return value
    if _kind(value) in [_kind(option) for option in options if value == option]:
        return value
    near = difflib.get_close_matches(str(value), [str(o) for o in options], n=1, cutoff=0.5)
    fix = f"Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(repr(o) for o in options)
    expected = f"one of {listed}" if len(options) <= MANY else f"one of {len(options)} names"
    raise ValueError(complaint(function, argument, repr(value), expected, fix))
