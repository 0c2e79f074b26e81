"""How an answer compares with what refquant says of a node.

"equal"          integers by ==, floats the same bits as the library's (or both zero)
"within 0.4"     a float that differs, at most so far in shares of the bound that counts roundings
"also right"     an integer where a decision lies within the rounding of float32
"none: ..."      no answer
"wrong: ..."     anything else
"""

from collections.abc import Mapping

import numpy as np

from refquant._types import Array
from refquant.oracle.build import Golden, bound
from refquant.oracle.compare import wrong_elements
from validation.onnx_nodes.node import NodeTest
from validation.onnx_nodes.reading import SINGLE, Answer, Reading

Found = Mapping[str, Array] | str  # outputs by formal name, or why there are none
RANK = ("equal", "also right", "within", "none", "wrong")  # the worst output speaks for the node


def judged(test: NodeTest, reading: Reading | None, found: Found) -> str:
    """Return the worst verdict on the outputs; without a reading, against the golden."""
    if isinstance(found, str):
        return f"none: {found}"
    if reading is None:
        equal = all(np.array_equal(found[name], value) for name, value in test.outputs.items())
        return "equal" if equal else "wrong: not the golden"
    says = [verdict(answer, found[name]) for name, answer in reading.outputs.items()]
    return max(says, key=lambda text: RANK.index(next(r for r in RANK if text.startswith(r))))


def verdict(answer: Answer, found: Array) -> str:
    """Return "equal", how far within its bound an output lies, or "wrong" and where.

    Integers are compared with ``==``; a float that is not the library's must lie within the bound
    that counts the roundings of float32.
    """
    ours, exact = answer
    if found.shape != exact.value.shape:
        return f"wrong: shape {found.shape}, not {exact.value.shape}"
    if (wrong := int(np.count_nonzero(wrong_elements(exact, found, SINGLE)))) > 0:
        return f"wrong: {wrong} of {found.size}"
    if wrong_elements(exact, ours, SINGLE).any():
        return "wrong: refquant"
    if np.array_equal(ours, found, equal_nan=found.dtype.kind == "f"):
        return "equal"
    return f"within {share(exact, found):.2f}" if found.dtype.kind == "f" else "also right"


def share(exact: Golden, found: Array) -> float:
    """Return the largest distance from the exact answer, in shares of its bound."""
    apart, limit = np.abs(found.astype(np.float64) - exact.value), bound(exact, SINGLE.roundoff)
    return float(np.max(np.divide(apart, limit, out=np.zeros_like(apart), where=limit > 0)))
