"""What verification found: data, and its JSON. Text, JUnit and HTML have files of their own."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from shlex import quote
from typing import Any

import numpy as np

from refquant.oracle.build import Built
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch
from refquant.oracle.diagnose import Diagnosis
from refquant.oracle.shrink import Reproduction

PASSED, FAILED, NOTHING = 0, 1, 5  # exit codes, as pytest has them


@dataclass
class Coverage:
    """What became of the cases of one op.

    Attributes
    ----------
    ran, failed : int
    unsupported : int
        Cases that the backend has no answer to; `reason` is the first text it gave.
    other_tier, other_dialect : int
        Cases that the declared arithmetic or profile excludes.
    purposes : dict
        {id: purpose} of all cases, those that ran and those that did not.
    skipped : dict
        {id: reason} of those that did not run.
    left_out : dict
        {output: cases that did not return it}.
    elements, doubtful : int
        Output elements compared, and those that have two right answers.
    clauses : set of str
        Of the specification, those that were tested.
    """

    ran: int = 0
    failed: int = 0
    unsupported: int = 0
    other_tier: int = 0
    other_dialect: int = 0
    reason: str = ""
    purposes: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    elements: int = 0
    doubtful: int = 0
    clauses: set[str] = field(default_factory=set)

    def skip(self, case: str, kind: str, reason: str) -> None:
        """Add one case that did not run; `kind` is the field that counts it."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.skipped[case] = reason
        if kind == "unsupported":
            self.reason = self.reason or reason

    def count(self, item: Built, outputs: Mapping[str, Any] | None, failed: bool) -> None:
        """Add one case that ran; no outputs if it raised, or returned nothing to compare."""
        self.ran += 1
        self.failed += failed
        self.clauses |= set(item.case.clauses)
        if outputs is None:
            return
        for name, golden in item.outputs.items():
            if name not in outputs:
                self.left_out[name] = self.left_out.get(name, 0) + 1
                continue
            self.elements += golden.value.size
            if golden.other is not None:
                self.doubtful += int(np.count_nonzero(golden.value != golden.other))


@dataclass(frozen=True)
class Failure:
    """A case that went wrong.

    Attributes
    ----------
    op : str
    case : Case
    layout : str
        Of the inputs in memory.
    mismatches : tuple of Mismatch
        At most one per output.
    diagnosis : Diagnosis
        Of all failures of the op together.
    small : Reproduction or None
        The case made as small as possible, where that was asked for; see `shrink_failures`.
    """

    op: str
    case: Case
    layout: str
    mismatches: tuple[Mismatch, ...]
    diagnosis: Diagnosis
    small: Reproduction | None = None

    @property
    def where(self) -> str:
        """``op/id``."""
        return f"{self.op}/{self.case.id}"

    @property
    def says(self) -> str:
        """The first mismatch, in words."""
        first = self.mismatches[0]
        return f"{first.output}: {first.says}" if first.output else first.says

    def reproduce(self, spec: str) -> str:
        """Return the command that runs this case again."""
        return f"refquant verify {quote(spec)} --repro {self.where}"


@dataclass(frozen=True)
class Report:
    """The outcome of `verify`.

    Attributes
    ----------
    backend, spec, dtype, tier : str
        `spec` is what was asked for, as it is typed on the command line.
    coverage : dict of op to Coverage
    failures, known : tuple of Failure
        `known` are listed in the xfails file.
    stale : tuple of str
        Entries of the xfails file that explain nothing.
    floor : int or None
        Cases that the tier must have; None where a part was asked for.
    seconds : float
    """

    backend: str
    spec: str
    dtype: str
    tier: str
    coverage: dict[str, Coverage]
    failures: tuple[Failure, ...]
    known: tuple[Failure, ...] = ()
    stale: tuple[str, ...] = ()
    floor: int | None = None
    seconds: float = 0.0

    @property
    def ran(self) -> int:
        """Cases that ran."""
        return sum(count.ran for count in self.coverage.values())

    @property
    def compared(self) -> bool:
        """Whether anything was: a known failure, or an element of an output."""
        return bool(self.known) or any(count.elements for count in self.coverage.values())

    @property
    def missing(self) -> int:
        """Cases that the floor asks for and the corpus does not have."""
        seen = sum(
            c.ran + c.unsupported + c.other_tier + c.other_dialect for c in self.coverage.values()
        )
        return max(0, (self.floor or 0) - seen)

    @property
    def exit_code(self) -> int:
        """0 passed, 1 mismatch (or stale xfails), 5 nothing compared or cases are missing."""
        if self.failures or self.stale:
            return FAILED
        return NOTHING if not self.compared or self.missing else PASSED

    @property
    def passed(self) -> bool:
        """Whether everything that ran is right, and something ran."""
        return self.exit_code == PASSED

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "backend": self.backend,
            "dtype": self.dtype,
            "tier": self.tier,
            "passed": self.passed,
            "exit_code": self.exit_code,
            "ran": self.ran,
            "floor": self.floor,
            "missing": self.missing,
            "seconds": self.seconds,
            "failures": [_failure(failure) for failure in self.failures],
            "known": [_failure(failure) for failure in self.known],
            "stale_xfails": list(self.stale),
            "coverage": {
                op: asdict(count) | {"clauses": sorted(count.clauses)}
                for op, count in self.coverage.items()
            },
        }

    def to_text(self) -> str:
        """Return the report for a terminal."""
        from refquant.oracle.report_text import text

        return text(self)

    def to_junit(self) -> str:
        """Return the report as JUnit XML."""
        from refquant.oracle.report_junit import junit

        return junit(self)

    def to_html(self) -> str:
        """Return the report as one self-contained HTML page."""
        from refquant.oracle.report_html import html

        return html(self)


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "op": failure.op,
        "case": failure.case.id,
        "purpose": failure.case.purpose,
        "tier": failure.case.tier,
        "attrs": failure.case.attrs,
        "layout": failure.layout,
        "mismatches": [_mismatch(m) for m in failure.mismatches],
        "diagnosis": asdict(failure.diagnosis) | {"text": failure.diagnosis.text},
        "small": failure.small.to_json() if failure.small else None,
    }


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    """Return a mismatch without the arrays, and the places of its wrong elements in C order."""
    found = mismatch.elements
    places = {"shape": list(found.shape), "at": found.at.tolist()} if found else None
    return asdict(replace(mismatch, elements=None)) | {
        "index": list(mismatch.index),
        "elements": places,
    }
