"""Do the papers' orderings hold on small networks? Writes validation/study-digits.md, -resnet8.md.

    python validation/resnet8.py DATA --into RESNET8         (the real network, once)
    python validation/study.py --out ROWS [--resnet8 RESNET8] --workers 2
                                    interrupt it, run it again: it goes on
    ... --dry-run                   how many runs are missing, and about how long they take
    ... --bits W4A4,W2A2            a part of the bit settings
    ... --report FILE.md            judges what there is; all runs of a part must be there

Everything below was fixed before results were seen: methods, bits, claims and the rule. A claim is
judged by the pair of methods in `CLAIMS` at its bits. It *transfers* where the intervals of the
gains in SQNR and KL lie above 0, does *not transfer* where both lie below 0, and is undecided
otherwise (`refquant.compare`). It is undecided too, whatever the gains, where a method of the pair
left more than 1 % of its weights undecided, or ended with a higher hardened loss than it began
with: such a run was too short to judge the method.

Methods are compared with equal rounding of weights (AQuant's lambda, beta and rate of alpha,
``+equal-rounding``); a loss over several layers is divided by their float power (``+normalized``).
Both were chosen by the share of decided weights alone, on digits-resnet:1: at 700 steps the
published penalties and rates leave up to 9 % undecided at W2A2, these less than 0.1 %. Digits and
CIFAR-10 have different test images and are judged apart. One trained copy of ResNet-8 says nothing
about other networks. Pairs called *afterwards* were added when the other results had
been seen: they take a gain apart, they test nothing.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from refquant import subjects
from refquant.cli.compare_report import markdown
from refquant.cli.env import environment
from refquant.compare import compare
from refquant.study import Study, bits_name
from refquant.sweeps import Config, sweep

DIGITS = tuple(f"digits-{a}:{c}" for a in ("resnet", "mobilenet", "regnet") for c in (1, 2, 3))
BITS = ((4, 4), (2, 4), (3, 3), (2, 2))
STEPS = 700
SETTLED = 0.99  # share of decided weights
EQUAL = "+equal-rounding"
WHOLE = f"{EQUAL}+normalized"


class Claim(NamedTuple):
    """What a paper says, and the pair of methods that shows it here."""

    source: str
    words: str
    baseline: str
    candidate: str


CLAIMS = (
    Claim("AdaRound", "better than nearest", "nearest", f"adaround{EQUAL}"),
    Claim("BRECQ", "better than AdaRound", f"adaround{EQUAL}", f"brecq{EQUAL}"),
    Claim("QDrop", "better than BRECQ", f"brecq{EQUAL}", f"qdrop{EQUAL}"),
    Claim("AQuant", "better than QDrop", f"qdrop{EQUAL}", "aquant"),
    Claim("AQuant", "better than QDrop, recommended", f"qdrop{EQUAL}", "aquant-recommended"),
    Claim("AQuant", "the border alone", "aquant-fixed-border", "aquant"),
    Claim("AQuant", "the border alone, recommended", "aquant-fixed-border", "aquant-recommended"),
    Claim("control", "the placement alone", f"qdrop{EQUAL}", f"qdrop-input{EQUAL}"),
    Claim("AdaQTransform", "better than QDrop", f"qdrop{EQUAL}", f"adaqtransform{WHOLE}"),
    Claim("AdaQTransform", "better than NWQ", f"nwq{WHOLE}", f"adaqtransform{WHOLE}"),
    Claim("AdaQTransform", "on top of AQuant", "aquant", "aquant+adaqtransform"),
    Claim("control", "xi and eta without training", "nearest", "nearest+ols"),
    Claim("afterwards", "the schedule alone", f"qdrop-input{EQUAL}", "aquant-fixed-border"),
    Claim("afterwards", "border and schedule", f"qdrop-input{EQUAL}", "aquant-recommended"),
    Claim("afterwards", "the border alone", f"qdrop-input{EQUAL}", "aquant-unscheduled"),
)
METHODS = tuple(dict.fromkeys(m for c in CLAIMS for m in (c.baseline, c.candidate)))
PAIRS = tuple((c.baseline, c.candidate) for c in CLAIMS)

# CPU seconds on one core at W2A2, of a run without steps and of one step in all units: on digits
# from runs of 50 steps on copy 1; on ResNet-8 "other" from QDrop with 10 and 40 steps, the rest
# scaled from it as on digits, aquant not yet measured with enough steps to be sure.
FIXED = {"digits-resnet": 0.5, "digits-mobilenet": 0.6, "digits-regnet": 0.4, "resnet8": 15.0}
PER_STEP = {
    "digits-resnet": {"adaround": 0.026, "brecq": 0.053, "aquant": 0.061, "other": 0.03},
    "digits-mobilenet": {"adaround": 0.046, "brecq": 0.093, "aquant": 0.12, "other": 0.07},
    "digits-regnet": {"adaround": 0.029, "brecq": 0.061, "aquant": 0.073, "other": 0.045},
    "resnet8": {"adaround": 0.12, "brecq": 0.25, "aquant": 0.3, "other": 0.14},
}


def study(networks: tuple[str, ...], a: argparse.Namespace) -> Study:
    """Return what is run on these networks, and how it is judged."""
    return Study(
        networks=networks,
        methods=METHODS,
        widths=tuple(width for width in BITS if bits_name(width) in a.bits.split(",")),
        seeds=tuple(map(int, a.seeds.split(","))),
        pairs=PAIRS,
        steps=a.steps,
    )


def seconds(config: Config) -> float:
    """Return about how long a run takes on one core."""
    network = config.network.partition(":")[0]
    first = re.split(r"[-+]", config.method)[0]
    if first == "nearest":
        return FIXED[network]
    costs = PER_STEP[network]
    return FIXED[network] + costs.get(first, costs["other"]) * (config.steps or 0)


def main() -> int:
    """Plan, run what is missing, judge."""
    a = arguments()
    plans, folders = parts(a)
    every = [config for plan in plans for config in plan.configs()]
    missing = [c for c in every if not (Path(a.out) / f"{c.key}.json").is_file()]
    left = sum(map(seconds, missing)) / a.workers / 3600.0
    print(f"{len(missing)} of {len(every)} runs are missing: about {left:.1f} h", flush=True)
    if a.dry_run:
        return 0
    for plan in plans:
        rows = sweep(plan.configs(), out=a.out, workers=a.workers, folders=folders)
        if a.report:
            path = Path(a.report)
            path = path.with_stem(f"{path.stem}-{data_of(plan)}")
            path.write_text(page({**compare(plan, rows)}, rows), encoding="utf-8")
            print(f"wrote {path}")
    return 0


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="rows", metavar="ROWS", help="directory of the rows")
    parser.add_argument("--resnet8", metavar="DIR", help="folder of validation/resnet8.py")
    parser.add_argument("--networks", default=",".join(DIGITS), help="of the zoo, with commas")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", default="0", help="of rounding, with commas")
    parser.add_argument("--bits", default=",".join(map(bits_name, BITS)), help="with commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dry-run", action="store_true", help="only say what is missing")
    parser.add_argument("--report", metavar="FILE.md")
    return parser.parse_args()


def parts(a: argparse.Namespace) -> tuple[list[Study], dict[str, str]]:
    """Return one study a data set, and where the networks lie that are not of the zoo."""
    found = [study(tuple(a.networks.split(",")), a)] if a.networks else []
    if not a.resnet8:
        return found, {}
    name = subjects.read(a.resnet8).name
    return [*found, study((name,), a)], {name: a.resnet8}


def page(report: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the claims with their verdicts, then the whole report of `refquant compare`."""
    rules = (__doc__ or "").strip().split("\n\n")[2:]
    title = "# Do the papers' orderings hold on small networks?"
    tables = claim_table(report, CLAIMS), whole(report, rows, command(report["study"]))
    return "\n\n".join((title, *rules, *tables))


