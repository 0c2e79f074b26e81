"""No attribute is decoration: the corpus tells every value of it from every other."""

from itertools import permutations
from typing import Any

import pytest

from refquant.oracle import corpus
from refquant.oracle.judge import first_failure
from refquant.oracle.op import Attr, Op
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS

ALL = [(op, attr) for op in ops().values() for attr in op.attrs]
NAMES = [f"{op.name}.{attr.name}" for op, attr in ALL]
# Pairs that no input tells apart, each with the reason.
SAME: dict[str, set[frozenset[Any]]] = {
    # codes of both are 0 .. 2^bits - 1, and only the zero point says where 0 is
    "grid": {frozenset({"affine", "unsigned"})},
    "act_grid": {frozenset({"affine", "unsigned"})},
    # refuse raises an error beyond the last step, and vectors hold no errors
    "after": {frozenset({"refuse", "hold"}), frozenset({"refuse", "continue"})},
    # the same number but for roundings
    "alpha_init": {frozenset({"ratio", "quotient"})},
    # of the grid only the largest code counts
    "lsq_init.grid": {frozenset({"affine", "unsigned"}), frozenset({"signed", "narrow"})},
}
# The case of a layer shows in which inputs it has; in these the same inputs give the same outputs.
BY_INPUTS = {"adaqt.case", "adaqt_backward.case", "adaqt_step.case"}


def values(op: Op, attr: Attr) -> list[Any]:
    """The values that the cases of an op have."""
    return [op.resolve(item.case.attrs)[attr.name] for item in corpus.load(op.name)]


@pytest.mark.parametrize(("op", "attr"), ALL, ids=NAMES)
def test_every_attribute_varies(op: Op, attr: Attr) -> None:
    """Two values at least; of a choice, all."""
    found = values(op, attr)
    assert len({repr(value) for value in found}) >= 2
    assert [choice for choice in attr.choices if choice not in found] == []


@pytest.mark.parametrize(("op", "attr"), [p for p in ALL if p[1].choices])
def test_every_choice_differs_from_every_other(op: Op, attr: Attr) -> None:
    """Reading a choice as another fails a case that has it."""
    same = SAME.get(f"{op.name}.{attr.name}", SAME.get(attr.name, set()))
    for mine, other in permutations(attr.choices, 2):
        if f"{op.name}.{attr.name}" in BY_INPUTS or frozenset({mine, other}) in same:
            continue
        assert told(op, attr.name, mine, other), f"{op.name}: {mine} is read as {other}"


def told(op: Op, name: str, mine: Any, other: Any) -> bool:
    """Whether some case fails when its value of an attribute is read as another."""

    def misread(inputs: Any, attrs: Any) -> Any:
        return op.plain(inputs, {**attrs, name: other})

    mine_only = (i for i in corpus.load(op.name) if op.resolve(i.case.attrs)[name] == mine)
    return first_failure(op, mine_only, misread, FORMATS["float64"]) is not None
