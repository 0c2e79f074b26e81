"""What passing the goldens proves: which wrong implementations pass them all.

Of the catalogue of wrong implementations only those count that ONNX's text forbids: those that fail
a case of refquant's corpus which an ONNX node could ask. Everything else (other roundings, fused
ReLU, NaN, numbers that only float64 holds, ...) says nothing about ONNX. Only codes and sums are
compared: these nodes give no more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from refquant.oracle import corpus
from refquant.oracle.build import Built
from refquant.oracle.judge import first_failure
from refquant.oracle.op import Arrays, Attrs, Inputs, Variant
from refquant.oracle.registry import ops, variants
from validation.onnx_nodes.reading import DOUBLE

Askable = Callable[[Built], bool]


def quantizes(built: Built) -> bool:
    """`fake_quant` as QuantizeLinear: half to even, a zero point allowed, no NaN."""
    attrs = ops()["fake_quant"].resolve(built.case.attrs)
    kind = attrs["rounding"] == "rint" and attrs["grid"] in ("affine", "signed", "unsigned")
    return kind and not np.isnan(built.case.inputs["x"]).any()


def requantizes(built: Built) -> bool:
    """`requant_float` as QLinearConv: no ReLU, a bias of whole numbers of scales."""
    attrs = ops()["requant_float"].resolve(built.case.attrs)
    offset, scale = built.case.inputs["offset"], built.case.inputs["scale"]
    whole = np.all(scale > 0) and not np.any(np.remainder(offset, np.abs(scale)))
    return bool(whole) and not attrs["relu"] and attrs["grid"] != "narrow"


ASKABLE: dict[str, Askable] = {
    "fake_quant": quantizes,
    "int_conv_acc": lambda built: True,
    "requant_float": requantizes,
}


@dataclass(frozen=True)
class Proof:
    """Of one op: how many goldens use it, the forbidden variants, and those that pass them all."""

    op: str
    goldens: int
    forbidden: int
    passing: tuple[str, ...]


def proofs(built: Sequence[Built]) -> list[Proof]:
    """Return what cases of several ops prove of each."""
    return [proof(op, [item for item in built if item.case.op == op]) for op in ASKABLE]


def proof(op: str, built: Sequence[Built]) -> Proof:
    """Return what the cases of an op prove of it."""
    wrong = forbidden(op)
    passing = tuple(variant.says for variant in wrong if passes(variant, built))
    return Proof(op, len(built), len(wrong), passing)


def forbidden(op: str) -> list[Variant]:
    """Return the wrong implementations that fail what a node could ask; its scales are float32."""
    single = [item for item in corpus.load(op) if item.case.tier != "T53"]
    asked = [item for item in single if ASKABLE[op](item)]
    return [v for v in variants() if v.op == op and not v.equivalent and not passes(v, asked)]


def passes(variant: Variant, cases: Iterable[Built]) -> bool:
    """Whether the integers that a wrong implementation gives are right in all cases."""
    op = ops()[variant.op]

    def run(inputs: Inputs, attrs: Attrs) -> Arrays:
        found = op.plain(inputs, attrs, variant.parts)
        return {name: value for name, value in found.items() if op.output(name).kind == "int"}

    return first_failure(op, cases, run, DOUBLE) is None
