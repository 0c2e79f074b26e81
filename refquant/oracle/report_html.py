"""The report as one HTML page: no scripts, nothing loaded from elsewhere, failures first."""

from html import escape
from itertools import groupby

from refquant.oracle.axes import axis_names
from refquant.oracle.compare import Mismatch
from refquant.oracle.digits import beside, bits, counted, distance
from refquant.oracle.pattern import pattern
from refquant.oracle.registry import ops
from refquant.oracle.report import Coverage, Failure, Report
from refquant.oracle.report_map import index_map
from refquant.oracle.report_steps import histogram
from refquant.oracle.shrink import Reproduction

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1c1917; --dim: #6b6862; --line: #8884;
  --ground: #e4e2de; --bad: #c2410c; --good: #15803d; }
@media (prefers-color-scheme: dark) { :root { --page: #161514; --text: #e7e5e4; --dim: #a19d98;
  --ground: #3a3835; --bad: #fb8b3c; --good: #4ade80; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  background: var(--page); color: var(--text); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
code, td.num { font-family: ui-monospace, monospace; font-size: .88em; overflow-wrap: anywhere; }
.bad { color: var(--bad); } .good { color: var(--good); } .dim { color: var(--dim); }
.says { font-size: 1.3rem; font-weight: 600; line-height: 1.35; margin: .4rem 0; }
.share { width: 6rem; height: .5rem; } .share rect { fill: var(--ground); }
.share rect + rect { fill: var(--bad); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
details { padding: .4rem .7rem; }
summary { cursor: pointer; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); }
td.num, th.num { text-align: right; white-space: nowrap; }
h3 { font-size: 1rem; font-weight: 600; margin: .8rem 0 0; } h3 span { font-weight: 400; }
.output p { margin: .2rem 0; overflow-wrap: anywhere; } .num { white-space: nowrap; }
.output + .output { border-top: 1px solid var(--line); margin-top: .8rem; }
.seen { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
figure { margin: .4rem 0; max-width: 100%; }
figcaption { font-size: .85rem; color: var(--dim); max-width: 22rem; }
.panels { display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
.panels span { display: block; font: .8rem/1.2 ui-monospace, monospace; margin-left: 26px; }
svg.map, svg.steps { max-width: 100%; height: auto; display: block; }
svg text { font: 10px ui-monospace, monospace; fill: var(--dim); text-anchor: middle; }
svg text.row { text-anchor: end; }
.ground { fill: var(--ground); } .wrong { fill: var(--bad); }
.lines { stroke: var(--page); fill: none; } .axis { stroke: var(--dim); fill: none; }
.allowed { stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 4 3; fill: none; }
"""
DRAWN = 3  # failing cases of one op, with pictures
SHOWN = 20  # and without


def html(report: Report) -> str:
    """Return the whole page."""
    verdict = "passed" if report.passed else "failed" if report.compared else "nothing ran"
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
    missing = f", missing: {counted(report.missing, 'case')}" if report.missing else ""
    return (
        f"{report.dtype} arithmetic, {report.tier} tier: {counted(report.ran, 'case')}, "
        f"{counted(elements, 'element')} ({doubtful} with two right answers), "
        f"{counted(len(report.failures), 'failure')}, "
        f"{counted(len(report.known), 'known failure')}{missing}; {report.seconds:.1f} s"
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
        f'<p class="says">{escape(found.lines[0])}</p>',
        *(f"<p>{escape(line)}</p>" for line in found.lines[1:]),
        f'<p class="dim">{known}{source}</p>' if known else "",
        f'<p class="dim">clauses {escape(", ".join(found.clauses))}</p>' if found.clauses else "",
        *(_case(report, failure, rank) for rank, failure in enumerate(failures[:SHOWN])),
    ]
    if len(failures) > SHOWN:
        lines.append(f'<p class="dim">and {len(failures) - SHOWN} more</p>')
    return "\n".join(filter(None, lines))


def _case(report: Report, failure: Failure, rank: int) -> str:
    case = failure.case
    attrs = ", ".join(f"{key}={value}" for key, value in sorted(case.attrs.items()))
    return (
        f"<details{'' if rank else ' open'}><summary>{escape(case.purpose)} "
        f'<span class="dim">[{case.tier}, {failure.layout}] {escape(attrs)}</span></summary>'
        + "".join(_output(report, failure, m, rank < DRAWN) for m in failure.mismatches)
        + (_small(failure.small) if failure.small else "")
        + f"<p><code>{escape(failure.reproduce(report.spec))}</code></p></details>"
    )


def _small(small: Reproduction) -> str:
    lines = escape("\n".join(small.lines))
    return f'<p>As small as possible:</p><pre class="wide">{lines}</pre>'


def _output(report: Report, failure: Failure, m: Mismatch, drawn: bool) -> str:
    """Return what is wrong with one output: in words, then in pictures."""
    op, wrong = ops()[failure.op], m.elements
    shape = f' <span class="dim">{wrong.shape}</span>' if wrong else ""
    head = f"<code>{escape(m.output)}</code>{shape} " if m.output else ""
    share = _share(m.wrong, m.size) if m.size else ""
    there = [distance(m, report.dtype), bits(m.actual, report.dtype), beside(failure.case, m)]
    found = pattern(op, failure.case, m)
    parts = [
        f"<h3>{head}{share}</h3>" if head or share else "",
        f"<p>{escape(m.says)} <span class=dim>{escape(', '.join(filter(None, there)))}</span></p>",
        f"<p><b>{escape(found[0].upper() + found[1:])}.</b></p>" if found else "",
    ]
    if wrong and wrong.shape and drawn:
        picture = index_map(wrong, axis_names(op, m.output, len(wrong.shape)))
        parts.append(f'<div class="seen">{picture}{histogram(wrong, report.dtype)}</div>')
    return f'<div class="output">{"".join(parts)}</div>'


def _share(wrong: int, size: int) -> str:
    """Return the number of elements that are wrong, and a bar of their share."""
    bar = f'<rect width="100" height="8"/><rect width="{100 * wrong / size:.1f}" height="8"/>'
    return (
        f'<span class="num">{wrong} of {size} wrong</span> <svg class="share" aria-hidden="true" '
        f'viewBox="0 0 100 8" preserveAspectRatio="none">{bar}</svg>'
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
