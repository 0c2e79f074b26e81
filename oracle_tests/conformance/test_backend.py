"""A backend gives the goldens: choose it with --refquant-backend (see `refquant verify --help`).

Without the option refquant itself is held to its goldens, in fast arithmetic.
"""

from refquant.pytest_plugin import GoldenCase, Session


def test_golden(refquant_golden: GoldenCase) -> None:
    """The outputs are right: equal, within the stored bound, or one of two right answers."""
    refquant_golden.check()


def test_known_failures_still_fail(refquant_session: Session) -> None:
    """An entry of the xfails file that explains nothing any more must leave it."""
    stale = [pattern for report in refquant_session.reports.values() for pattern in report.stale]
    assert stale == []


def test_something_ran(refquant_session: Session) -> None:
    """No silent green: a backend that supports nothing fails here."""
    assert sum(report.ran for report in refquant_session.reports.values()) > 0
