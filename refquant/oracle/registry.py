"""All operations, cases and variants, collected from the families."""

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


def _part(family: str, name: str):  # type: ignore[no-untyped-def]
    return import_module(f"refquant.oracle.families.{family}.{name}")
