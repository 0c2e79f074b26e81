"""Tell the arithmetic of one element of one golden, step by step.

The scalar twin runs on numbers that remember how they were made. Of what they remember, the steps
behind the chosen element are printed, the exact rational beside the double of the same step, and
those comparisons that looked at its inputs and at no other element's.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from refquant._checks import complaint
from refquant.oracle.build import Built
from refquant.oracle.declared import also_right
from refquant.oracle.exact.traced import Log, Traced, inputs, show, steps
from refquant.oracle.exact.tracked import special
from refquant.oracle.op import Op
from refquant.oracle.registry import ops

SHOWN = 60  # steps, and comparisons
DEEP = 3  # operations within an operand of a comparison that is no step of the result


def explain(built: Built, output: str = "", index: tuple[int, ...] | None = None) -> str:
    """Return the explanation of one element.

    Parameters
    ----------
    built : Built
        A case, as `corpus.find` returns it.
    output : str
        Which output; the first by default.
    index : tuple of int, optional
        Which element; by default the first that is computed, not only chosen, or else the first.

    Raises
    ------
    ValueError
        If the case has no such output or element.
    """
    op, log = ops()[built.case.op], Log()
    name = output or op.outputs[0].name
    if name not in built.outputs:
        expected = f"one of {sorted(built.outputs)}"
        raise ValueError(complaint("explain", "output", repr(name), expected))
    golden = built.outputs[name]
    place = (0,) * golden.value.ndim if index is None else index
    if len(place) != golden.value.ndim or any(
        not 0 <= i < n for i, n in zip(place, golden.value.shape, strict=True)
    ):
        expected = f"an index into shape {golden.value.shape}"
        raise ValueError(complaint("explain", "index", list(place), expected))
    numbers = {key: named(key, value, log) for key, value in built.case.inputs.items()}
    whole: Any = op.twin(numbers, op.resolve(built.case.attrs))[name]
    if index is None:
        places = np.ndindex(golden.value.shape)
        place = next((p for p in places if getattr(_at(whole, p), "operation", "")), place)
    result = _at(whole, place)
    label = f"{name}{list(place) if place else ''}"
    head = [f"{op.name}: {op.says}", *(f"  {line}" for line in op.formula.splitlines())]
    head += [f"case {built.case.id}: {built.case.purpose} [{built.case.tier}]"]
    head += _settings(op, built)
    golden_line = f"golden {label} = {golden.value[place].item()!r}"
    return "\n".join([*head, "", *_story(label, result, log, place), "", golden_line])


def _settings(op: Op, built: Built) -> Iterator[str]:
    """Yield the attributes, and the other values of a dialect with which the golden is the same."""
    same: dict[str, list[str]] = {}
    for name, value in also_right(op, built):
        same.setdefault(name, []).append(str(value))
    for name, value in sorted(op.resolve(built.case.attrs).items()):
        also = f"  (the same golden with {', '.join(same[name])})" if name in same else ""
        yield f"  {name} = {value}{also}"


def _at(nested: Any, place: tuple[int, ...]) -> Any:
    for i in place:
        nested = nested[i]
    return nested


def named(name: str, value: Any, log: Log) -> Any:
    """Return an array as nested lists of traced numbers that know their names."""

    def number(index: tuple[int, ...], x: Any) -> Any:
        """A finite number as a traced one that is called by its place."""
        if isinstance(x, bool) or special(x):
            return x
        label = f"{name}[{', '.join(map(str, index))}]" if index else name
        return Traced(log, Fraction(x), x, name=label)

    def nest(part: Any, index: tuple[int, ...]) -> Any:
        """The same of every number in nested lists."""
        if isinstance(part, list):
            return [nest(item, (*index, i)) for i, item in enumerate(part)]
        return number(index, part)

    return nest(np.asarray(value).tolist(), ())


def _story(label: str, result: Any, log: Log, place: tuple[int, ...]) -> Iterator[str]:
    """Yield the inputs, the steps, the comparisons, and the result."""
    if not isinstance(result, Traced):
        yield from _decisions(log, set(), {}, place)
        yield f"{label} = {result!r}"
        return
    done, used, names = list(steps(result)), inputs(result), {}
    for number in sorted(_leaves(done[:SHOWN], result), key=lambda item: item.name):
        yield f"{number.name} = {_both(number)}"
    for i, step in enumerate(done[:SHOWN], 1):
        names[id(step)] = f"t{i}"
        yield f"t{i} = {_operation(step, names)} = {_both(step)}"
    if len(done) > SHOWN:
        yield f"... and {len(done) - SHOWN} more steps"
    yield from _decisions(log, used, names, place)
    yield f"{label} = {_name(result, names)} = {show(result.value)}"


def _both(number: Traced) -> str:
    """Return the exact value, beside it the double; integers have none."""
    exact = show(number.value)
    return exact if isinstance(number.near, int) else f"{exact}  ({number.near!r})"


def _leaves(done: list[Traced], result: Traced) -> set[Traced]:
    operands = {operand for step in done for operand in step.operands} | {result}
    return {item for item in operands if not item.operation and item.name != show(item.value)}


def _decisions(
    log: Log, used: set[str], names: dict[int, str], place: tuple[int, ...]
) -> Iterator[str]:
    """Yield the comparisons that concern the element, each once, and how many are left out."""
    told: dict[str, None] = {}
    for text, operands in log.decisions:
        about = set().union(*(inputs(operand) for operand in operands))
        if _concerns(about, used, place):
            told["because " + text.format(*(_name(operand, names) for operand in operands))] = None
    yield from list(told)[:SHOWN]
    if len(told) > SHOWN:
        yield f"... and {len(told) - SHOWN} more comparisons"


def _concerns(about: set[str], used: set[str], place: tuple[int, ...]) -> bool:
    """Whether a comparison looked at inputs of the element, and at no other element's."""
    tensors = {name.partition("[")[0] for name in used}
    strange = {name for name in about - used if name.partition("[")[0] in tensors}
    there = f"[{', '.join(map(str, place))}]"
    elsewhere = {
        name
        for name in about - used
        if name.count(",") == there.count(",") and "[" in name and not name.endswith(there)
    }
    own = {name for name in about if name in used or name.endswith(there)}
    return bool(own) and not strange | elsewhere


def _operation(step: Traced, names: dict[int, str], deep: int = DEEP) -> str:
    operands = [_name(operand, names, deep) for operand in step.operands]
    if len(operands) == 1:
        bare = step.operation in "-" or step.operation.startswith("^")
        if step.operation.startswith("^"):
            return f"{operands[0]} {step.operation}"
        return f"-{operands[0]}" if bare else f"{step.operation}({operands[0]})"
    if step.operation.isalpha():
        return f"{step.operation}({', '.join(operands)})"
    return f" {step.operation} ".join(operands)


def _name(number: Any, names: dict[int, str], deep: int = DEEP) -> str:
    """Return what a number is called, or how it comes about, or from some depth on its value."""
    if not isinstance(number, Traced):
        return repr(number)
    if id(number) in names or not number.operation:
        return names.get(id(number)) or number.name
    value = show(number.value)
    return f"({_operation(number, names, deep - 1)} = {value})" if deep else value
