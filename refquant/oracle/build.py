"""Make goldens: the exact answer first, then two implementations that must agree with it.

For each case the twin runs on exact numbers and gives value, bound and doubts of every element;
it runs again on floats, and the library runs in pinned arithmetic with three slices. Where the
bound is 0 all three must be equal; elsewhere both must lie within it. A case that fails this, or
that leaves a decision in doubt where the op does not allow it, is refused by an error.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.exact.tracked import Ledger, Tracked, lift
from refquant.oracle.nested import as_array, as_numbers
from refquant.oracle.op import Op
from refquant.oracle.tiers import TIERS

DOUBLE = 2.0**-53
SMALLEST = {DOUBLE: 2.0**-1074}  # subnormal, by roundoff; that of float32 for all the others
MOST_STEPS = 1024
WHO, EQUAL, BOUND = ("reference", "twin"), "equal", "within the bound"


class Disagreement(AssertionError):
    """Two of the three computations differ: the case must not be frozen."""


@dataclass(frozen=True)
class Golden:
    """One output of one case.

    Attributes
    ----------
    value : Array
        float64 (the exact value rounded once), int64 or bool.
    error : Array or None
        Rounding steps of each element, weighted with their magnitudes: times the unit roundoff of
        an arithmetic it bounds the distance to `value`. None where every element is exact.
    other : Array or None
        The second answer that is right too, where a decision is in doubt.
    """

    value: Array
    error: Array | None = None
    other: Array | None = None


@dataclass(frozen=True)
class Built:
    """A case with its goldens and the record of the agreement."""

    case: Case
    outputs: dict[str, Golden]
    agreement: dict[str, Any]


def build(op: Op, case: Case) -> Built:
    """Return the goldens of a case.

    Raises
    ------
    Disagreement
        If reference or twin differ from the exact answer, or a decision is in doubt.
    """
    attrs = op.resolve(case.attrs)
    ledger = Ledger(TIERS[case.tier].precision)
    exact = run_twin(op, case, attrs, ledger)
    others: dict[str, Any] = {}
    if ledger.doubts:
        if not op.doubtful:
            raise Disagreement(f"{label(op, case)}: {ledger.doubts} decisions are in doubt")
        flipped = Ledger(ledger.precision, flip=True)
        others = run_twin(op, case, attrs, flipped)
    outputs = {name: _golden(op, name, value, others.get(name)) for name, value in exact.items()}
    with nx.arithmetic("pinned", slices=3), np.errstate(all="ignore"):
        reference = op.reference(case.inputs, attrs)
    twin = {k: as_array(v, kind(op, k))[0] for k, v in run_twin(op, case, attrs, None).items()}
    agreement: dict[str, Any] = {"bits": ledger.bits, "doubts": ledger.doubts}
    for who, found in zip(WHO, (reference, twin), strict=True):
        if set(found) != set(outputs):
            raise Disagreement(
                f"{label(op, case)}: {who} gives {sorted(found)}, not {sorted(outputs)}"
            )
        shares = [_distance(op, case, who, name, found[name], outputs[name]) for name in outputs]
        agreement[who] = BOUND if max(shares, default=0.0) > 0.0 else EQUAL
    return Built(case, outputs, agreement)


def run_twin(op: Op, case: Case, attrs: dict[str, Any], ledger: Ledger | None) -> dict[str, Any]:
    """Return what the twin gives, on exact numbers or (without a ledger) on floats."""

    def number(x: Any) -> Any:
        """Lift a number, unless the twin runs on floats."""
        return x if ledger is None else lift(x, ledger)

    def setting(x: Any) -> Any:
        """An attribute: a float that float32 cannot hold is rounded once by whoever reads it."""
        if isinstance(x, list | tuple):
            return [setting(item) for item in x]
        lifted = number(x)
        if isinstance(lifted, Tracked) and ledger and ledger.precision == 24:
            inexact = float(np.float32(x)) != x
            return Tracked(ledger, lifted.value, own=1 if inexact else 0)
        return lifted

    numbers = {name: as_numbers(value, number) for name, value in case.inputs.items()}
    return op.twin(numbers, {name: setting(value) for name, value in attrs.items()})


def kind(op: Op, name: str) -> str:
    """Return the kind of an output."""
    return op.output(name).kind


def label(op: Op, case: Case) -> str:
    """Return a case in words, for messages."""
    return f"{op.name} [{case.tier}] {case.purpose}"


def _golden(op: Op, name: str, numbers: Any, flipped: Any) -> Golden:
    """Return the golden; where a doubt gives another answer, the larger error is that of both."""
    value, error = as_array(numbers, kind(op, name))
    other = None
    if flipped is not None:
        other, others = as_array(flipped, kind(op, name))
        if np.array_equal(value, other, equal_nan=value.dtype.kind == "f"):
            other = None
        elif error is not None and others is not None:
            error = np.where(same_class(value, other), error, np.maximum(error, others))
    return Golden(value, error if error is not None and error.any() else None, other)


def _distance(op: Op, case: Case, who: str, name: str, found: Array, golden: Golden) -> float:
    """Return the largest distance in shares of the bound; raise if one is above 1."""
    found, value = np.asarray(found), golden.value
    where = f"{label(op, case)}, output {name}"
    if found.shape != value.shape:
        raise Disagreement(f"{where}: {who} has shape {found.shape}, the exact one {value.shape}")
    if value.dtype.kind != "f":
        same = (
            found == value if golden.other is None else (found == value) | (found == golden.other)
        )
        if not same.all():
            raise Disagreement(f"{where}: {who}\n{found}\nexact\n{value}")
        return 0.0
    limit = bound(golden, DOUBLE)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(same_class(found, value), 0.0, np.abs(found - value))
        if golden.other is not None:
            apart = np.minimum(apart, np.abs(found - golden.other))
        share = np.where(apart == 0.0, 0.0, apart / limit)
    if not np.all(share <= 1.0):
        raise Disagreement(f"{where}: {who}\n{found}\nexact\n{value}\nbound\n{limit}")
    return float(share.max(initial=0.0))


def same_class(a: Array, b: Array) -> Array:
    """Return where two float arrays agree: the same number, or both NaN."""
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def bound(golden: Golden, roundoff: float) -> Array:
    """Return how far a right answer may lie from the golden, per element.

    The weighted count of rounding steps times the roundoff (with one part in a thousand for the
    terms of second order), and half a unit in the last place of the golden itself, the larger of
    two right answers. 0 where exact.
    Below the normal range a step costs half the smallest subnormal instead, however small its
    number: the count over the magnitude tells how many steps there were.
    """
    if golden.error is None:
        return np.zeros(golden.value.shape)
    sizes = np.where(np.isfinite(golden.value), np.abs(golden.value), 0.0)
    if golden.other is not None:
        sizes = np.fmax(sizes, np.where(np.isfinite(golden.other), np.abs(golden.other), 0.0))
    own = np.spacing(sizes) / 2
    error = golden.error.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        steps = np.clip(np.nan_to_num(error / np.abs(golden.value)), 1, MOST_STEPS)
    lost = np.ceil(steps) / 2 * SMALLEST.get(roundoff, 2.0**-149)
    return np.where(error > 0, error * (1 + 2.0**-10) * roundoff + own + lost, 0.0)
