"""What all failures of an op have in common, and the right answers do not.

Failing and passing cases are held side by side. Words that hold for every wrong element, be it a
place in the output (where x is a tie) or a condition on the case (with grid=signed), are said if
they are shorter than a list of what is wrong. Of K cases and, in the failing ones, S elements to
which the words apply, f and n are wrong; to list these takes log2 C(K, f) + log2 C(S, n) bits, and
to choose a word as many as its family has words, and a few by which likely causes are preferred.
Words are added, the best first, as long as that saves.

This is the principle of minimum description length (Rissanen 1978). It keeps chance out: any five
elements of sixty share something, and to say it would cost more than it saves. What a case asks for
(attributes, optional inputs, memory) is said without charge where it parts failing and passing
cases exactly.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from refquant._types import Array
from refquant.oracle.diagnose import Seen
from refquant.oracle.how import together
from refquant.oracle.op import Op
from refquant.oracle.sight import EVENTS, Sight, groups

SAVED, WORDS = 2.0, 3  # bits at least, words at most
NAMED = 3  # outputs of which the same is said
PRICE = {
    "option": 1,
    "setting": 1,
    "memory": 1,
    "number": 1,
    "answer": 3,
    "index": 4,
    "content": 4,
    "bound": 6,
}
LIKELY = ("option", "setting", "number")  # two at once are tried where one alone saves nothing


def common(op: Op, seen: Sequence[Seen]) -> tuple[str, ...]:
    """Return what holds in all failing cases of an op: a sentence for each output that is wrong.

    Parameters
    ----------
    op : Op
    seen : sequence of Seen
        All cases that ran, right and wrong.
    """
    told: dict[str, list[str]] = {}
    with np.errstate(all="ignore"):
        for label, sights in groups(op, seen):
            if text := _sentence(op, label, sights):
                told.setdefault(text, []).append(label)
    return tuple(f"{_subject(labels)}{text}" for text, labels in told.items())


def _subject(labels: list[str]) -> str:
    """Return what went wrong: outputs, or failures of another kind."""
    events = [EVENTS[label] for label in labels if label in EVENTS]
    outputs = [label for label in labels if label not in EVENTS]
    if len(outputs) > NAMED:
        outputs = [*outputs[:NAMED], f"{len(outputs) - NAMED} more"]
    names = " and ".join(filter(None, [", ".join(outputs[:-1]), *outputs[-1:]]))
    said = [f"{names} {'is' if len(outputs) == 1 else 'are'} wrong"] if outputs else []
    return " and ".join([*said, *events])


def _sentence(op: Op, label: str, sights: list[Sight]) -> str:
    """Return where, and in what way, all that is wrong is wrong; "" if that is not one thing."""
    said = _choose(sights)
    elements = [(sight.built, sight.elements) for sight in sights if sight.elements]
    manner = together(op, label, elements) if elements else ""
    words = ", ".join(said.words).replace(", where ", " and ")
    where = f" {'exactly' if said.exact else 'only'} {words}" if words else ""
    if not where and elements and said.inside == said.wrong > 1:
        where = " in every element"
    if not (where or manner):
        return ""
    joint = "; " if where else ": "
    counts = [f"{said.failing} of {len(sights)} cases"]
    if said.inside > said.wrong:
        such = " such" if said.words else ""
        counts.append(f"{said.wrong} of {said.inside}{such} elements")
    elif said.cases > said.failing and said.words:
        counts.append(f"{said.cases} have such elements" if elements else f"{said.cases} are such")
    return f"{where}{joint * bool(manner)}{manner} ({', '.join(counts)})"


@dataclass(frozen=True, eq=False)
class Chosen:
    """Words, and what they leave.

    Attributes
    ----------
    words : tuple of str
    kept : tuple of Array
        Where they apply, case by case.
    cases, failing : int
        Cases to which they apply somewhere, and those of them that are wrong.
    inside, wrong : int
        Elements of the failing cases to which they apply, and those of them that are wrong.
    """

    words: tuple[str, ...]
    kept: tuple[Array, ...]
    cases: int
    failing: int
    inside: int
    wrong: int

    @property
    def exact(self) -> bool:
        """Whether nothing that is right remains."""
        return self.cases == self.failing and self.inside == self.wrong

    @property
    def bits(self) -> float:
        """The length of a list of what is wrong."""
        return _choices(self.cases, self.failing) + _choices(self.inside, self.wrong)


def _choose(sights: list[Sight]) -> Chosen:
    """Return the words that are worth saying."""
    failing = [sight for sight in sights if sight.wrong.any()]
    every = {text: family for sight in sights for text, family in sight.families.items()}
    usable = {t: f for t, f in every.items() if all(sight.covers(t) for sight in failing)}
    sizes = Counter(every.values())
    prices = {text: PRICE[family] + math.log2(sizes[family]) for text, family in every.items()}
    likely = [text for text, family in usable.items() if family in LIKELY]
    start = _chosen(sights, (), [np.ones(sight.wrong.shape, bool) for sight in sights])
    said = _add_best(sights, start, [(text,) for text in usable], prices)
    if not said.words:
        said = _add_best(sights, start, list(combinations(likely, 2)), prices)
    while said.words and len(said.words) < WORDS:
        spent = "bound" if any(usable[text] == "bound" for text in said.words) else ""
        more = [(text,) for text, family in usable.items() if family != spent]
        longer = _add_best(sights, said, more, prices)
        if longer is said:
            break
        said = longer
    return _asked(sights, said, usable)


def _add_best(
    sights: list[Sight], said: Chosen, more: Sequence[tuple[str, ...]], prices: Mapping[str, float]
) -> Chosen:
    """Return the best addition, if it saves anything."""
    tried = [(_add(sights, said, words), words) for words in more]
    costs = [longer.bits + sum(prices[text] for text in words) for longer, words in tried]
    if not costs or min(costs) + SAVED > said.bits:
        return said
    return tried[int(np.argmin(costs))][0]


def _asked(sights: list[Sight], said: Chosen, usable: Mapping[str, str]) -> Chosen:
    """Add what the failing cases ask for and no other does, if that leaves them alone."""
    spare = said.cases - said.failing
    if not spare or said.failing < 2 or len(said.words) == WORDS:
        return said
    families = ("option", "setting", "memory") if spare > 1 else ("option",)
    longer = (_add(sights, said, (text,)) for text, family in usable.items() if family in families)
    return next((found for found in longer if found.cases == found.failing), said)


def _add(sights: list[Sight], said: Chosen, words: tuple[str, ...]) -> Chosen:
    none, kept = np.zeros((), bool), list(said.kept)
    for text in words:
        kept = [mask & s.words.get(text, none) for s, mask in zip(sights, kept, strict=True)]
    return _chosen(sights, (*said.words, *words), kept)


def _chosen(sights: list[Sight], words: tuple[str, ...], kept: list[Array]) -> Chosen:
    failing = [bool(sight.wrong.any()) for sight in sights]
    inside = sum(int(np.count_nonzero(m)) for m, bad in zip(kept, failing, strict=True) if bad)
    wrong = sum(int(np.count_nonzero(sight.wrong)) for sight in sights)
    cases = sum(bool(np.any(mask)) for mask in kept)
    return Chosen(words, tuple(kept), cases, sum(failing), inside, wrong)


def _choices(n: int, k: int) -> float:
    """Return log2 of n over k."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
