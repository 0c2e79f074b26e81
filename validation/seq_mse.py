"""What AIMET's sequential MSE gains, alone and before AdaRound. Writes validation/seq-mse.md.

    python -m validation.seq_mse --out ROWS      interrupt it, run it again: it goes on
    ... --copies 1,2                             of the three trained copies of each network

Methods, networks, bits, claims and the rule were fixed before results were seen, but for the SQNR
of rounding to nearest on one `digits-resnet`, with and without the search. The rule is that of
`validation/study.py`: a claim *transfers* where the intervals of the gains in SQNR and KL lie above
0, does *not transfer* where both lie below 0, and is undecided otherwise, and where a method left
more than 1 % of its weights undecided or ended with a higher hardened loss than it began with.

Ranges start from different rules: `nearest` and `adaround` take, of 100 candidates, the range whose
weights have the smallest squared error; `+seq-mse`, of 20, the one whose layer's output has, on the
first 256 calibration images, behind rounded weights and real activations. Its targets are what the
real weights make of the same inputs, AIMET's default; with `+seq-mse-float` they are those of the
float network, AIMET's asym. AdaRound has AQuant's penalty and rate, `+equal-rounding`, and takes as
many steps as in that study, for the reason given there.
"""

import argparse
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from refquant.compare import compare
from refquant.rows import Row
from refquant.study import Study
from refquant.sweeps import sweep
from validation.study import DIGITS, EQUAL, STEPS, Claim, claim_table, whole

PAGE = Path(__file__).parent / "seq-mse.md"
ADAROUND = f"adaround{EQUAL}"
SAME, FLOAT = "+seq-mse", "+seq-mse-float"
CLAIMS = (
    Claim("AIMET", "better ranges", "nearest", f"nearest{SAME}"),
    Claim("AIMET", "better ranges, float targets", "nearest", f"nearest{FLOAT}"),
    Claim("control", "float targets are better", f"nearest{SAME}", f"nearest{FLOAT}"),
    Claim("AIMET", "a better start", ADAROUND, f"{ADAROUND}{SAME}"),
    Claim("AIMET", "a better start, float targets", ADAROUND, f"{ADAROUND}{FLOAT}"),
    Claim("AdaRound", "better than nearest", "nearest", ADAROUND),
    Claim("AdaRound", "better than nearest on these ranges", f"nearest{SAME}", f"{ADAROUND}{SAME}"),
    Claim("AdaRound", "... float targets", f"nearest{FLOAT}", f"{ADAROUND}{FLOAT}"),
    Claim("control", "AdaRound alone beats ranges alone", f"nearest{FLOAT}", ADAROUND),
)
PLAN = Study(
    networks=DIGITS,
    methods=tuple(dict.fromkeys(m for c in CLAIMS for m in (c.baseline, c.candidate))),
    widths=((2, 8), (3, 8), (4, 8)),
    pairs=tuple((c.baseline, c.candidate) for c in CLAIMS),
    steps=STEPS,
)
READING = """\
- Where weights are rounded to nearest, the search is worth several dB at every width, and two to
  three dB more against the outputs of the float network than with AIMET's default.
- Before AdaRound next to nothing of that is left: under one dB of SQNR at W2A8 and none of KL, at 3
  and 4 bits nothing, or some tenths of a dB lost. Learning finds the rounding that suits its range.
- It does not stand in for AdaRound, which gains several dB more on the same ranges, and without
  them is far ahead of the best of them. Where no steps can be afforded, it costs little."""
COST = """\
## Time

Of a whole run, over that of `nearest` or of AdaRound with {steps} steps a unit, on the same network
at the same bits: the median over copies and bits, least and greatest. The runs take turns in one
process; what else the machine does is in the extremes. AdaRound's published number is 20,000.

| network | {names} |
"""
FEWER = """\
Three trained copies of each network were planned. This page is of those numbered {copies}, which
were finished first; nothing else decided which."""
SHARES = {  # a run over another
    f"nearest{SAME} / nearest": (f"nearest{SAME}", "nearest"),
    f"nearest{FLOAT} / nearest": (f"nearest{FLOAT}", "nearest"),
    f"nearest{SAME} / AdaRound": (f"nearest{SAME}", ADAROUND),
    f"nearest{FLOAT} / AdaRound": (f"nearest{FLOAT}", ADAROUND),
}


def levels(report: dict[str, Any]) -> str:
    """Return SQNR and KL of each method at each width, over all networks."""
    only = [m for m in report["methods"] if m["group"] == report["methods"][0]["group"]]
    widths = tuple(dict.fromkeys(m["bits"] for m in only))
    shown = {(m["method"], m["bits"]): f"{m['sqnr_db']:.2f} dB, {m['kl']:.4f}" for m in only}
    methods = dict.fromkeys(m["method"] for m in only)
    lines = [("SQNR, KL", *widths), ("---",) * (1 + len(widths))]
    lines += [(method, *(shown[method, bits] for bits in widths)) for method in methods]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cost(plan: Study, rows: list[Row]) -> str:
    """Return the table of times, one line an architecture."""
    taken = {(r["network"], r["weight_bits"], r["method"]): r["seconds"] for r in rows}

    def cell(networks: tuple[str, ...], run: str, over: str) -> str:
        """Return the ratios on some networks: median, least, greatest."""
        places = product(networks, (bits for bits, _ in plan.widths))
        found = [taken[(*place, run)] / taken[(*place, over)] for place in places]
        return f"{median(found):.2f} ({min(found):.2f} .. {max(found):.2f})"

    lines = ["|---" * (1 + len(SHARES)) + "|"]
    for name, networks in plan.architectures.items():
        cells = [cell(networks, *pair) for pair in SHARES.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return COST.format(steps=plan.steps, names=" | ".join(SHARES)) + "\n".join(lines)


def page(plan: Study, rows: list[Row]) -> str:
    """Return what was found, the rules, the claims, the times and the whole comparison."""
    rules = (__doc__ or "").strip().split("\n\n")[2:]
    copies = dict.fromkeys(name.partition(":")[2] for name in plan.networks)
    line = f"python -m validation.seq_mse --out ROWS --copies {','.join(copies)}"
    report = compare(plan, rows)
    if plan.networks != PLAN.networks:
        rules.append(FEWER.format(copies=" and ".join(copies)))
    found = READING, levels(report), "## Claims"
    tables = claim_table(report, CLAIMS), cost(plan, rows), whole(report, rows, line)
    return "\n\n".join(("# What sequential MSE gains", *found, *rules, *tables))


def main() -> int:
    """Run what is missing, one run at a time, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", default="rows", metavar="ROWS", help="directory of the rows")
    parser.add_argument("--copies", default="1,2,3", help="of each network, with commas")
    a = parser.parse_args()
    asked = tuple(n for n in DIGITS if n.partition(":")[2] in a.copies.split(","))
    plan = replace(PLAN, networks=asked)
    PAGE.write_text(page(plan, sweep(plan.configs(), out=a.out, workers=1)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
