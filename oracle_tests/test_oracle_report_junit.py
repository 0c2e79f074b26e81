"""JUnit XML as Jenkins and GitLab read it: counts that add up, and names that stay."""

import xml.etree.ElementTree as Tree
from typing import Any

from oracle_tests.oracle_cases import Backend, goldens, half_away
from refquant import oracle
from refquant.oracle import Unsupported
from refquant.oracle.expected import Expected

STALE = ("border_round/*", "mended")
KNOWN = ("round/*", "the old firmware")


class Partly(Backend):
    """Lacks one rule, and has ties wrong."""

    def __init__(self) -> None:
        super().__init__({"rint": half_away}, "float32")

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        if attrs.get("mode") == "ceil":
            raise Unsupported("no ceil")
        return super().run(op, inputs, attrs)


def suites(backend: Any, *known: tuple[str, str]) -> tuple[oracle.Report, Tree.Element]:
    """Return a report on the rounding ops, and its XML."""
    report = oracle.verify(backend, cases=goldens(), xfails=Expected(known))
    return report, Tree.fromstring(report.to_junit())


def test_every_count_is_that_of_its_tests() -> None:
    """Of each suite and of all; whatever did not run is a skip with its reason."""
    report, root = suites(Partly(), STALE)
    for element in (root, *root):
        tests = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(tests) > 0
        for name, tag in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
            assert int(element.attrib[name]) == len(list(element.iter(tag)))
    assert int(root.attrib["failures"]) == len(report.failures) + 1
    reasons = {element.attrib["message"] for element in root.iter("skipped")}
    assert reasons == {"no ceil", "tier T53 is not for float32"}
    (stale,) = (suite for suite in root if suite.attrib["name"] == "xfails")
    assert stale[0].attrib["name"] == STALE[0] and stale[0][0].tag == "failure"


def test_a_case_has_the_same_name_whatever_becomes_of_it() -> None:
    """A history of tests is kept by class and name."""
    names = []
    for backend, known in ((Backend(), ()), (Partly(), ()), (Partly(), (KNOWN,))):
        _, root = suites(backend, *known)
        names.append([(t.attrib["classname"], t.attrib["name"]) for t in root.iter("testcase")])
    assert names[0] == names[1] == names[2] and len(set(names[0])) == len(names[0])
    assert names[0][0][0] == "refquant.round"


def test_a_known_failure_is_skipped_with_its_diagnosis() -> None:
    """It does not count as a failure, and can be read all the same."""
    report, root = suites(Partly(), KNOWN)
    assert report.known and root.attrib["failures"] == "0"
    texts = [element.text or "" for element in root.iter("skipped")]
    assert sum("--repro round/" in text for text in texts) == len(report.known)
