"""How much the oracle catches, and other ways of testing: writes validation/oracle-power.md.

    python -m validation.oracle_power          writes the page
    python -m validation.oracle_power --check  fails if the page is another

Every wrong implementation of the catalogue runs on two sets of inputs, the crafted goldens and the
same cases with their data replaced by normal random numbers of the same scale, and is judged by
four comparisons. Steps, zero points, indices and states keep their values in both.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant.oracle import corpus
from refquant.oracle.build import Built, Golden
from refquant.oracle.case import Case
from refquant.oracle.compare import compare
from refquant.oracle.judge import handed
from refquant.oracle.op import Op
from refquant.oracle.registry import ops, variants
from refquant.oracle.selftest import Selftest, selftest
from refquant.oracle.tiers import FORMATS
from validation import oracle_dialects
from validation.oracle_pairs import lines, pairs
from validation.pages import command

PAGE = Path(__file__).parent / "oracle-power.md"
FORM = FORMATS["float64"]
DATA = {
    "x",
    "u",
    "w",
    "alpha",
    "x_prime",
    "e",
    "d_w",
    "target",
    "p",
    "z",
    "t",
    "q",
    "fp",
    "y",
    "y0",
    "patches",
}
Goldens = Mapping[str, Golden]
Outputs = Mapping[str, Any]


def exact(op: Op, golden: Goldens, found: Outputs) -> bool:
    """Whether the oracle's own comparison fails."""
    return bool(compare(op, golden, found, FORM))


def close(rtol: float, atol: float, lsb: int) -> Callable[[Op, Goldens, Outputs], bool]:
    """A bare tolerance, and one of its own for integers."""

    def fails(op: Op, golden: Goldens, found: Outputs) -> bool:
        for name, item in golden.items():
            value = np.asarray(found.get(name, item.value))
            if value.shape != item.value.shape:
                return True
            own = lsb if item.value.dtype.kind in "iu" else 0
            slack = (0.0, own) if own else (rtol, atol)
            if not np.allclose(value.astype(float), item.value.astype(float), *slack, True):
                return True
        return False

    return fails


def cosine(op: Op, golden: Goldens, found: Outputs) -> bool:
    """Whether the cosine of the angle between all outputs and the goldens is 0.99 or less."""
    for name, item in golden.items():
        a = _finite(found.get(name, item.value))
        b = _finite(item.value)
        if a.shape != b.shape:
            return True
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        if size == 0.0:
            if not np.array_equal(a, b):
                return True
        elif float(a @ b) / size <= 0.99:
            return True
    return False


def _finite(value: Any) -> Any:
    return np.nan_to_num(np.asarray(value, float).ravel(), posinf=0, neginf=0)


COMPARISONS = {
    "this oracle's": exact,
    "+-1 LSB, floats rtol 1e-3": close(1e-3, 1e-7, lsb=1),
    "rtol 1e-3, atol 1e-7": close(1e-3, 1e-7, lsb=0),
    "cosine > 0.99": cosine,
}


def random_case(op: Op, item: Built) -> Built | None:
    """Return a case with normal data in place of crafted, or None if the op refuses it."""
    rng = np.random.default_rng(int(item.case.id, 16) % 2**32)
    inputs = {name: _random(rng, name, value) for name, value in item.case.inputs.items()}
    attrs = op.resolve(item.case.attrs)
    try:
        with nx.arithmetic("pinned", slices=3), np.errstate(all="ignore"):
            found = op.reference(inputs, attrs)
    except (ValueError, ArithmeticError):
        return None
    error = {
        name: np.full(np.shape(v), 64 * max(1e-30, float(np.max(np.abs(v), initial=0))), np.float32)
        for name, v in found.items()
        if np.asarray(v).dtype.kind == "f" and np.isfinite(v).all()
    }
    goldens = {name: Golden(np.asarray(v), error.get(name)) for name, v in found.items()}
    case = Case(op.name, "T53", item.case.purpose, inputs, item.case.attrs)
    return Built(case, goldens, {})


