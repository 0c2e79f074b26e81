"""Wrong implementations that any op may have, whatever it computes.

A part that every op has, ``given``, stands between the inputs and the op; see `op.Plain`.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from refquant.oracle.op import Arrays, Inputs, Op, Variant

SINGLE_PRECISION = "single_precision"


def in_single(inputs: Inputs) -> Arrays:
    """The inputs in float32, so that all is computed in it."""
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in inputs.items()}


def general(ops: Iterable[Op]) -> Iterator[Variant]:
    """Yield them for every op that takes floats."""
    for op in ops:
        if any(tensor.kind == "float" for tensor in op.inputs):
            yield Variant(
                op.name, SINGLE_PRECISION,
                "It is computed in float32, though the backend declares float64.",
                "a cast at the door; frameworks whose default is float32", {"given": in_single},
            )  # fmt: skip
