"""The report of a verification on a terminal: the diagnosis first, then what shows it."""

from itertools import groupby

from refquant.oracle.digits import beside, bits, counted, distance
from refquant.oracle.pattern import pattern
from refquant.oracle.registry import ops
from refquant.oracle.report import Coverage, Failure, Report

SHOWN = 3  # failing cases of one op
NAMED = 9  # ops or outputs in a line
STALE = "explains no failure; take it out"


def text(report: Report) -> str:
    """Return the whole report."""
    blocks = [
        _op(report, op, list(failures))
        for op, failures in groupby(report.failures, key=lambda failure: failure.op)
    ]
    return "\n\n".join([*blocks, _summary(report)])


def _wrong(wrong: int, ran: int) -> str:
    if ran == 1:
        return "its 1 case is wrong"
    return f"{wrong} of {ran} cases {'is' if wrong == 1 else 'are'} wrong"


def _op(report: Report, op: str, failures: list[Failure]) -> str:
    found = failures[0].diagnosis
    lines = [
        f"{op}: {_wrong(len(failures), report.coverage[op].ran)}",
        *(f"  {line}" for line in found.lines),
    ]
    if found.variants:
        ids = f"{'known as' if found.known else 'that is'} {' + '.join(found.variants)}"
        lines.append(f"  {ids}" + f" ({found.source})" * bool(found.source))
    if found.clauses:
        lines.append(f"  clauses {', '.join(found.clauses)}")
    for failure in _telling(failures)[:SHOWN]:
        lines += _case(report, failure)
    if len(failures) > SHOWN:
        lines.append(f"  and {counted(len(failures) - SHOWN, 'more case')}")
    return "\n".join(lines)


def _telling(failures: list[Failure]) -> list[Failure]:
    """Return the failures with one of each kind first: values, exceptions, shapes, ..."""
    kinds = [tuple(m.problem for m in failure.mismatches) for failure in failures]
    first = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    return [failures[i] for i in sorted(range(len(failures)), key=lambda i: (i not in first, i))]


def _case(report: Report, failure: Failure) -> list[str]:
    case = failure.case
    attrs = ", ".join(f"{key}={value}" for key, value in sorted(case.attrs.items()))
    lines = [f"  - {case.purpose} [{case.tier}, {failure.layout}{', ' if attrs else ''}{attrs}]"]
    for m in failure.mismatches:
        where = f"{m.output}: " if m.output else ""
        first, *others = f"{where}{m.says}".splitlines()
        lines += [f"      {first}", *(f"        {other}" for other in others)]
        if m.index or m.expected is not None:
            share = f"{m.wrong} of {m.size} elements"
            there = [
                distance(m, report.dtype),
                bits(m.actual, report.dtype),
                beside(case, m),
                share,
            ]
            lines.append(f"      {', '.join(filter(None, there))}")
        if found := pattern(ops()[failure.op], case, m):
            lines.append(f"      pattern: {found}")
    if failure.small:
        lines += [
            "      as small as possible:",
            *(f"        {line}" for line in failure.small.lines),
        ]
    lines.append(f"      {failure.reproduce(report.spec)}")
    return lines


def _summary(report: Report) -> str:
    """Return the last lines: counts, what was left out, and the verdict."""
    counts = report.coverage.values()
    cases, ops_ = counted(report.ran, "case"), counted(sum(bool(c.ran) for c in counts), "op")
    who = f"{report.backend} ({report.dtype}), {report.tier} tier"
    lines = [f"{who}: {cases} of {ops_} in {report.seconds:.1f} s"]
    clauses = sum(len(c.clauses) for c in counts)
    elements, doubtful = sum(c.elements for c in counts), sum(c.doubtful for c in counts)
    compared = f"{counted(elements, 'element')} compared, {counted(clauses, 'clause')}"
    two = "has two right answers" if doubtful == 1 else "have two right answers"
    lines.append(f"{compared}; {doubtful} {two}" if doubtful else compared)
    right = [op for op, c in report.coverage.items() if c.elements and not c.failed]
    lines += [f"right: {_some(right)}"] if right else []
    lines += _left_out(report.coverage)
    lines += [counted(len(report.known), "known failure")] if report.known else []
    lines += [f"stale entry in the xfails file: {p} {STALE}" for p in report.stale]
    lines += [f"missing of the corpus: {counted(report.missing, 'case')}"] if report.missing else []
    verdict = "passed" if report.passed else f"FAILED: {_why(report)}"
    if not report.compared and not report.failures:
        verdict = "NOTHING RAN" if not report.ran else "NOTHING TO COMPARE: no outputs"
    return "\n".join([*lines, verdict])


def _why(report: Report) -> str:
    """Return what a report failed on: wrong cases, stale entries, or both."""
    wrong = [counted(len(report.failures), "case")] if report.failures else []
    stale = len(report.stale)
    entries = [counted(stale, "stale entry", "stale entries")] if stale else []
    return ", ".join(wrong + entries)


def _left_out(coverage: dict[str, Coverage]) -> list[str]:
    lines = []
    unsupported = {op: c for op, c in coverage.items() if c.unsupported}
    if unsupported:
        count = sum(c.unsupported for c in unsupported.values())
        partly = [f"{op} in part" for op, c in unsupported.items() if c.ran]
        wholly = [op for op, c in unsupported.items() if not c.ran]
        lines.append(f"not supported: {counted(count, 'case')} ({_some(partly + wholly)})")
    for text_, field in (
        ("another arithmetic", "other_tier"),
        ("another dialect", "other_dialect"),
    ):
        count = sum(getattr(c, field) for c in coverage.values())
        lines += [f"of {text_}: {counted(count, 'case')}"] if count else []
    outputs = [f"{op}.{name}" for op, c in coverage.items() for name in c.left_out]
    lines += [f"outputs left out: {_some(outputs)}"] if outputs else []
    return lines


def _some(names: list[str]) -> str:
    """Return names in a line: all of a few, the first ones of many."""
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
