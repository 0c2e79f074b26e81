"""What refquant says of a node: by the library's functions, and by the exact scalar twin.

A node becomes one or several ops of the oracle. `build` computes each three times (exact rationals,
the twin on floats, the library in pinned float64) and raises if they differ; here the library runs
once more in the arithmetic that ONNX names, float32.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.oracle.build import Built, Golden, build
from refquant.oracle.case import Case
from refquant.oracle.exact.tracked import Ledger, lift
from refquant.oracle.judge import handed
from refquant.oracle.nested import as_array, as_numbers
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS

Lift = Callable[[Any], Any]
SINGLE, DOUBLE = FORMATS["float32"], FORMATS["float64"]


class Answer(NamedTuple):
    """One output: by the library, and the exact one with its bound."""

    ours: Array
    exact: Golden


@dataclass(frozen=True)
class Reading:
    """A node in refquant's words.

    Attributes
    ----------
    outputs : mapping of ONNX's name to Answer
    steps : tuple of Built
        The oracle's ops that it was computed by, in order.
    """

    outputs: Mapping[str, Answer]
    steps: tuple[Built, ...] = ()


class Step(NamedTuple):
    """An op of the oracle on these inputs: its case with goldens, and the library's outputs."""

    built: Built
    ours: Mapping[str, Array]

    def answer(self, name: str) -> Answer:
        """Return one output."""
        return Answer(np.asarray(self.ours[name]), self.built.outputs[name])


def step(name: str, inputs: Mapping[str, Any], tier: str = "REAL", **attrs: Any) -> Step:
    """Run an op: exactly, and by the library in float32 (tier T53: in float64).

    Raises
    ------
    refquant.oracle.build.Disagreement
        If library and twin differ from the exact answer: a bug of refquant.
    """
    op = ops()[name]
    built = build(op, Case(name, tier, "a node of ONNX", dict(inputs), attrs))
    form = DOUBLE if tier == "T53" else SINGLE
    with nx.arithmetic("pinned", slices=3):
        return Step(built, op.reference(handed(built.case, form), op.resolve(attrs)))


def tracked(ours: Array, exact: Callable[[Lift], Any]) -> Answer:
    """Return an answer for which there is no op.

    Parameters
    ----------
    ours : Array
        By the library.
    exact : function
        Given one that turns arrays into nested lists of exact numbers, returns nested lists of the
        answer's numbers, in the order of `ours`.
    """
    ledger = Ledger()
    found = exact(lambda x: as_numbers(np.asarray(x), lambda number: lift(number, ledger)))
    value, error = as_array(found, "float")
    answer = Answer(np.asarray(ours).reshape(value.shape), Golden(value, error))
    return each_array(answer, lambda part: part.reshape(ours.shape))


def each_array(answer: Answer, function: Callable[[Array], Array]) -> Answer:
    """Return an answer with its values and bounds rearranged in the same way."""
    ours, exact = answer
    error, other = (None if a is None else function(a) for a in (exact.error, exact.other))
    return Answer(function(ours), Golden(function(exact.value), error, other))


def moved(answer: Answer, low: int) -> Answer:
    """Return codes of the affine grid as codes of the type whose lowest is `low`."""
    return each_array(answer, lambda codes: codes + low)


def stacked(answers: Sequence[Answer], shape: tuple[int, ...]) -> Answer:
    """Return answers side by side, in a shape."""
    ours = np.stack([answer.ours for answer in answers]).reshape(shape)
    goldens = [answer.exact for answer in answers]
    value = np.stack([golden.value for golden in goldens]).reshape(shape)
    errors = [np.zeros(g.value.shape) if g.error is None else g.error for g in goldens]
    return Answer(ours, Golden(value, np.stack(errors).reshape(shape)))