def claim_table(report: dict[str, Any], asked: tuple[Claim, ...]) -> str:
    """Return the claims with their gains and verdicts, as Markdown."""
    head = ("source", "claim", "candidate", "against", "bits", "SQNR gain dB", "KL gain", "verdict")
    lines = [head, ("---",) * len(head), *claims(report, asked)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def whole(report: dict[str, Any], rows: list[dict[str, Any]], line: str) -> str:
    """Return the report of `refquant compare`, one level down; `line` is what made it."""
    seconds = sum(row["seconds"] for row in rows)
    origin = {"command": line, "seconds": seconds, "environment": environment()}
    return markdown({**report, **origin, "title": "Whole comparison", "note": ""}).replace(
        "# ", "## "
    )


def command(plan: dict[str, Any]) -> str:
    """Return the command line that makes these rows, without the places of this machine."""
    names, seeds = ",".join(plan["networks"]), ",".join(map(str, plan["seeds"]))
    which = f"--networks {names}" if names.startswith("digits") else "--resnet8 RESNET8"
    bits = ",".join(bits_name(tuple(width)) for width in plan["widths"])
    words = f"--steps {plan['steps']} --seeds {seeds} --bits {bits} --report study.md"
    return f"python validation/study.py --out ROWS {which} {words}"


def data_of(plan: Study) -> str:
    """Return what its networks were trained on: "digits", "resnet8"."""
    return next(iter(plan.architectures)).partition("-")[0]


def claims(report: dict[str, Any], asked: tuple[Claim, ...]) -> list[tuple[str, ...]]:
    """Return one line a claim and bit setting."""
    only = report["pairs"][0]["group"]
    course = {
        (m["bits"], m["method"]): m["phases"] for m in report["methods"] if m["group"] == only
    }
    found = {
        (p["bits"], p["baseline"], p["candidate"]): p for p in report["pairs"] if p["group"] == only
    }
    return [
        (
            *(c.source, c.words, c.candidate, c.baseline, bits),
            *(interval(pair[name], digits) for name, digits in (("sqnr_db", 2), ("kl", 4))),
            judged(pair["verdict"], [course[bits, m] for m in (c.baseline, c.candidate)]),
        )
        for c in asked
        for (bits, baseline, candidate), pair in found.items()
        if (baseline, candidate) == (c.baseline, c.candidate)
    ]


def judged(verdict: str, courses: list[list[dict[str, Any]]]) -> str:
    """Return the verdict, or why a claim is undecided whatever the gains."""
    phases = [phase for course in courses for phase in course]
    shares = [p["decided"] for p in phases if p["decided"] is not None]
    if min(shares, default=1.0) < SETTLED:
        return f"undecided: {min(shares):.1%} of the weights decided"
    if any(p["hard_end"] > p["hard_start"] for p in phases):
        return "undecided: loss ended above its start"
    return verdict


def interval(gain: dict[str, Any], digits: int) -> str:
    """Return a gain with the ends of its interval."""
    shown = [f"{gain[name]:+.{digits}f}" for name in ("gain", "low", "high")]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


if __name__ == "__main__":
    sys.exit(main())
