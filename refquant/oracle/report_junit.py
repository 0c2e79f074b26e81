"""The report as JUnit XML: an op is a suite, a case a test."""

import xml.etree.ElementTree as Tree

from refquant.oracle.report import Failure, Report


def junit(report: Report) -> str:
    """Return the XML text; failures carry the diagnosis, skips their reason."""
    root = Tree.Element("testsuites", name="refquant", time=f"{report.seconds:.3f}")
    for op, count in report.coverage.items():
        suite = Tree.SubElement(
            root, "testsuite", name=op, tests=str(count.ran + count.unsupported),
            failures=str(count.failed), skipped=str(count.unsupported), errors="0",
        )  # fmt: skip
        wrong = [f for f in (*report.failures, *report.known) if f.op == op]
        for failure in wrong:
            _failure(suite, failure, report)
        for index in range(count.ran - len(wrong)):
            Tree.SubElement(suite, "testcase", classname=op, name=f"passed {index + 1}")
        for index in range(count.unsupported):
            case = Tree.SubElement(suite, "testcase", classname=op, name=f"skipped {index + 1}")
            Tree.SubElement(case, "skipped", message=_clean(count.reason))
    Tree.indent(root)
    return Tree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _failure(suite: Tree.Element, failure: Failure, report: Report) -> None:
    name = f"{failure.case.id} {failure.case.purpose}"
    case = Tree.SubElement(suite, "testcase", classname=failure.op, name=_clean(name))
    known = failure in report.known
    entry = Tree.SubElement(case, "skipped" if known else "failure", message=_clean(failure.says))
    lines = [*failure.diagnosis.lines, f"clauses {', '.join(failure.diagnosis.clauses)}"]
    lines += [f"{m.output}: {m.says}" for m in failure.mismatches]
    entry.text = _clean("\n".join([*lines, failure.reproduce(report.spec)]))


def _clean(text: str) -> str:
    """Return `text` without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
