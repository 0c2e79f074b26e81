"""verify: who passes, who fails and with which name, what is skipped, and when nothing ran."""

import dataclasses
import json
import xml.etree.ElementTree as Tree
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, Careless, Nothing, goldens, half_away
from refquant import oracle
from refquant.oracle.build import Golden
from refquant.oracle.layouts import LAYOUTS
from refquant.oracle.report import Report
from refquant.oracle.tiers import narrowed

HERE = "oracle_tests.oracle_cases"


def verify(backend: Any, **options: Any) -> Report:
    """Verify on the goldens of the first family."""
    return oracle.verify(backend, cases=goldens(), **options)


@pytest.mark.parametrize("dtype", ["float64", "float32", "tf32", "float16", "bfloat16"])
def test_a_right_backend_passes(dtype: str) -> None:
    """In every arithmetic, on the tiers that it is held to."""
    report = verify(Backend(dtype=dtype))
    assert report.passed and report.exit_code == 0 and not report.failures
    assert report.ran == sum(b.case.tier in oracle.FORMATS[dtype].tiers for b in goldens())
    skipped = sum(count.other_tier for count in report.coverage.values())
    assert report.ran + skipped == len(goldens())


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(2**31 - 1, np.int32), (-(2**31), np.int32), (2**31, np.int64), (-(2**31) - 1, np.int64)],
)
def test_whole_numbers_are_handed_over_as_int32_where_they_fit(value: int, dtype: Any) -> None:
    """-2^31 is one that does."""
    found = narrowed(np.array([0, value]))
    assert found.dtype == dtype and found.tolist() == [0, value]


@pytest.mark.parametrize("mode", ["FAST", "PINNED"])
def test_the_library_passes_its_own_goldens(mode: str) -> None:
    """All of them, in every layout, in either arithmetic."""
    report = oracle.verify(f"refquant.oracle.itself:{mode}", "full")
    assert report.passed, report.to_text()
    assert report.ran == report.floor


def test_every_layout_is_tried_in_the_full_tier() -> None:
    """A backend that only takes C order fails there, whatever layout a case gets otherwise."""

    class Rigid(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            if not all(value.flags.c_contiguous for value in inputs.values()):
                raise TypeError("C order only")
            return super().run(op, inputs, attrs)

    report = verify(Rigid(), tier="full")
    assert {f.mismatches[0].says for f in report.failures} == {"raised TypeError: C order only"}
    assert report.failures[0].layout in set(LAYOUTS) - {"C", "read-only"}
    assert report.exit_code == 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 0), (2, 3, 4)])
def test_a_layout_holds_the_same_numbers(layout: str, shape: tuple[int, ...]) -> None:
    """Of floats, codes and booleans."""
    for dtype in (np.float32, np.int32, np.bool_):
        value = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        found = LAYOUTS[layout](value)
        assert found.dtype == dtype and found.shape == shape
        assert np.array_equal(found, value)


def test_a_bug_is_named_with_case_element_and_command() -> None:
    """What a kernel engineer reads."""
    report = verify(Backend({"rint": half_away}))
    assert {failure.op for failure in report.failures} == {"round"}
    failure = report.failures[0]
    assert failure.diagnosis.variants == ("round.rint_half_away",)
    assert failure.diagnosis.share == 1.0
    first = failure.mismatches[0]
    tie = failure.case.inputs["x"][first.index]
    assert abs(tie) % 1 == 0.5 and first.actual == half_away(tie)
    assert failure.reproduce("mod:B") == f"refquant verify mod:B --repro round/{failure.case.id}"
    assert "Ties go away from zero" in report.to_text()


def test_what_a_backend_does_not_have_is_skipped_with_its_reason() -> None:
    """And if nothing is left, that is no success: exit code 5."""
    report = verify(Nothing())
    assert not report.passed and report.exit_code == 5 and report.ran == 0
    assert report.coverage["round"].reason == "no round here"
    assert set(report.coverage["round"].skipped.values()) == {"no round here"}
    assert "NOTHING RAN" in report.to_text()


def test_outputs_left_out_are_listed() -> None:
    """Not failed."""
    report = verify(Backend(change=lambda op, found: {} if op == "round" else found))
    assert report.passed
    assert report.coverage["round"].left_out == {"y": report.coverage["round"].ran}


def test_an_exception_is_a_failure_with_its_text() -> None:
    """Whatever it is."""

    def broken(op: str, found: Any) -> Any:
        raise ZeroDivisionError("oops")

    report = verify(Backend(change=broken))
    assert len(report.failures) == len(goldens())
    assert report.failures[0].says == "raised ZeroDivisionError: oops"
    assert "exception" in report.failures[0].diagnosis.text


