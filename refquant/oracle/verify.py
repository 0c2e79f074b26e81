"""Hold a backend against the frozen corpus."""

import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from refquant._checks import complaint
from refquant.oracle import corpus
from refquant.oracle.ask import ask
from refquant.oracle.backend import Recorded, Unsupported, format_of, open_backend
from refquant.oracle.build import Built
from refquant.oracle.common import common
from refquant.oracle.compare import Mismatch
from refquant.oracle.declared import spoken
from refquant.oracle.diagnose import Seen, diagnose
from refquant.oracle.expected import Expected
from refquant.oracle.judge import held
from refquant.oracle.layouts import LAYOUTS, turn
from refquant.oracle.op import Op
from refquant.oracle.profiles import resolve
from refquant.oracle.program import TIMEOUT
from refquant.oracle.registry import alike
from refquant.oracle.registry import ops as all_ops
from refquant.oracle.report import Coverage, Failure, Report
from refquant.oracle.tiers import Format

Tick = Callable[[str], None]


def verify(
    backend: Any,
    tier: str = "quick",
    ops: str = "*",
    *,
    cases: Iterable[Built] | None = None,
    xfails: Expected | None = None,
    progress: Tick | None = None,
    timeout: float = TIMEOUT,
) -> Report:
    """Run a backend on the corpus and say what is wrong, by name.

    Parameters
    ----------
    backend : Backend or str
        An object with ``name`` and ``run``, or ``module:attribute``, ``cmd:PROGRAM``, ``dir:PATH``.
    tier : {"smoke", "quick", "full"}
        smoke takes a second; quick is everything but the late steps of trajectories, each case in
        one memory layout; full is everything, each case in every layout.
    ops : str
        Names or patterns, separated by commas.
    cases : iterable of Built, optional
        In place of the frozen corpus, as `read_vectors` returns them.
    xfails : Expected, optional
        Failures that are known, with reasons; one that is missing fails the report.
    progress : function (op name), optional
        Called as each op begins.
    timeout : float
        Seconds that a ``cmd:`` program may spend without results for another case. The case on
        which it hangs fails; the others are judged.

    Returns
    -------
    Report
        ``.passed`` is False if anything failed or nothing ran.

    Raises
    ------
    TypeError, ValueError
        If the backend is none, declares an unknown profile or arithmetic, or no op matches.
    """
    began = time.perf_counter()
    picked = chosen(ops, tier, cases)
    opened = open_backend(backend, [item for items in picked.values() for item in items], timeout)
    form, fields = format_of(opened), resolve(getattr(opened, "profile", "any"))
    coverage, failures = {}, []
    for name, items in picked.items():
        if progress:
            progress(name)
        judged = _Judge(all_ops()[name], opened, form, fields, tier == "full")
        judged.run(items)
        coverage[name] = judged.coverage
        failures += judged.failures()
    expected = xfails or Expected(())
    known, failures = expected.split(failures)
    return Report(
        backend=opened.name,
        spec=backend if isinstance(backend, str) else "BACKEND",
        dtype=form.name,
        tier=tier,
        coverage=coverage,
        failures=tuple(failures),
        known=tuple(known),
        stale=expected.stale(known, coverage),
        floor=None if cases is not None or ops != "*" else corpus.manifest()["floor"][tier],
        seconds=time.perf_counter() - began,
    )


def chosen(
    patterns: str, tier: str, cases: Iterable[Built] | None = None, caller: str = "verify"
) -> dict[str, list[Built]]:
    """Return the cases of the ops that match, by op: frozen ones, or some of `cases`."""
    parts = [part.strip() for part in patterns.split(",") if part.strip()] or [""]
    wanted = {name for part in parts for name in _matching(part, caller)}
    names = [name for name in all_ops() if name in wanted]
    if cases is None:
        return {name: list(corpus.select(name, tier)) for name in names}
    given = list(cases)
    unknown = {item.case.op for item in given} - set(all_ops())
    if unknown:
        expected = "ops of this refquant"
        raise ValueError(complaint("verify", "cases", sorted(unknown), expected))
    return {
        name: corpus.in_tier([item for item in given if item.case.op == name], tier)
        for name in names
        if any(item.case.op == name for item in given)
    }


def _matching(pattern: str, caller: str) -> list[str]:
    """Return the ops that a name or a pattern stands for; an error if there are none."""
    found = [name for name in all_ops() if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        fix = f"{alike(pattern)} `refquant verify --list` has all.".lstrip()
        raise ValueError(complaint(caller, "ops", repr(pattern), "names of ops", fix))
    return found


class _Judge:
    """Runs the cases of one op and keeps what came out."""

    def __init__(
        self, op: Op, backend: Any, form: Format, fields: Mapping[str, Any], every: bool
    ) -> None:
        self.op, self.backend, self.form, self.fields = op, backend, form, fields
        self.every = every
        self.coverage = Coverage()
        self.seen: list[Seen] = []
        self.wrong: list[tuple[Built, str, list[Mismatch]]] = []

    def run(self, items: Iterable[Built]) -> None:
        """Run the cases that the backend is held to, and note why the others are not run."""
        given = list(items)
        asked = spoken(self.op, given, self.fields, self.form)
        for item in given:
            self.coverage.purposes[item.case.id] = item.case.purpose
            if not held(self.op, item.case, self.form):
                what = "this op" if self.op.composite else f"tier {item.case.tier}"
                reason = f"{what} is not for {self.form.name}"
                self.coverage.skip(item.case.id, "other_tier", reason)
            elif item.case.id not in asked:
                self.coverage.skip(item.case.id, "other_dialect", "of another dialect")
            else:
                self._ask(asked[item.case.id])

    def _ask(self, item: Built) -> None:
        """Run one case in its layouts and note what is wrong."""
        for layout in self._layouts(item):
            try:
                outputs, mismatches = ask(self.backend, self.op, item, self.form, layout)
            except Unsupported as reason:
                self.coverage.skip(item.case.id, "unsupported", str(reason) or "not supported")
                return
            if mismatches:
                break
        answered = not any(m.problem in ("raised", "returned") for m in mismatches)
        self.coverage.count(item, outputs if answered else None, bool(mismatches))
        known = layout if mismatches or not self.every else ""
        self.seen.append(Seen(item, outputs, known, tuple(mismatches)))
        if mismatches:
            self.wrong.append((item, layout, mismatches))

    def _layouts(self, item: Built) -> Iterable[str]:
        """Return the layouts in which a case is asked; files are in C order."""
        if isinstance(self.backend, Recorded):
            return ("C",)
        return LAYOUTS if self.every else (turn(item.case.id),)

    def failures(self) -> list[Failure]:
        """Return the failures of the op, each with the diagnosis of all of them together."""
        if not self.wrong:
            return []
        found = replace(diagnose(self.op, self.seen, self.form), common=common(self.op, self.seen))
        return [
            Failure(self.op.name, item.case, layout, tuple(mismatches), found)
            for item, layout, mismatches in self.wrong
        ]
