"""Failures that are known: a TOML file of cases and reasons.

    [[xfail]]
    case = "fake_quant/*"          op/id; * and ? stand for anything
    reason = "ties away from zero until the next firmware"

An entry that matches no case that ran, or only cases that pass, is stale, and an error: what was
fixed must leave the list. The goldens are deterministic, so nothing fails only now and then. An
empty file lists nothing.
"""

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refquant._checks import complaint
from refquant.oracle.report import Coverage, Failure

FIX = 'Each entry is [[xfail]], case = "OP/ID" and reason = "...", on lines of their own.'


@dataclass(frozen=True)
class Expected:
    """Patterns and their reasons."""

    entries: tuple[tuple[str, str], ...]

    def split(self, failures: Sequence[Failure]) -> tuple[list[Failure], list[Failure]]:
        """Return (known failures, the others)."""
        known = [failure for failure in failures if self._match(failure)]
        return known, [failure for failure in failures if not self._match(failure)]

    def stale(self, known: Sequence[Failure], coverage: Mapping[str, Coverage]) -> tuple[str, ...]:
        """Return the patterns that explain nothing, of those whose op was run."""
        ran = {op for op, count in coverage.items() if count.ran}
        return tuple(
            pattern
            for pattern, _ in self.entries
            if any(fnmatch.fnmatchcase(op, pattern.partition("/")[0]) for op in ran)
            and not any(fnmatch.fnmatchcase(failure.where, pattern) for failure in known)
        )

    def _match(self, failure: Failure) -> bool:
        return any(fnmatch.fnmatchcase(failure.where, pattern) for pattern, _ in self.entries)


def read_expected(path: Path) -> Expected:
    """Return the entries of a file.

    Raises
    ------
    ValueError
        If it is not TOML, or an entry has no case or no reason.
    OSError
        If it cannot be read.
    """
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        text = complaint("read_expected", str(path), f"not TOML ({error})", "TOML", FIX)
        raise ValueError(text) from error
    entries = whole.get("xfail", [])
    if not set(whole) <= {"xfail"} or not isinstance(entries, list):
        raise ValueError(complaint("read_expected", str(path), sorted(whole), "[[xfail]]", FIX))
    for entry in entries:
        right = isinstance(entry, dict) and set(entry) == {"case", "reason"}
        if not right or not all(isinstance(v, str) and v.strip() for v in entry.values()):
            raise ValueError(
                complaint("read_expected", str(path), repr(entry), "case and reason", FIX)
            )
    return Expected(tuple((entry["case"], entry["reason"]) for entry in entries))
