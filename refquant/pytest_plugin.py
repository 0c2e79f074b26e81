"""pytest plugin: a test for every golden of a tier, run against a backend of yours.

    pytest --pyargs oracle_tests.conformance --refquant-backend=mykernels:Backend

Or in a suite of your own, a test that takes the fixture ``refquant_golden``::

    def test_kernel(refquant_golden):
        refquant_golden.check()

A backend's module is found in the folder that pytest was started in, or wherever Python finds it.
Importing this file imports nothing else of refquant; the options cost nothing when unused.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ITSELF = "refquant.oracle.itself:FAST"
BOUNDED = "refquant_bounded"
EXACT = "refquant_exact"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, in a group of their own."""
    group = parser.getgroup("refquant", "refquant: goldens of quantization")
    group.addoption(
        "--refquant-backend",
        default=ITSELF,
        metavar="BACKEND",
        help="mod:attr, cmd:PROGRAM or dir:RESULTS (default: refquant itself, fast arithmetic)",
    )
    group.addoption(
        "--refquant-tier",
        default="quick",
        choices=("smoke", "quick", "full"),
        help="how many goldens (default: quick)",
    )
    group.addoption(
        "--refquant-ops", default="*", metavar="OPS", help="ops or patterns, with commas"
    )
    group.addoption(
        "--refquant-xfails", default=None, metavar="FILE", help="TOML: known failures, reasons"
    )
    group.addoption(
        "--refquant-timeout",
        default=None,
        type=float,
        metavar="SECONDS",
        help="how long a cmd: program may go without results for another case (default: 60)",
    )
    group.addoption(
        "--refquant-html", default=None, metavar="FILE", help="write the report as one page"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", f"{EXACT}: goldens compared with == throughout")
    config.addinivalue_line("markers", f"{BOUNDED}: goldens of which some elements have a bound")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse wrong options once, before every golden fails; import nothing if there are none."""
    backend, ops, xfails = (
        session.config.getoption(f"refquant_{name}") for name in ("backend", "ops", "xfails")
    )
    if (backend, ops, xfails) == (ITSELF, "*", None):
        return
    from refquant.oracle import read_expected
    from refquant.oracle.backend import open_backend
    from refquant.oracle.verify import chosen

    sys.path.insert(0, str(session.config.invocation_params.dir))  # as `refquant verify` does
    try:
        chosen(ops, "smoke")
        if xfails:
            read_expected(Path(xfails))
        if not backend.startswith("cmd:"):  # a program runs when a test asks for it
            open_backend(backend, ())
    except (TypeError, ValueError, OSError) as error:
        raise pytest.UsageError(f"refquant: {error}") from error


@dataclass
class Session:
    """One verification of a backend, op by op as the tests ask for it."""

    config: pytest.Config
    reports: dict[str, Any] = field(default_factory=dict)

    def option(self, name: str) -> Any:
        """Return one of the plugin's options."""
        return self.config.getoption(f"refquant_{name}")

    def report(self, op: str) -> Any:
        """Return the report on one op; the first call runs it."""
        if op not in self.reports:
            from refquant import oracle

            path = self.option("xfails")
            limit = self.option("timeout")
            more = {} if limit is None else {"timeout": limit}
            known = oracle.read_expected(Path(path)) if path else None
            try:
                self.reports[op] = oracle.verify(
                    self.option("backend"), self.option("tier"), op, xfails=known, **more
                )
            except (TypeError, ValueError, OSError) as error:  # every golden would fail alike
                pytest.exit(f"refquant: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        return self.reports[op]


@dataclass(frozen=True)
class GoldenCase:
    """What the fixture ``refquant_golden`` is: one case, and the backend's answer to it."""

    session: Session
    built: Any

    def check(self) -> None:
        """Fail with the diagnosis, skip with the reason, or pass."""
        case = self.built.case
        report = self.session.report(case.op)
        if case.id in report.coverage[case.op].skipped:
            pytest.skip(report.coverage[case.op].skipped[case.id])
        for failure in report.known:
            if failure.case.id == case.id:
                pytest.xfail(failure.diagnosis.text)
        for failure in report.failures:
            if failure.case.id == case.id:
                pytest.fail(_message(failure, report.spec), pytrace=False)


def _message(failure: Any, spec: str) -> str:
    first, *others = failure.diagnosis.lines
    lines = [f"{failure.op}: {first}", *(f"  {line}" for line in others)]
    lines += [f"  {m.output}: {m.says}" for m in failure.mismatches]
    return "\n".join([*lines, f"  {failure.reproduce(spec)}"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of every golden for functions that take `refquant_golden`."""
    if "refquant_golden" not in metafunc.fixturenames:
        return
    from refquant.oracle.verify import chosen

    config = metafunc.config
    tier, ops = config.getoption("refquant_tier"), config.getoption("refquant_ops")
    goldens = [item for items in chosen(ops, tier).values() for item in items]
    metafunc.parametrize(
        "refquant_golden",
        [
            pytest.param(item, id=f"{item.case.op}/{item.case.id}", marks=_mark(item))
            for item in goldens
        ],
        indirect=True,
    )


def _mark(item: Any) -> Any:
    bounded = any(golden.error is not None for golden in item.outputs.values())
    return getattr(pytest.mark, BOUNDED if bounded else EXACT)


@pytest.fixture(scope="session")
def refquant_session(request: pytest.FixtureRequest) -> Any:
    """The verification that all goldens of a run share."""
    session = Session(request.config)
    yield session
    if session.option("html") and session.reports:
        Path(session.option("html")).write_text(merged(session.reports).to_html(), encoding="utf-8")


def merged(reports: dict[str, Any]) -> Any:
    """Return the reports on single ops as one."""
    from dataclasses import replace

    first = next(iter(reports.values()))
    return replace(
        first,
        coverage={op: c for r in reports.values() for op, c in r.coverage.items()},
        failures=tuple(f for r in reports.values() for f in r.failures),
        known=tuple(f for r in reports.values() for f in r.known),
        stale=tuple(s for r in reports.values() for s in r.stale),
        seconds=sum(r.seconds for r in reports.values()),
    )


@pytest.fixture
def refquant_golden(request: pytest.FixtureRequest, refquant_session: Session) -> GoldenCase:
    """One golden of the tier, ready to be checked."""
    return GoldenCase(refquant_session, request.param)
