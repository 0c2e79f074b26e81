"""The report as one HTML page: no scripts, nothing loaded from elsewhere, failures first."""

from html import escape
from itertools import groupby

from refquant.oracle.digits import bits, distance
from refquant.oracle.report import Coverage, Failure, Report

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c2410c; --good: #15803d; --dim: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
code, td.num { font-family: ui-monospace, monospace; font-size: .88em; overflow-wrap: anywhere; }
.bad { color: var(--bad); } .good { color: var(--good); } .dim { color: var(--dim); }
.says { font-size: 1.3rem; font-weight: 600; line-height: 1.35; margin: .4rem 0; }
.share { width: 6rem; height: .5rem; } .share rect { fill: var(--line); }
.share rect + rect { fill: var(--bad); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
details { padding: .4rem .7rem; }
summary { cursor: pointer; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); }
td.num, th.num { text-align: right; white-space: nowrap; }
"""
SHOWN = 20  # failing cases of one op


def html(report: Report) -> str:
    """Return the whole page."""
    verdict = "passed" if report.passed else "failed" if report.ran else "nothing ran"
    colour = "good" if report.passed else "bad"
    title = f"{escape(report.backend)}: {verdict}"
    groups = groupby(report.failures, key=lambda failure: failure.op)
    parts = [
        f'<h1>{escape(report.backend)}: <span class="{colour}">{verdict}</span></h1>',
        f'<p class="dim">{_summary(report)}</p>',
        *(_op(report, op, list(failures)) for op, failures in groups),
        *(_stale(pattern) for pattern in report.stale),
        f"<h2>Coverage</h2>{_coverage(report.coverage)}",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _summary(report: Report) -> str:
    elements = sum(count.elements for count in report.coverage.values())
    doubtful = sum(count.doubtful for count in report.coverage.values())
    missing = f", {report.missing} cases of the corpus are missing" if report.missing else ""
    return (
        f"{report.dtype} arithmetic, {report.tier} tier: {report.ran} cases, {elements} elements "
        f"({doubtful} with two right answers), {len(report.failures)} failures, "
        f"{len(report.known)} known failures{missing}; {report.seconds:.1f} s"
    )


def _stale(pattern: str) -> str:
    return f'<p class="bad">Stale entry in the xfails file: <code>{escape(pattern)}</code></p>'


def _op(report: Report, op: str, failures: list[Failure]) -> str:
    found = failures[0].diagnosis
    known = " + ".join(f"<code>{escape(v)}</code>" for v in found.variants)
    source = f" &mdash; {escape(found.source)}" if found.source else ""
    lines = [
        f'<h2><code>{escape(op)}</code> <span class="bad">{len(failures)} of '
        f"{report.coverage[op].ran} cases</span></h2>",
        f'<p class="says">{escape(found.text)}</p>',
        f'<p class="dim">{known}{source}</p>' if known else "",
        f'<p class="dim">clauses {escape(", ".join(found.clauses))}</p>' if found.clauses else "",
        *(_case(report, f, opened=i == 0) for i, f in enumerate(failures[:SHOWN])),
    ]
    if len(failures) > SHOWN:
        lines.append(f'<p class="dim">and {len(failures) - SHOWN} more</p>')
    return "\n".join(filter(None, lines))


def _case(report: Report, failure: Failure, opened: bool) -> str:
    case = failure.case
    attrs = ", ".join(f"{key}={value}" for key, value in sorted(case.attrs.items()))
    rows = "".join(
        "<tr>"
        f"<td><code>{escape(m.output)}</code></td><td>{escape(m.says)}</td>"
        f'<td class="num">{escape(distance(m, report.dtype))}</td>'
        f'<td class="num">{escape(bits(m.actual, report.dtype))}</td>'
        f'<td class="num">{_share(m.wrong, m.size) if m.size else ""}</td></tr>'
        for m in failure.mismatches
    )
    head = "<th>output</th><th>first wrong element</th><th class=num>off by</th>"
    head += "<th class=num>bits</th><th class=num>wrong</th>"
    return (
        f"<details{' open' if opened else ''}><summary>{escape(case.purpose)} "
        f'<span class="dim">[{case.tier}, {failure.layout}] {escape(attrs)}</span></summary>'
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
        f"<p><code>{escape(failure.reproduce(report.spec))}</code></p></details>"
    )


def _share(wrong: int, size: int) -> str:
    """Return a bar of the elements that are wrong, and their number."""
    bar = f'<rect width="100" height="8"/><rect width="{100 * wrong / size:.1f}" height="8"/>'
    return (
        f"{wrong} of {size}<br>"
        f'<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none">{bar}</svg>'
    )


def _coverage(coverage: dict[str, Coverage]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(op)}</code></td>"
        f'<td class="num">{c.ran - c.failed}</td>'
        f'<td class="num{" bad" if c.failed else ""}">{c.failed}</td>'
        f'<td class="num">{c.unsupported}</td>'
        f'<td class="num">{c.other_tier + c.other_dialect}</td>'
        f'<td class="dim">{escape(", ".join(sorted(c.clauses)))}</td>'
        f"<td>{escape(', '.join(c.left_out) or c.reason)}</td></tr>"
        for op, c in coverage.items()
    )
    head = "<th>op</th>" + "".join(
        f"<th class=num>{name}</th>" for name in ("right", "wrong", "unsupported", "excluded")
    )
    head += "<th>clauses</th><th>left out</th>"
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
