"""Hold one implementation of one op against built cases."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch, compare
from refquant.oracle.op import Arrays, Attrs, Inputs, Op
from refquant.oracle.tiers import Format, narrowed

Run = Callable[[Inputs, Attrs], Mapping[str, Any]]


def handed(case: Case, form: Format) -> Arrays:
    """Return the inputs of a case as a backend of this arithmetic gets them."""
    return {name: _handed(value, form) for name, value in case.inputs.items()}


def _handed(value: Array, form: Format) -> Array:
    if value.dtype.kind == "f":
        return value.astype(form.dtype)
    return narrowed(value) if value.dtype.kind == "i" else value.copy()


def held(op: Op, case: Case, form: Format) -> bool:
    """Return whether an arithmetic is held to a case at all."""
    return case.tier in form.tiers and not (form.narrow and op.composite)


def judge(op: Op, built: Built, run: Run, form: Format) -> list[Mismatch]:
    """Return what is wrong with the outputs of `run` for one case."""
    attrs = op.resolve(built.case.attrs)
    with np.errstate(all="ignore"):
        outputs = run(handed(built.case, form), attrs)
    return compare(op, built.outputs, outputs, form)


def first_failure(op: Op, cases: Iterable[Built], run: Run, form: Format) -> Built | None:
    """Return the first case, of those that the arithmetic is held to, that `run` gets wrong.

    An exception is wrong too.
    """
    for built in cases:
        if held(op, built.case, form):
            try:
                failed = bool(judge(op, built, run, form))
            except Exception:
                failed = True
            if failed:
                return built
    return None
