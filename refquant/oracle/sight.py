"""The cases of an op as far as one output, or one kind of failure, is concerned.

Each has the elements that are wrong, and the words that may be said, with the elements to which
they apply. `common` holds them side by side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.conditions import bounds, conditions, sizes
from refquant.oracle.diagnose import Seen
from refquant.oracle.op import Op
from refquant.oracle.places import places, thresholds
from refquant.oracle.wrong import Wrong

EVENTS = {
    "raised": "there is no answer",
    "returned": "what is returned is no array",
    "shape": "a shape is wrong",
    "dtype": "a dtype is wrong",
    "input": "an input is changed",
    "bias": "the errors lean to one side",
}


@dataclass(frozen=True, eq=False)
class Sight:
    """One case, seen from one output or one kind of failure.

    Attributes
    ----------
    built : Built
    wrong : Array
        Booleans: elements of the output; 0-d for a failure that has no elements.
    words : dict of str to Array
        Where they apply; of the shape of `wrong`, or 0-d.
    families : dict of str to str
        The family of each of the words.
    elements : Wrong or None
        Those of `wrong`, if there are some.
    """

    built: Built
    wrong: Array
    words: Mapping[str, Array]
    families: Mapping[str, str]
    elements: Wrong | None = None

    def covers(self, text: str) -> bool:
        """Return whether words apply to all that is wrong."""
        return text in self.words and not np.any(self.wrong & ~self.words[text])


def groups(op: Op, seen: Sequence[Seen]) -> Iterator[tuple[str, list[Sight]]]:
    """Yield the outputs that have wrong elements, then the kinds of failures that have none."""
    found = [m for item in seen for m in item.mismatches]
    if all(m.elements.complete for m in found if m.elements):
        for output in (tensor.name for tensor in op.outputs):
            if any(m.output == output and m.elements for m in found):
                yield output, _of_output(op, seen, output)
    for kind in dict.fromkeys(m.problem for m in found if m.problem in EVENTS):
        yield kind, _of_kind(op, seen, kind)


def _of_output(op: Op, seen: Sequence[Seen], output: str) -> list[Sight]:
    """Return the cases in which an output can be compared."""
    rows = [item for item in seen if _comparable(item, output)]
    found = [next((m.elements for m in i.mismatches if m.output == output), None) for i in rows]
    right = [np.zeros(item.built.outputs[output].value.shape, bool) for item in rows]
    wrong = [e.mask if e else none for e, none in zip(found, right, strict=True)]
    limits = thresholds([item.built for item in rows], wrong)
    return [
        _sight(
            rows[i].built, wrong[i], [places(op, rows[i].built, output), limits[i], more], found[i]
        )
        for i, more in enumerate(_of_cases(op, rows, [bool(mask.any()) for mask in wrong]))
    ]


def _of_kind(op: Op, seen: Sequence[Seen], kind: str) -> list[Sight]:
    """Return all cases; wrong are those that failed in this way."""
    hit = [any(m.problem == kind for m in item.mismatches) for item in seen]
    words = _of_cases(op, seen, hit)
    return [_sight(seen[i].built, np.asarray(hit[i]), [said]) for i, said in enumerate(words)]


def _of_cases(op: Op, seen: Sequence[Seen], wrong: Sequence[bool]) -> list[dict[str, Any]]:
    """Return what is said of each case as a whole."""
    limits = bounds([sizes(op, item.built) for item in seen], wrong)
    return [
        {
            **conditions(op, item.built, item.layout),
            "bound": {text: inside[i] for text, inside in limits.items()},
        }
        for i, item in enumerate(seen)
    ]


def _sight(
    built: Built, wrong: Array, said: list[dict[str, Any]], elements: Wrong | None = None
) -> Sight:
    pairs = [(family, *item) for part in said for family in part for item in part[family].items()]
    words = {text: np.asarray(where) for _, text, where in pairs}
    return Sight(built, wrong, words, {text: family for family, text, _ in pairs}, elements)


def _comparable(item: Seen, output: str) -> bool:
    golden, value = item.built.outputs.get(output), item.outputs.get(output)
    return golden is not None and value is not None and value.shape == golden.value.shape
