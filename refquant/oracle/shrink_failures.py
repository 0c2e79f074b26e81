"""The report with one failing case of each op as small as it can be made, beside the original."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from refquant._checks import complaint
from refquant.oracle.backend import Unsupported
from refquant.oracle.build import Disagreement, build
from refquant.oracle.program import TIMEOUT
from refquant.oracle.registry import ops
from refquant.oracle.report import Failure, Report
from refquant.oracle.shrink import Reproduction, reproduce

Tick = Callable[[str], None]


def shrink_failures(
    report: Report, backend: Any, timeout: float = TIMEOUT, progress: Tick | None = None
) -> Report:
    """Return the report, where the first failure of each op has its smallest case.

    Of the others one rarely learns more, and each costs hundreds of questions.

    Parameters
    ----------
    report : Report
        Of this backend.
    backend : Backend or str
        As `verify` takes it; not ``dir:PATH``.
    timeout : float
        That of `verify`.
    progress : function (op name), optional
        Called before the case of each op.

    Raises
    ------
    ValueError
        If the backend is a directory.
    """
    check_asked_again(backend)
    firsts = {failure.op: failure for failure in reversed(report.failures)}
    small = {}
    for op, failure in reversed(firsts.items()):
        if progress:
            progress(op)
        small[op] = _smallest(failure, backend, timeout)
    failures = (
        replace(failure, small=small[failure.op]) if failure is firsts[failure.op] else failure
        for failure in report.failures
    )
    return replace(report, failures=tuple(failures))


def check_asked_again(backend: Any) -> None:
    """Raise ValueError for results in a directory, which answer no new question."""
    if isinstance(backend, str) and backend.startswith("dir:"):
        expected = "a backend that can be asked again"
        fix = "Leave --shrink out, or name the program that wrote the results: cmd:PROGRAM."
        raise ValueError(complaint("verify", "backend", repr(backend), expected, fix))


def _smallest(failure: Failure, backend: Any, timeout: float) -> Reproduction | None:
    """Return the smallest case that fails too; None if the case is right when asked again."""
    try:
        found = reproduce(backend, build(ops()[failure.op], failure.case), timeout)
    except (Disagreement, Unsupported):
        return None
    return found if found.mismatches else None
