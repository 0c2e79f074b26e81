"""The page of an op, printed from its description: what it computes, and how it is judged."""

from collections.abc import Iterable

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.conventions import CONVENTIONS
from refquant.oracle.op import Attr, Op, Tensor
from refquant.oracle.registry import variants

SPECIAL = {"NaN": np.isnan, "infinities": np.isinf}
EXACT = " (no operation on the way rounds a float)"


def page(op: Op) -> str:
    """Return the page as Markdown."""
    own = [v for v in variants() if v.op == op.name]
    lines = [
        f"# {op.name}",
        "",
        op.says,
        "",
        "```text",
        *op.formula.splitlines(),
        "```",
        "",
        *_tensors("Inputs", op.inputs),
        *_special(op),
        *_attrs(op.attrs),
        *_tensors("Outputs", op.outputs),
        *_judged(op),
        "## Known wrong implementations",
        "",
        *(f"- `{v.name}`: {v.says} ({v.source})" for v in own if not v.equivalent),
        "",
    ]
    proofs = [f"- `{v.name}`: {v.equivalent}" for v in own if v.equivalent]
    if proofs:
        lines += ["## Different, and right", "", *proofs, ""]
    lines += ["## What holds for all ops", "", *CONVENTIONS.splitlines(), ""]
    return "\n".join(lines)


def _tensors(title: str, tensors: Iterable[Tensor]) -> list[str]:
    rows = [
        f"| `{t.name}` | {t.kind} | {t.shape} | {t.says}{'; may be left out' * t.optional} |"
        for t in tensors
    ]
    return [f"## {title}", "", "| name | kind | shape | |", "|---|---|---|---|", *rows, ""]


def _special(op: Op) -> list[str]:
    """Return which inputs are ever NaN or infinite, as the frozen cases have it."""
    given = [item.case.inputs for item in corpus.load(op.name)]
    found = []
    for name in (t.name for t in op.inputs if t.kind == "float"):
        values = np.concatenate([np.ravel(inputs[name]) for inputs in given if name in inputs])
        kinds = [word for word, test in SPECIAL.items() if test(values).any()]
        found += [f"`{name}` ({', '.join(kinds)})"] if kinds else []
    return [f"Not finite in some cases: {'; '.join(found)}." if found else "All are finite.", ""]


def _attrs(attrs: tuple[Attr, ...]) -> list[str]:
    if not attrs:
        return []
    rows = [
        f"| `{a.name}` | `{a.default!r}` | {', '.join(f'`{c!r}`' for c in a.choices)} "
        f"| {a.says}{'; implementations differ' * a.dialect} |"
        for a in attrs
    ]
    return ["## Attributes", "", "| name | default | choices | |", "|---|---|---|---|", *rows, ""]


def _judged(op: Op) -> list[str]:
    """Return how outputs are compared, as the frozen cases have it."""
    lines = ["## Comparison", ""]
    if op.composite:
        lines += ["Float32 and wider: it multiplies matrices that it computed itself.", ""]
    cases = corpus.load(op.name)
    for tensor in op.outputs:
        goldens = [item.outputs[tensor.name] for item in cases if tensor.name in item.outputs]
        bounded = sum(g.error is not None for g in goldens)
        two = sum(g.other is not None for g in goldens)
        how = "equal in every case" + EXACT * (tensor.kind == "float")
        if bounded:
            how = f"equal in {len(goldens) - bounded} cases, within a stored bound in {bounded}"
        lines.append(f"- `{tensor.name}`: {how}" + f"; two right answers in {two}" * bool(two))
    clauses = ", ".join(op.clauses)
    return [*lines, "", f"{len(cases)} cases; clauses {clauses} of the specification.", ""]