def _random(rng: np.random.Generator, name: str, value: Any) -> Any:
    if value.dtype.kind != "f" or name not in DATA or value.size == 0:
        return value
    finite = value[np.isfinite(value) & (np.abs(value) < 1e6)]
    scale = float(finite.std()) if finite.size else 1.0
    return rng.normal(0.0, scale or 1.0, value.shape)


def caught(op: Op, items: list[Built], run: Any) -> set[str]:
    """Return the comparisons that notice a wrong implementation on some case."""
    found: set[str] = set()
    for item in items:
        if len(found) == len(COMPARISONS):
            break
        try:
            with np.errstate(all="ignore"):
                outputs = run(handed(item.case, FORM), op.resolve(item.case.attrs))
        except Exception:
            return set(COMPARISONS)
        new = set(COMPARISONS) - found
        found |= {name for name in new if COMPARISONS[name](op, item.outputs, outputs)}
    return found


def table() -> Iterator[tuple[str, str, set[str], set[str]]]:
    """Yield (op, variant, caught on random inputs, caught on crafted ones)."""
    for op in ops().values():
        crafted = list(corpus.load(op.name))
        drawn = [r for item in crafted if (r := random_case(op, item)) is not None]
        for variant in variants():
            if variant.op == op.name and not variant.equivalent:
                run = partial(op.plain, exchanged=variant.parts)
                yield op.name, variant.name, caught(op, drawn, run), caught(op, crafted, run)


def page() -> str:
    """Return the page."""
    rows, result = list(table()), selftest()
    parts = (
        _promise(result),
        _comparisons(rows),
        lines(list(pairs())),
        oracle_dialects.lines(result),
        _by_op(result),
        _alarms(result),
        _matrix(result),
    )
    return "\n".join(line for part in parts for line in part)


def _promise(result: Selftest) -> list[str]:
    found = result.to_json()
    misnamed = ", ".join(f"`{name}`" for name in found["misdiagnosed"]) or "none"
    return [
        "# What the oracle catches",
        "",
        "Written by `python -m validation.oracle_power`.",
        "",
        f"{found['variants']} wrong implementations, {found['killed']} caught, "
        f"{found['killed_by_smoke']} by the smoke tier alone; {len(found['equivalent'])} more are "
        "equivalent to the right one, with a proof beside each. "
        f"First diagnosis right for {100 * found['diagnosis_top1']:.1f} % "
        f"(not first: {misnamed}). Variants and vectors have the same authors; "
        "what was written without sight of them is in [oracle-blind.md](oracle-blind.md).",
        "",
    ]


def _comparisons(rows: list[Any]) -> list[str]:
    lines = ["## Inputs and comparisons", ""]
    lines += ["| comparison | random inputs | crafted inputs |", "|---|---|---|"]
    for name in COMPARISONS:
        shares = [100 * sum(name in row[i] for row in rows) / len(rows) for i in (2, 3)]
        lines.append(f"| {name} | {shares[0]:.1f} % | {shares[1]:.1f} % |")
    return [*lines, ""]


def _by_op(result: Selftest) -> list[str]:
    lines = ["## Ops", "", "| op | cases | variants | caught | by smoke | bytes |"]
    lines.append("|---|---|---|---|---|---|")
    for name in ops():
        own = [k for k in result.kills if k.variant.op == name and not k.variant.equivalent]
        entry = corpus.manifest()["ops"][name]
        killed, smoke = sum(bool(k.killers) for k in own), sum(k.smoke for k in own)
        counts = (entry["cases"], len(own), killed, smoke, entry["bytes"])
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return [*lines, ""]


def _alarms(result: Selftest) -> list[str]:
    lines = ["## Right implementations", "", "| implementation | cases | blamed |", "|---|---|---|"]
    lines += [f"| {name} | {result.judged[name]} | {len(a)} |" for name, a in result.alarms.items()]
    return [*lines, ""]


def _matrix(result: Selftest) -> list[str]:
    lines = ["## Variants", "", "| variant | cases that catch it | source |", "|---|---|---|"]
    for kill in result.kills:
        v = kill.variant
        count = f"none: {v.equivalent}" if v.equivalent else str(len(kill.killers))
        lines.append(f"| {v.id} | {count} | {v.source} |".replace("\n", " "))
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(command(PAGE, page, "validation.oracle_power", __doc__))
