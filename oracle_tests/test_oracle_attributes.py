"""No attribute is decoration: the corpus tells every value of it from every other."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from refquant.oracle import corpus
from refquant.oracle.judge import judge
from refquant.oracle.op import Attr, Op
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS

ALL = [(op, attr) for op in ops().values() for attr in op.attrs]
NAMES = [f"{op.name}.{attr.name}" for op, attr in ALL]
# Pairs that no input tells apart, each with the reason.
SAME: dict[str, set[frozenset[Any]]] = {
    # codes of both are 0 .. 2^bits - 1, and only the zero point says where 0 is
    "grid": {frozenset({"affine", "unsigned"})},
    # refuse raises an error beyond the last step, and vectors hold no errors
    "after": {frozenset({"refuse", "hold"}), frozenset({"refuse", "continue"})},
    # the same number but for roundings
    "alpha_init": {frozenset({"ratio", "quotient"})},
    # the first step is 1, so that the last one is the number of steps
    "arrive": set(),
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


@pytest.mark.parametrize(("op", "attr"), [pair for pair in ALL if pair[1].choices])
def test_every_choice_differs_from_every_other(op: Op, attr: Attr) -> None:
    """Reading a choice as another fails a case that has it."""
    same = SAME.get(attr.name, set())
    for mine, other in permutations(attr.choices, 2):
        if f"{op.name}.{attr.name}" in BY_INPUTS or frozenset({mine, other}) in same:
            continue
        assert told(op, attr.name, mine, other), f"{op.name}: {mine} is read as {other}"


def told(op: Op, name: str, mine: Any, other: Any) -> bool:
    """Whether some case fails when its value of an attribute is read as another."""

    def misread(inputs: Any, attrs: Any) -> Any:
        try:
            return op.plain(inputs, {**attrs, name: other})
        except (ValueError, KeyError, IndexError, ZeroDivisionError, TypeError):
            return {tensor.name: np.zeros(()) + np.nan for tensor in op.outputs}

    return any(
        bool(judge(op, item, misread, FORMATS["float64"]))
        for item in corpus.load(op.name)
        if op.resolve(item.case.attrs)[name] == mine
    )
