"""The report as JUnit XML: an op is a suite, a case a test, by the same name in every run.

Right cases are tests without content; known failures and cases that did not run are skipped, with
the reason; entries of the xfails file that explain nothing fail in a suite of their own.
"""

import xml.etree.ElementTree as Tree
from collections.abc import Iterable

from refquant.oracle.report import Failure, Report
from refquant.oracle.report_text import STALE

Test = tuple[str, str, str, str]  # name, "" or what became of it, message, text


def junit(report: Report) -> str:
    """Return the XML text; failures carry the diagnosis, skips their reason."""
    suites = {op: list(_cases(report, op)) for op in report.coverage}
    if report.stale:
        suites["xfails"] = [(pattern, "failure", STALE, "") for pattern in report.stale]
    whole = {"name": "refquant", "time": f"{report.seconds:.3f}"}
    every = _counts(test for tests in suites.values() for test in tests)
    root = Tree.Element("testsuites", whole | every)
    for name, tests in suites.items():
        suite = Tree.SubElement(root, "testsuite", {"name": name} | _counts(tests))
        for test in tests:
            _add(suite, f"refquant.{name}", *test)
    Tree.indent(root)
    return Tree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(report: Report, op: str) -> Iterable[Test]:
    """Yield the cases of an op, in the order of the corpus."""
    wrong = {f.case.id: (f, "failure") for f in report.failures if f.op == op}
    wrong |= {f.case.id: (f, "skipped") for f in report.known if f.op == op}
    count = report.coverage[op]
    for case, purpose in count.purposes.items():
        name = f"{case} {purpose}"
        if case in wrong:
            failure, kind = wrong[case]
            yield name, kind, failure.says, _text(failure, report.spec)
        elif case in count.skipped:
            yield name, "skipped", count.skipped[case], ""
        else:
            yield name, "", "", ""


def _counts(tests: Iterable[Test]) -> dict[str, str]:
    kinds = [kind for _, kind, _, _ in tests]
    number = {"tests": len(kinds), "failures": kinds.count("failure"), "errors": 0}
    return {key: str(n) for key, n in (number | {"skipped": kinds.count("skipped")}).items()}


def _add(suite: Tree.Element, of: str, name: str, kind: str, message: str, text: str) -> None:
    case = Tree.SubElement(suite, "testcase", classname=of, name=_clean(name))
    if kind:
        entry = Tree.SubElement(case, kind, message=_clean(message))
        entry.text = _clean(text) or None


def _text(failure: Failure, spec: str) -> str:
    lines = [*failure.diagnosis.lines, f"clauses {', '.join(failure.diagnosis.clauses)}"]
    lines += [f"{m.output}: {m.says}".removeprefix(": ") for m in failure.mismatches]
    lines += ["as small as possible:", *failure.small.lines] if failure.small else []
    return "\n".join([*lines, failure.reproduce(spec)])


def _clean(text: str) -> str:
    """Return `text` without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
