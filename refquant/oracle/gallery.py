"""What every known bug of an op gives on a set of cases, side by side, to compare outputs with.

For each case and output the candidates' answers are stacked, so that one comparison tells which of
them a backend agrees with, element by element. A candidate that raises is absent from that case;
answers of another shape are kept beside the stack.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built, Golden, bound, same_class
from refquant.oracle.compare import wrong_elements
from refquant.oracle.judge import handed
from refquant.oracle.op import Attrs, Op, Variant
from refquant.oracle.registry import variants
from refquant.oracle.tiers import Format


@dataclass(frozen=True)
class Candidate:
    """Something that a backend may do: a variant, two, or another reading of an attribute."""

    ids: tuple[str, ...]
    says: str
    source: str
    parts: Mapping[str, Any]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Wall:
    """The answers to one output of one case.

    Attributes
    ----------
    golden : Golden
    answers : Array
        (candidates present, *shape).
    present : Array
        Index of each among all candidates.
    off : Array
        Where each is wrong.
    misshapen : dict
        {index of a candidate: its answer}, of another shape.
    """

    golden: Golden
    answers: Array
    present: Array
    off: Array
    misshapen: Mapping[int, Array]


class Gallery:
    """All candidates of an op on some cases, in one arithmetic; walls are made when asked for."""

    def __init__(self, op: Op, form: Format, candidates: Iterable[Candidate] | None = None) -> None:
        self.op, self.form = op, form
        self.candidates = tuple(candidates_of(op) if candidates is None else candidates)
        self._walls: dict[str, dict[str, Wall]] = {}

    def walls(self, item: Built) -> dict[str, Wall]:
        """Return {output: wall} of one case."""
        key = item.case.id
        if key not in self._walls:
            attrs = self.op.resolve(item.case.attrs)
            answers = [self._answer(item, attrs, c) for c in self.candidates]
            self._walls[key] = {
                name: self._wall(golden, [found.get(name) for found in answers])
                for name, golden in item.outputs.items()
            }
        return self._walls[key]

    def _answer(self, item: Built, attrs: Attrs, candidate: Candidate) -> dict[str, Array]:
        changed = {**attrs, **candidate.attrs}
        try:
            with np.errstate(all="ignore"):
                found = self.op.plain(handed(item.case, self.form), changed, candidate.parts)
            return {name: np.asarray(value) for name, value in found.items()}
        except Exception:  # a wrong implementation may fail where the backend did not
            return {}

    def _wall(self, golden: Golden, answers: list[Array | None]) -> Wall:
        shape = golden.value.shape
        present = [i for i, a in enumerate(answers) if a is not None and a.shape == shape]
        stack = np.array([answers[i] for i in present]).reshape(len(present), *shape)
        off = [wrong_elements(golden, row, self.form) for row in stack]
        wrong = np.array(off, bool).reshape(stack.shape)
        other = {i: a for i, a in enumerate(answers) if a is not None and a.shape != shape}
        return Wall(golden, stack, np.array(present, int), wrong, other)

    def shares(self, seen: Iterable[tuple[Built, Mapping[str, Array]]]) -> Array:
        """Return, for each candidate, how much of what a backend has wrong it explains.

        Explained elements over wrong ones and contradictions; 1 is everything.
        """
        count = len(self.candidates)
        explained, contradicted, wrong = np.zeros(count), np.zeros(count), 0
        for item, outputs in seen:
            for name, wall in self.walls(item).items():
                value = outputs.get(name)
                if value is None:
                    continue
                if value.shape != wall.golden.value.shape or value.dtype.kind not in "biuf":
                    # one thing wrong, whatever its size
                    wrong += 1
                    explained += [_same(wall.misshapen.get(i), value) for i in range(count)]
                    continue
                contradicted[list(wall.misshapen)] += 1
                bad = wrong_elements(wall.golden, value, self.form)
                wrong += int(np.count_nonzero(bad))
                agree = self.agree(wall, value)
                axes = tuple(range(1, agree.ndim))
                explained[wall.present] += np.count_nonzero(agree & wall.off & bad, axis=axes)
                contradicted[wall.present] += np.count_nonzero(wall.off & ~bad & ~agree, axis=axes)
        return explained / np.maximum(wrong + contradicted, 1)

    def agree(self, wall: Wall, value: Array) -> Array:
        """Return where each candidate gives what the backend gave, up to their roundings."""
        if wall.golden.value.dtype.kind != "f":
            return np.asarray(wall.answers == value)
        a, b = wall.answers.astype(np.float64), value.astype(np.float64)
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(a), np.abs(b))
            allowed = 2 * bound(wall.golden, self.form.roundoff) + 32 * self.form.roundoff * size
            return same_class(a, b) | (np.abs(a - b) <= allowed)


def _same(answer: Array | None, value: Array) -> bool:
    """Whether an answer of the wrong shape is the backend's."""
    if answer is None or answer.shape != value.shape:
        return False
    return bool(np.array_equal(answer, value, equal_nan=value.dtype.kind == "f"))


def candidates_of(op: Op) -> list[Candidate]:
    """Return everything that a backend of this op is known to do wrong."""
    found = [_of(v) for v in variants() if v.op == op.name and not v.equivalent]
    for attr in op.attrs:
        for value in attr.choices:
            says = f"The attribute {attr.name} is taken as {value!r} whatever it says."
            ids = (f"{op.name}.{attr.name}={value}",)
            found.append(Candidate(ids, says, "", {}, {attr.name: value}))
    return found


def _of(variant: Variant) -> Candidate:
    return Candidate((variant.id,), variant.says, variant.source, variant.parts, {})


def compatible(a: Candidate, b: Candidate) -> bool:
    """Return whether two candidates change different things."""
    return not (set(a.parts) & set(b.parts)) and not (set(a.attrs) & set(b.attrs))


def both(a: Candidate, b: Candidate) -> Candidate:
    """Return two candidates as one."""
    source = "; ".join(filter(None, (a.source, b.source)))
    says = f"Two bugs: {a.says} {b.says}"
    return Candidate(a.ids + b.ids, says, source, {**a.parts, **b.parts}, {**a.attrs, **b.attrs})
