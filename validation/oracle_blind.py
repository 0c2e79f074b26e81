"""How much the oracle catches of what its authors did not know: writes validation/oracle-blind.md.

    python -m validation.oracle_blind          writes the page
    python -m validation.oracle_blind --check  fails if the page is another

The implementations of `validation/blind` were written from the descriptions of the ops and the
specification alone: a right one of each op, and wrong ones that differ from it in one thing. An op
counts where its right implementation passes all goldens; where it does not, the description was
misread or leaves something open, and the page says what.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.compare import compare
from refquant.oracle.diagnose import Seen, diagnose
from refquant.oracle.gallery import Gallery
from refquant.oracle.judge import handed
from refquant.oracle.op import Op
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS
from validation import oracle_blind_dialects
from validation.blind import sets
from validation.blind.sets import BlindSet, Mistake, Run
from validation.blind.survivors import REASONS, SECOND, THIRD
from validation.pages import command

PAGE = Path(__file__).parent / "oracle-blind.md"
FORM = FORMATS["float64"]
INTRODUCTION = """\
# What the oracle catches blindly

Written by `python -m validation.oracle_blind`.

Vectors and catalogue have the same authors, so that the catalogue says little of what they did not
think of. Three times, others wrote a right implementation of each op and wrong ones that differ
from it in one thing, from the descriptions and the specification alone. Each set was run once,
before anybody had looked at it, on vectors that had grown by what the sets before had shown. These
are the only blind figures; where the history of this repository adds a set, the command gives them
again:

| | ops | right ones that pass | wrong ones of these | caught | by the smoke tier alone |
|---|---:|---:|---:|---:|---:|
| first set | 82 | 74 | 436 | 411 (94.3 %) | 347 (79.6 %) |
| second set | 101 | 100 | 659 | **588 (89.2 %)** | 494 (75.0 %) |
| third set | 101 | 101 | 305 | **288 (94.4 %)** | 254 (83.3 %) |

What is caught depends on what is looked for. The writers of the second set were asked for what a
port to a GPU, a compiler pass or hardware gets wrong and a quick test on random data misses, and
for five to eight of it an op. Those of the third were asked for two or three an op that a good
engineer ships: by hand in SIMD, in a tensor framework, from the paper. Expect about one in ten to
be missed of bugs like those of the second set, which hide where tests are thin, and one in twenty
of slips like those of the third. What was missed, by class:
"""
TODAY = """\

## Today, no longer blind

Cases have been added since for the classes of bugs that survived, so these figures
say that the gaps are closed and nothing of the next one. The smoke tier is chosen anew with
each corpus, by the catalogue and by shapes, never by these sets: it catches about four in five.
"Named" are those that do exactly what a variant of the catalogue does, or two.

| | wrong ones | caught | by the smoke tier alone | named |
|---|---:|---:|---:|---:|
"""
SURVIVORS = """\

## Not caught today

Where no reason stands, the vectors have a gap.

| set | op | what it does | why |
|---|---|---|---|
"""
DIFFERENT = """\

## Right implementations that differ

| set | op | cases |
|---|---|---|
"""


@dataclass(frozen=True)
class Measured:
    """A set against the goldens.

    Attributes
    ----------
    open : dict
        {op: the cases that its right implementation fails}; the wrong ones of these do not count.
    wrong, caught, by_smoke, named : int
    survivors : list of Mistake
    """

    open: dict[str, list[str]]
    wrong: int
    caught: int
    by_smoke: int
    named: int
    survivors: list[Mistake]


def answer(op: Op, item: Built, run: Run) -> dict[str, Any]:
    """Return the outputs that the golden has; nothing if the implementation raises."""
    try:
        with np.errstate(all="ignore"):
            found = run(handed(item.case, FORM), op.resolve(item.case.attrs))
    except Exception:
        return {}
    return {name: found[name] for name in item.outputs if name in found}


def failure(op: Op, item: Built, found: dict[str, Any]) -> str:
    """Return what is wrong with the outputs of a case in words, or nothing."""
    problems = compare(op, item.outputs, found, FORM)
    if not found:
        return "raised an exception"
    return f"{problems[0].output}: {problems[0].says}" if problems else ""


def fails(op: Op, item: Built, run: Run) -> bool:
    """Tell whether an implementation is wrong on a case."""
    return bool(failure(op, item, answer(op, item, run)))


def misread(right: dict[str, Run]) -> dict[str, list[str]]:
    """Return {op: cases that its right implementation fails}."""
    found: dict[str, list[str]] = {}
    for name, run in right.items():
        op = ops()[name]
        told = [(i, failure(op, i, answer(op, i, run))) for i in corpus.load(name)]
        failed = [f"{item.case.purpose} ({says})" for item, says in told if says]
        if failed:
            found[name] = failed
    return found


def measure(blind: BlindSet) -> Measured:
    """Hold a set against the goldens."""
    smoke, open_ops = set(corpus.manifest()["smoke"]), misread(blind.right)
    galleries: dict[str, Gallery] = {}
    counted = [mistake for mistake in blind.wrong if mistake.op not in open_ops]
    by_smoke, named, survivors = 0, 0, []
    for mistake in counted:
        op = ops()[mistake.op]
        seen = [Seen(i, answer(op, i, mistake.run)) for i in corpus.load(op.name)]
        killers = {s.built.case.id for s in seen if failure(op, s.built, dict(s.outputs))}
        by_smoke += bool(killers & smoke)
        if killers:
            gallery = galleries.setdefault(op.name, Gallery(op, FORM))
            named += diagnose(op, seen, FORM, gallery).share == 1.0
        else:
            survivors.append(mistake)
    caught = len(counted) - len(survivors)
    return Measured(open_ops, len(counted), caught, by_smoke, named, survivors)


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def listed(ids: str) -> str:
    """Return how many a class has, and which."""
    names = ids.split()
    return f"{len(names)}: {', '.join(f'`{name}`' for name in names)}" if names else "0"


def classes() -> Iterable[str]:
    """Yield the table of what the first measurements of the later sets missed."""
    yield "| class | second set | third set |"
    yield "|---|---|---|"
    for says, ids in SECOND.items():
        yield f"| {says} | {listed(ids)} | {listed(THIRD.get(says, ''))} |"


def page() -> str:
    """Return the page."""
    all_sets = {"first": sets.first(), "second": sets.second(), "third": sets.third()}
    found = {name: measure(blind) for name, blind in all_sets.items()}
    lines = [INTRODUCTION, *classes(), TODAY.rstrip("\n")]
    for name, m in found.items():
        share = f"{m.caught} ({100 * m.caught / m.wrong:.1f} %)"
        lines.append(f"| {name} set | {m.wrong} | {share} | {m.by_smoke} | {m.named} |")
    known = {name: (all_sets[name], set(m.open)) for name, m in found.items()}
    lines += oracle_blind_dialects.lines(known, fails)
    lines.append(SURVIVORS.rstrip("\n"))
    for name, m in found.items():
        for s in m.survivors:
            lines.append(f"| {name} | {s.op} | {cell(s.says)} | {REASONS.get(s.id, '')} |")
    lines.append(DIFFERENT.rstrip("\n"))
    for name, m in found.items():
        for op, cases in m.open.items():
            lines.append(f"| {name} | {op} | {'; '.join(cases[:3])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(command(PAGE, page, "validation.oracle_blind", __doc__))
