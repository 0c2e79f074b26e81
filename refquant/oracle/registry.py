"""All operations, cases and variants, collected from the families."""

import difflib
from functools import cache
from importlib import import_module

from refquant.oracle.case import Case
from refquant.oracle.families import FAMILIES
from refquant.oracle.general import general
from refquant.oracle.op import Op, Variant


@cache
def ops() -> dict[str, Op]:
    """Return the operations of the oracle by name, in the order of the specification."""
    return {op.name: op for family in FAMILIES for op in _part(family, "ops").OPS}


@cache
def cases() -> tuple[Case, ...]:
    """Return all cases, in the order of the families."""
    return tuple(case for family in FAMILIES for case in _part(family, "cases").cases())


@cache
def variants() -> tuple[Variant, ...]:
    """Return the catalogue of wrong implementations, equivalent ones included."""
    own = (v for family in FAMILIES for v in _part(family, "variants").VARIANTS)
    return (*own, *general(ops().values()))


def alike(name: str) -> str:
    """Return a question after the ops that a partial or mistyped name may mean, "" if none do.

    Examples
    --------
    >>> alike("fake_qant"), alike("conv"), alike("softsign")
    ("Did you mean 'fake_quant'?", "Did you mean 'conv2d' or 'int_conv_acc'?", '')
    """
    names = [op for op in ops() if "backward" in name or not op.endswith("_backward")]
    parts = sorted((op for op in names if name in op), key=lambda op: not op.startswith(name))
    near = (parts if name else [])[:3] or difflib.get_close_matches(name, names, cutoff=0.56)
    if not near:
        return ""
    *others, last = (f"'{op}'" for op in near)
    return f"Did you mean {' or '.join([', '.join(others), last] if others else [last])}?"


def _part(family: str, name: str):  # type: ignore[no-untyped-def]
    return import_module(f"refquant.oracle.families.{family}.{name}")
