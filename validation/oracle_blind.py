"""How much the oracle catches of what its authors did not know: writes validation/oracle-blind.md.

    python -m validation.oracle_blind

`validation/blind/implementations.py` was written from the descriptions of the ops and the
specification alone: a right implementation of each op, and wrong ones that differ from it in one
thing. An op counts where its right implementation passes all goldens; where it does not, the
description was misread or leaves something open, and the page says what.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.compare import compare
from refquant.oracle.diagnose import Seen, diagnose
from refquant.oracle.gallery import Gallery
from refquant.oracle.judge import handed
from refquant.oracle.op import Op
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS
from validation.blind.implementations import BUGS, CORRECT

PAGE = Path(__file__).parent / "oracle-blind.md"
FORM = FORMATS["float64"]
FIRST = (
    "**Blind: 411 of 436 caught, 94.3 %, 347 by the smoke tier alone.** That was the first "
    "measurement (this page as of its first commit), and the only blind one: cases were then added "
    "for what it had shown."
)
SURVIVORS = (
    "Some are right: a reciprocal in place of a division, or another order of operations. "
    "Some no vector can tell: the sign of 2 h - 1 at beta = 1, or whether a level lies on an "
    "end of the grid, is a matter of one rounding; and fusion weights of one tap are an error."
)
Run = Callable[[Any, Any], Mapping[str, Any]]


def answer(op: Op, item: Built, run: Run) -> dict[str, Any]:
    """Return the outputs that the golden has; nothing if the implementation raises."""
    try:
        found = run(handed(item.case, FORM), op.resolve(item.case.attrs))
    except Exception:
        return {}
    return {name: found[name] for name in item.outputs if name in found}


def wrong(op: Op, item: Built, run: Run) -> str:
    """Return what is wrong with a case in words, or nothing."""
    found = answer(op, item, run)
    problems = compare(op, item.outputs, found, FORM)
    if not found:
        return "raised an exception"
    return f"{problems[0].output}: {problems[0].says}" if problems else ""


def misread() -> dict[str, list[str]]:
    """Return {op: cases that its right implementation fails}."""
    found: dict[str, list[str]] = {}
    for name, run in CORRECT.items():
        failed = [(i, w) for i in corpus.load(name) if (w := wrong(ops()[name], i, run))]
        if failed:
            found[name] = [f"{item.case.purpose} ({says})" for item, says in failed]
    return found


def page() -> str:
    """Return the page."""
    smoke, open_ops = set(corpus.manifest()["smoke"]), misread()
    caught, by_smoke, named, survivors = 0, 0, 0, []
    counted = [bug for bug in BUGS if bug["op"] not in open_ops]
    galleries: dict[str, Gallery] = {}
    for bug in counted:
        op = ops()[bug["op"]]
        killers = [i for i in corpus.load(op.name) if wrong(op, i, bug["run"])]
        caught += bool(killers)
        by_smoke += any(item.case.id in smoke for item in killers)
        if not killers:
            survivors.append(f"| {op.name} | {bug['says']} |")
            continue
        gallery = galleries.setdefault(op.name, Gallery(op, FORM))
        seen = [Seen(i, answer(op, i, bug["run"])) for i in corpus.load(op.name)]
        named += diagnose(op, seen, FORM, gallery).share == 1.0
    share = 100 * caught / len(counted)
    lines = [
        "# What the oracle catches blindly",
        "",
        "Written by `python -m validation.oracle_blind`.",
        "",
        f"{len(CORRECT)} right and {len(BUGS)} wrong implementations were written from the "
        "descriptions alone. "
        f"{len(CORRECT) - len(open_ops)} of the right ones pass every golden of their op.",
        "",
        FIRST,
        "",
        f"Today, no longer blind: of the {len(counted)} wrong implementations of these ops "
        f"{caught} are caught ({share:.1f} %), {by_smoke} by the smoke tier alone, which is chosen "
        f"without a look at these; {named} of the caught ones do exactly what a variant of the "
        "catalogue does, or two.",
        "",
        "## Not caught",
        "",
        SURVIVORS,
        "",
        "| op | what it does |",
        "|---|---|",
        *survivors,
        "",
        "## Right implementations that differ",
        "",
        "| op | cases |",
        "|---|---|",
        *(f"| {name} | {'; '.join(cases[:3])} |" for name, cases in open_ops.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
