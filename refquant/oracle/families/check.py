"""Check one family while it is being written: ``python -m refquant.oracle.families.check NAME``.

Builds its cases (three computations must agree), runs the plain implementation in float64 and
float32 (no false alarm), and every variant (all killed, none by an exception alone).
"""

import sys
import time
from functools import partial
from importlib import import_module

from refquant.oracle.build import Built, build
from refquant.oracle.general import general
from refquant.oracle.judge import first_failure, judge
from refquant.oracle.op import Op, Variant
from refquant.oracle.tiers import FORMATS


def main(name: str) -> int:
    """Print what is wrong with the family and return how much."""
    family = [
        import_module(f"refquant.oracle.families.{name}.{part}")
        for part in ("ops", "cases", "variants")
    ]
    ops = {op.name: op for op in family[0].OPS}
    began = time.perf_counter()
    built = [build(ops[case.op], case) for case in family[1].cases()]
    ids = [item.case.id for item in built]
    print(f"{len(ops)} ops, {len(built)} cases built in {time.perf_counter() - began:.1f} s")
    complaints = [f"two cases are the same: {i}" for i in {i for i in ids if ids.count(i) > 1}]
    for op in ops.values():
        own = [item for item in built if item.case.op == op.name]
        variants = (*family[2].VARIANTS, *general([op]))
        complaints += _op(op, own) + _variants(op, own, variants)
    print("\n".join(complaints) or "nothing is wrong")
    return len(complaints)


def _op(op: Op, own: list[Built]) -> list[str]:
    complaints = [] if own else [f"{op.name}: no case"]
    for form in (FORMATS["float64"], FORMATS["float32"]):
        for item in own:
            if item.case.tier in form.tiers:
                for wrong in judge(op, item, op.plain, form):
                    where = f"{op.name} [{item.case.tier}] {item.case.purpose}"
                    complaints.append(
                        f"false alarm in {form.name}: {where}: {wrong.output}: {wrong.says}"
                    )
    for clause in op.clauses:
        count = sum(clause in item.case.clauses for item in own)
        complaints += [f"{op.name}: clause {clause} has {count} cases, not 2"] if count < 2 else []
    return complaints


def _variants(op: Op, own: list[Built], variants: tuple[Variant, ...]) -> list[str]:
    complaints, kills = [], dict.fromkeys((item.case.id for item in own), 0)
    mine = [v for v in variants if v.op == op.name]
    for variant in mine:
        run = partial(op.plain, exchanged=variant.parts)
        form = FORMATS["float64"]
        killers = [item for item in own if first_failure(op, [item], run, form)]
        if bool(killers) == bool(variant.equivalent):
            complaints.append(
                f"{variant.id}: {'killed, but said to be equivalent' if killers else 'survives'}"
            )
        in_double = "given" in variant.parts  # what `general` has is right in float32
        if killers and not in_double and not first_failure(op, own, run, FORMATS["float32"]):
            print(f"  {variant.id}: survives in float32")
        for item in killers:
            kills[item.case.id] += 1
    real = sum(not v.equivalent for v in mine)
    print(f"{op.name}: {len(own)} cases, {real} variants")
    for item in own:
        if not kills[item.case.id] and "trajectory" not in item.case.flags:
            complaints.append(
                f"{op.name}: the case '{item.case.purpose}' [{item.case.tier}] kills nothing"
            )
    return complaints


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1])))
