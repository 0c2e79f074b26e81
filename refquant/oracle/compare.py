"""Compare outputs with goldens: exactly, within a bound, or with one of two right answers.

    integers, booleans     ==, or one of the two answers where a decision is in doubt
    floats without error   the same number (-0.0 equals 0.0), or both NaN
    floats with error      within the stored count of rounding steps times the unit roundoff that
                           the backend declares, plus half a unit of the golden
    64 such floats         and their signed errors, in shares of the bound, must not add up to
                           more than 4 sqrt(n): a systematic bias hides within bounds otherwise

Order of the checks: presence, dtype, shape, values. Never a bare tolerance.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Golden, bound, same_class
from refquant.oracle.op import Op
from refquant.oracle.tiers import Format
from refquant.oracle.wrong import Wrong, gather

BIAS_ELEMENTS = 64
KINDS = {"float": "f", "int": "iu", "bool": "biu"}
SAID = {
    "float": "float16, float32 or float64",
    "int": "an integer type",
    "bool": "booleans, or 0 and 1",
}


@dataclass(frozen=True)
class Mismatch:
    """What is wrong with one output of one case.

    Attributes
    ----------
    output : str
    problem : {"name", "dtype", "shape", "value", "bias"}
        Or, where a backend gives no answer to compare, {"raised", "returned", "input"}.
    says : str
        In words.
    index : tuple of int
        The first wrong element; empty where there is none.
    expected, actual : float, int, bool or None
        There. `also` is the other right answer, if there is one.
    bound : float
        How far `actual` may lie from `expected`.
    wrong, size : int
        Elements that are wrong, of all.
    elements : Wrong or None
        All of these, where values were compared and some are wrong.
    """

    output: str
    problem: str
    says: str
    index: tuple[int, ...] = ()
    expected: Any = None
    actual: Any = None
    also: Any = None
    bound: float = 0.0
    wrong: int = 0
    size: int = 0
    elements: Wrong | None = field(default=None, compare=False, repr=False)


def compare(
    op: Op, goldens: Mapping[str, Golden], outputs: Mapping[str, Any], form: Format
) -> list[Mismatch]:
    """Return what is wrong, at most one entry per output; outputs left out are passed over.

    Parameters
    ----------
    op : Op
    goldens : mapping of output to Golden
    outputs : mapping of output to array
    form : Format
        The arithmetic that the backend declares.
    """
    found = []
    for name, golden in goldens.items():
        if name in outputs:
            mismatch = _output(op.output(name).kind, name, golden, outputs[name], form)
            found += [mismatch] if mismatch else []
    for name in outputs:
        if name not in goldens:
            says = f"the op has no such output; expected {', '.join(goldens)}"
            found.append(Mismatch(name, "name", says))
    return found


def wrong_elements(golden: Golden, value: Array, form: Format) -> Array:
    """Return where `value`, of the golden's shape, is not a right answer."""
    right = _near(golden.value, value, golden, form)
    if golden.other is not None:
        right = right | _near(golden.other, value, golden, form)
    return ~right


def _near(answer: Array, value: Array, golden: Golden, form: Format) -> Array:
    if answer.dtype.kind != "f":
        return np.asarray(value == answer)
    with np.errstate(invalid="ignore"):
        apart = np.abs(value.astype(np.float64) - answer)
        return same_class(value, answer) | (apart <= bound(golden, form.roundoff))


def _output(kind: str, name: str, golden: Golden, value: Any, form: Format) -> Mismatch | None:
    array = np.asarray(value)
    if array.dtype.kind not in KINDS[kind]:
        return Mismatch(name, "dtype", f"dtype is {array.dtype}; expected {SAID[kind]}")
    if array.shape != golden.value.shape:
        says = f"shape is {array.shape}; expected {golden.value.shape}"
        return Mismatch(name, "shape", says)
    wrong = wrong_elements(golden, array, form)
    if wrong.any():
        return _first(name, golden, array, wrong, form)
    return _bias(name, golden, array, form) if kind == "float" else None


def _first(name: str, golden: Golden, value: Array, wrong: Array, form: Format) -> Mismatch:
    limits = np.zeros(wrong.shape)
    if golden.value.dtype.kind == "f":
        limits = bound(golden, form.roundoff)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    limit = float(limits[index])
    expected, actual = golden.value[index].item(), value[index].item()
    also = None if golden.other is None else golden.other[index].item()
    says = f"{actual!r} at {list(index)}; expected {expected!r}"
    says += f" or {also!r}" if also not in (None, expected) else ""
    says += f" within {limit:.3g}" if limit else ""
    elements = gather(wrong, (golden.value, golden.other), value, limits)
    return Mismatch(
        name,
        "value",
        says,
        index,
        expected,
        actual,
        also,
        limit,
        elements.count,
        wrong.size,
        elements,
    )


def _bias(name: str, golden: Golden, value: Array, form: Format) -> Mismatch | None:
    bounds = bound(golden, form.roundoff)
    counted = (bounds > 0) & np.isfinite(value)
    if golden.other is not None:
        counted &= golden.value == golden.other
    n = int(np.count_nonzero(counted))
    if n < BIAS_ELEMENTS:
        return None
    shares = (value[counted].astype(np.float64) - golden.value[counted]) / bounds[counted]
    total, limit = math.fsum(shares.tolist()), 4 * math.sqrt(n)
    if abs(total) <= limit:
        return None
    says = f"signed errors add up to {total:.1f} bounds over {n} elements; at most {limit:.1f}"
    return Mismatch(name, "bias", says, wrong=n, size=value.size)
