"""The report of ``refquant compare``: as plain text for a terminal, as Markdown for a file."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from refquant.cli.output import percent, table
from refquant.compare import PRIMARY
from refquant.study import ALL

MEANS = ("bits", "network", "method", "SQNR dB", "KL", "accuracy", "float", "runs")
GAINS = ("bits", "network", "candidate", "against", "SQNR gain dB", "KL gain", "accuracy", "better")
COURSE = ("bits", "method", "phase", "hard loss start", "end", "decided", "least", "undone")
SETTLED = 0.99  # share of decided rounding variables below which a run was too short to judge
FEW = 5  # trained copies below which an interval says little about other networks
SIGNS = {"sqnr_db": "{:+.2f}", "kl": "{:+.4f}", "accuracy": "{:+.2%}"}
READING = """\
A gain is positive where the candidate is better, and stands with the ends of its interval. SQNR
and KL of the logits against the float network decide; accuracy stands beside them. A pair
*transfers* where both intervals lie above 0, does *not transfer* where both lie below, and is
undecided otherwise. "better" counts the runs in which the candidate has the higher SQNR. Gains
over all networks are means of gains, not of ratios: in KL the worst network weighs most."""
EVIDENCE = """\
Hard loss: on the calibration images with weights rounded for good, summed over units, before the
phase and after it; losses of methods with other units or terms are not comparable. decided: share
of rounding variables that ended at 0 or 1, mean and least over units. undone: share of units in
which learning made nothing better and the start was kept."""


def readable(report: Mapping[str, Any]) -> str:
    """Return means and gains over all architectures, as text."""
    only = _whole(report)
    means = [_means(m) for m in report["methods"] if m["group"] == only]
    gains = [(*_gains(p), p["verdict"]) for p in report["pairs"] if p["group"] == only]
    parts = [f"{report['test_images']} held-out images", table(MEANS, means, left=3)]
    if gains:
        parts += [table((*GAINS, "verdict"), gains, left=4), READING.replace("*", "")]
    return "\n\n".join((*parts, caution(report), *unsettled(report), *remarks(report)))


def remarks(report: Mapping[str, Any]) -> list[str]:
    """Return one paragraph of what results say beside their numbers, or none."""
    lines = []
    for one in report.get("remarks", ()):
        said = list(one.get("notes", ()))
        if "allocation" in one:
            shares = [f"{row['layer']} {row['bits']}" for row in one["allocation"]["layers"]]
            said.append(f"bits: {', '.join(shares)}")
        where = f"{one['network']} {one['method']} W{one['weight_bits']}A{one['act_bits']}"
        lines += [f"{where}: {text}" for text in said]
    return ["\n".join(dict.fromkeys(lines))] if lines else []


def markdown(report: Mapping[str, Any]) -> str:
    """Return the whole report, architecture by architecture, with the command that made it."""
    shown = {"threads", "arithmetic"}
    surroundings = ", ".join(
        f"{k} {v}" for k, v in report["environment"].items() if k not in shown and v is not None
    )
    settings = ", ".join(f"{name} `{digest}`" for name, digest in report["settings"].items())
    parts = [
        f"# {report['title']}",
        *([f"**{report['note']}**"] if report["note"] else []),
        f"```console\n{report['command']}\n```",
        design(report),
        caution(report),
        *unsettled(report),
        *(text.replace("\n", "\n\n") for text in remarks(report)),
        "## Verdicts",
        READING,
        *([_verdicts(report)] if report["pairs"] else ["One method only: nothing to compare."]),
        "## Means",
        _grid(MEANS, [_means(m) for m in report["methods"]]),
        "## Convergence",
        EVIDENCE,
        _grid(COURSE, _course(report)),
        "## Origin",
        f"Settings, by the hash of their JSON: {settings}.",
        f"Environment: {surroundings}; {report['seconds']:.0f} s of quantizing on one core each.",
    ]
    return "\n\n".join(parts) + "\n"


def design(report: Mapping[str, Any]) -> str:
    """Return what was run and how it was judged, in words."""
    s = report["study"]
    steps = "the published numbers of steps" if s["steps"] is None else f"{s['steps']} steps a unit"
    ends = s["first_last_bits"]
    return (
        f"{len(s['networks'])} networks ({', '.join(s['networks'])}), rounding seeds "
        f"{', '.join(map(str, s['seeds']))}, {steps}, {s['calibration']} calibration images, "
        f"{report['test_images']} held-out images that nothing was calibrated or chosen on, "
        f"{'the same bits everywhere' if ends is None else f'{ends} bits'} in the first and last "
        f"layer, {s['arithmetic']} arithmetic. Intervals: {s['level']:.0%} percentile intervals of "
        f"{s['resamples']} resamples; copies are drawn, then seeds, and images once for all of "
        f"them."
    )


def caution(report: Mapping[str, Any]) -> str:
    """Return what the intervals cannot say, given how many copies there are."""
    names = report["study"]["networks"]
    copies: dict[str, int] = {}
    for name in names:
        architecture = name.partition(":")[0]
        copies[architecture] = copies.get(architecture, 0) + 1
    least = min(copies.values())
    if least >= FEW:
        return "Intervals cover images, trained copies and rounding seeds."
    if least == 1:
        return "One trained copy: the intervals say nothing about other networks."
    return (
        f"{least} trained copies are few: the bootstrap understates the spread between networks "
        f"by a factor of about {sqrt((least - 1) / least):.2f}; read a verdict as a hint."
    )


def unsettled(report: Mapping[str, Any]) -> list[str]:
    """Return, as one sentence or none, which methods had not decided their weights at the end.

    What is hardened then is not what was learnt, so a verdict against them may only say that
    there were too few steps.
    """
    found = [
        f"{m['method']} {m['bits']} {p['decided']:.1%}"
        for m in report["methods"]
        if m["group"] == _whole(report)
        for p in m["phases"][-1:]
        if p["decided"] is not None and p["decided"] < SETTLED
    ]
    if not found:
        return []
    return [
        f"Fewer than {SETTLED:.0%} of the weights were decided at the end of: {', '.join(found)}. "
        f"These runs were too short to judge the methods."
    ]


def _verdicts(report: Mapping[str, Any]) -> str:
    parts = []
    for group in dict.fromkeys(pair["group"] for pair in report["pairs"]):
        found = [pair for pair in report["pairs"] if pair["group"] == group]
        rows = [(*_gains(pair), _bold(pair["verdict"])) for pair in found]
        parts += [f"### {_group(group)}", _grid((*GAINS, "verdict"), rows)]
    return "\n\n".join(parts)


def _means(m: Mapping[str, Any]) -> tuple[str, ...]:
    shares = percent(m["accuracy"]), percent(m["float_accuracy"])
    values = f"{m['sqnr_db']:.2f}", f"{m['kl']:.4f}"
    return m["bits"], _group(m["group"]), m["method"], *values, *shares, str(m["runs"])


def _gains(p: Mapping[str, Any]) -> tuple[str, ...]:
    names = p["bits"], _group(p["group"]), p["candidate"], p["baseline"]
    better = f"{p['runs_better']}/{p['runs']}"
    return *names, *(_interval(p, name) for name in (*PRIMARY, "accuracy")), better


def _interval(p: Mapping[str, Any], name: str) -> str:
    shown = [SIGNS[name].format(p[name][key]) for key in ("gain", "low", "high")]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _course(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            *(m["bits"], m["method"], str(p["phase"] + 1)),
            *(f"{p['hard_start']:.4g}", f"{p['hard_end']:.4g}"),
            *(_share(p[name]) for name in ("decided", "decided_min", "kept_start")),
        )
        for m in report["methods"]
        if m["group"] == _whole(report)
        for p in m["phases"]
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _whole(report: Mapping[str, Any]) -> str:
    groups = [m["group"] for m in report["methods"]]
    return ALL if ALL in groups else str(groups[0])


def _group(name: str) -> str:
    return "all networks" if name == ALL else name


def _bold(verdict: str) -> str:
    return verdict if verdict == "undecided" else f"**{verdict}**"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