def test_a_backend_that_changes_its_input_fails() -> None:
    """Even where its output is right."""
    report = verify(Careless(), ops="round")
    assert {m.problem for f in report.failures for m in f.mismatches} == {"input"}


def test_missing_cases_are_an_error() -> None:
    """A corpus that lost cases must not be green."""
    report = verify(Backend())
    short = dataclasses.replace(report, floor=report.ran + 4)
    assert short.missing == 4 - sum(c.other_tier for c in report.coverage.values())
    assert dataclasses.replace(report, floor=10**6).exit_code == 5


def test_a_backend_of_a_fixed_dialect_is_held_to_its_cases() -> None:
    """One that only ever rounds to even does not fail the cases of other rules."""

    class Rigid(Backend):
        profile = {"round.mode": "rint"}  # noqa: RUF012

        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            return super().run(op, inputs, {**attrs, "mode": "rint"} if op == "round" else attrs)

    report = verify(Rigid())
    assert report.passed
    modes = {b.case.attrs["mode"] for b in goldens() if b.case.op == "round"}
    assert report.coverage["round"].other_dialect > 0 and len(modes) == 6
    assert not verify(type("Liar", (Rigid,), {"profile": "any"})()).passed


@pytest.mark.parametrize(
    ("backend", "error", "text"),
    [
        (object(), TypeError, "an object with name and run"),
        ("no.such.module:B", ValueError, "importable"),
        (f"{HERE}:Missing", ValueError, "importable"),
        ("nonsense", ValueError, "mod"),
        ("dir:/no/such/place", ValueError, "no directory"),
        (type("B", (Backend,), {"profile": "nobody"})(), ValueError, "profile"),
        (type("B", (Backend,), {"profile": {"mood": 1}})(), ValueError, "dialect field"),
        (type("B", (Backend,), {"profile": {"mode": "up"}})(), ValueError, "mode"),
        (Backend(dtype="float8"), ValueError, "float8"),
    ],
)
def test_a_backend_that_is_none_is_refused(backend: Any, error: type[Exception], text: str) -> None:
    """Before anything runs."""
    with pytest.raises(error, match=text):
        verify(backend)


def test_ops_and_tiers_are_checked() -> None:
    """By name."""
    with pytest.raises(ValueError, match="names of ops"):
        verify(Backend(), ops="rounding")
    with pytest.raises(ValueError, match="tier"):
        oracle.verify(Backend(), "fast")
    with pytest.raises(ValueError, match=r"'bordr_round'; expected .* Did you mean 'border_round'"):
        verify(Backend(), ops="round, bordr_round")
    assert set(verify(Backend(), ops="border_r*, round,").coverage) == {"round", "border_round"}


def test_a_class_or_an_object_can_be_named() -> None:
    """As typed on the command line."""
    report = verify(f"{HERE}:Backend")
    assert report.passed and report.spec == f"{HERE}:Backend"


def test_the_reports_hold_together() -> None:
    """JSON is JSON, XML counts what the text counts, the page asks nobody for anything."""
    report = verify(Backend({"rint": half_away}))
    whole = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert whole["passed"] is False and len(whole["failures"]) == len(report.failures)
    suites = Tree.fromstring(report.to_junit())
    assert sum(int(s.get("failures", 0)) for s in suites) == len(report.failures)
    assert sum(len(s) for s in suites) == report.ran
    page, first = report.to_html(), report.failures[0].mismatches[0]
    assert page.index("half_away") < page.index("Coverage")
    assert f'<rect width="{100 * first.wrong / first.size:.1f}"' in page
    assert all(clause in page for clause in report.coverage["round"].clauses)
    for outside in ("http", "<script", "src=", "@import", "url("):
        assert outside not in page


def test_a_hostile_backend_cannot_write_into_the_page() -> None:
    """Its name and its errors are text."""

    class Evil(Backend):
        name = "<script>alert(1)</script>"

        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            raise ValueError("</td><script>\x00")

    report = verify(Evil())
    assert "<script" not in report.to_html()
    assert Tree.fromstring(report.to_junit()) is not None


def test_two_right_answers_are_counted() -> None:
    """The share of elements in doubt is part of the report."""
    built = goldens()[0]
    golden = built.outputs["y"]
    other = golden.value.copy()
    other[0] += 1
    doubtful = dataclasses.replace(built, outputs={"y": Golden(golden.value, None, other)})
    report = oracle.verify(Backend(), cases=[doubtful])
    assert (
        report.coverage["round"].doubtful == 1 and report.coverage["round"].elements == other.size
    )
