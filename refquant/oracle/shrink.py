"""Make a failing case small: fewer rows, fewer columns, simpler numbers, and still wrong.

Axes are named by the letters of the tensors' shapes; an axis is halved in all tensors that have
it. Then numbers are replaced by 0, 1, 1/2 or -1 where the failure stays. The golden of each
smaller case is computed anew by the exact twin, so a smaller case is as trustworthy as a frozen
one. Programs are asked about many cases in one run; results in a directory cannot be asked again,
nor can what hangs.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.ask import ask
from refquant.oracle.backend import Recorded, Unsupported, format_of, open_backend
from refquant.oracle.build import Built, Disagreement, build
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch
from refquant.oracle.declared import as_declared
from refquant.oracle.diagnose import Diagnosis, Seen, diagnose
from refquant.oracle.layouts import LAYOUTS, turn
from refquant.oracle.op import Op
from refquant.oracle.profiles import resolve
from refquant.oracle.program import TIMEOUT
from refquant.oracle.registry import ops

ATTEMPTS = 400
LONG, GLANCE = 64, 16  # an array of more numbers is printed by its first ones
First = Callable[[Iterator[Built]], Built | None]
SIMPLE, WHOLE = (0.0, 1.0, 0.5), (0, 1, -1)
LETTERS = re.compile(r"[a-z_0-9]+")


@dataclass(frozen=True)
class Reproduction:
    """A case that was run again, and the smallest case found that fails too.

    Attributes
    ----------
    built : Built
        The smallest failing case, or the case itself.
    layout : str
        Of the inputs in memory.
    outputs : dict
        What the backend gave for it.
    mismatches : tuple of Mismatch
    diagnosis : Diagnosis or None
    """

    built: Built
    layout: str
    outputs: dict[str, Any]
    mismatches: tuple[Mismatch, ...]
    diagnosis: Diagnosis | None

    @property
    def exit_code(self) -> int:
        """0 if the case is right, 1 if it is wrong."""
        return 1 if self.mismatches else 0

    def to_json(self) -> dict[str, Any]:
        """Return the reproduction as JSON values."""
        case = self.built.case
        return {
            "op": case.op,
            "attrs": case.attrs,
            "layout": self.layout,
            "inputs": {name: value.tolist() for name, value in case.inputs.items()},
            "expected": {name: g.value.tolist() for name, g in self.built.outputs.items()},
            "actual": {name: np.asarray(value).tolist() for name, value in self.outputs.items()},
            "problems": [f"{m.output}: {m.says}".removeprefix(": ") for m in self.mismatches],
            "diagnosis": self.diagnosis.text if self.diagnosis else None,
        }

    def to_text(self) -> str:
        """Return the reproduction as a few lines to paste."""
        if not self.mismatches:
            return f"{self.built.case.op}: right"
        head = f"{self.built.case.op}: {self.diagnosis.text if self.diagnosis else None}"
        return "\n".join([head, *(f"  {line}" for line in self.lines)])

    @property
    def lines(self) -> list[str]:
        """The case, what was expected, and what came."""
        found = self.to_json()
        lines = [f"layout {self.layout}"] if self.layout != "C" else []
        for key in ("attrs", "inputs", "expected", "actual"):
            lines += [f"{key.removesuffix('s')} {n} = {_glance(v)}" for n, v in found[key].items()]
        return [*lines, *found["problems"]]


def _glance(value: Any) -> str:
    """Return a value, or the first numbers of a long array and its shape."""
    array = np.asarray(value)
    if array.size <= LONG:
        return str(value)
    first = ", ".join(map(str, array.ravel()[:GLANCE].tolist()))
    return f"[{first}, ...] of shape {array.shape}"


def reproduce(backend: Any, built: Built, timeout: float = TIMEOUT) -> Reproduction:
    """Run one case again and, if it fails, shrink it; `timeout` is that of `verify`.

    It is asked with the values that the backend declares where these leave its golden as it is.

    Raises
    ------
    Unsupported
        If the backend does not have it.
    """
    opened = open_backend(backend, [built], timeout)
    op, form = ops()[built.case.op], format_of(opened)
    fields = resolve(getattr(opened, "profile", "any"))
    built = as_declared(op, built, fields) or built
    for layout in (turn(built.case.id), *LAYOUTS):
        if wrong := ask(opened, op, built, form, layout)[1]:
            break
    if not wrong:
        return Reproduction(built, layout, {}, (), None)

    def fails(item: Built, asked: Any = opened) -> bool:
        try:
            return bool(ask(asked, op, item, form, layout)[1])
        except Unsupported:
            return False

    def of_program(items: Iterator[Built]) -> Built | None:
        batch = list({item.case.id: item for item in items}.values())
        asked = open_backend(backend, batch, timeout) if batch else None
        return next((item for item in batch if fails(item, asked)), None)

    small = built
    if not isinstance(opened, Recorded):
        small = shrink(op, built, lambda items: next(filter(fails, items), None))
    elif str(backend).startswith("cmd:") and not any(m.problem == "raised" for m in wrong):
        small = shrink(op, built, of_program)
        opened = open_backend(backend, [built, small], timeout)
    answers = {item.case.id: ask(opened, op, item, form, layout) for item in (built, small)}
    seen = [Seen(item, answers[item.case.id][0]) for item in (built, small)]
    outputs, mismatches = answers[small.case.id]
    layout = "C" if isinstance(opened, Recorded) else layout  # files have none
    return Reproduction(small, layout, outputs, tuple(mismatches), diagnose(op, seen, form))


def shrink(op: Op, built: Built, first: First) -> Built:
    """Return the smallest failing case that a few hundred attempts find.

    `first` returns the first of some cases that fails, None if none does. It may ask for all of
    them before it looks: a program is started once for many.
    """
    budget, best = [ATTEMPTS], built
    while (smaller := first(_built(op, _fewer(op, best.case), budget))) is not None:
        best = smaller
    while (simpler := first(_built(op, _simpler(best.case), budget))) is not None:
        best = simpler
    return best


def _built(op: Op, cases: Iterator[Case], budget: list[int]) -> Iterator[Built]:
    """Yield those of the cases that make sense, with goldens, while attempts are left."""
    for case in cases:
        if budget[0] <= 0:
            return
        budget[0] -= 1
        try:
            item = build(op, case)
        except (Disagreement, ValueError, ArithmeticError, IndexError, TypeError):
            continue
        yield item


def _fewer(op: Op, case: Case) -> Iterator[Case]:
    """Yield the case with one axis halved, or cut to one of its first few indices."""
    named = {name: axes_of(op, name, value) for name, value in case.inputs.items()}
    sizes: dict[str, int] = {}
    for name, axes in named.items():
        for letter, size in zip(axes, case.inputs[name].shape, strict=True):
            sizes[letter] = min(size, sizes.get(letter, size))
    for letter, size in sizes.items():
        for keep in _subsets(size):
            inputs = {
                name: _take(value, named[name], letter, keep) for name, value in case.inputs.items()
            }
            yield replace(case, inputs=inputs, flags=())


def _subsets(size: int) -> list[slice]:
    if size <= 1:
        return []
    half = size // 2
    singles = [slice(i, i + 1) for i in range(size)] if size <= 4 else []
    return [*singles, slice(0, half), slice(half, size)]


def _take(value: Array, axes: tuple[str, ...], letter: str, keep: slice) -> Array:
    return value[tuple(keep if axis == letter else slice(None) for axis in axes)]


def axes_of(op: Op, name: str, value: Array) -> tuple[str, ...]:
    """Return a letter for each axis of an input; shapes that are not spelt out share theirs."""
    text = next(tensor.shape for tensor in op.inputs if tensor.name == name)
    letters = LETTERS.findall(text) if text.startswith("(") else []
    if len(letters) == value.ndim and not any(letter.isdigit() for letter in letters):
        return tuple(letters)
    return tuple(f"{value.ndim}.{axis}" for axis in range(value.ndim))


def _simpler(case: Case) -> Iterator[Case]:
    """Yield the case with one number replaced by a simpler one."""
    for name, value in case.inputs.items():
        if value.dtype.kind not in "if" or value.size > LONG:
            continue
        for index in np.ndindex(value.shape):
            here = value[index]
            for number in SIMPLE if value.dtype.kind == "f" else WHOLE:
                if here == number:
                    break
                changed = value.copy()
                changed[index] = number
                yield replace(case, inputs={**case.inputs, name: changed}, flags=())
