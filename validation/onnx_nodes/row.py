"""One node test with everybody's opinion: the golden, ONNX Runtime, ONNX's reference evaluator."""

from collections.abc import Mapping
from dataclasses import dataclass

from validation.onnx_nodes.layers import LAYERS
from validation.onnx_nodes.node import NodeTest, OutOfScope
from validation.onnx_nodes.others import by_onnxruntime, by_reference
from validation.onnx_nodes.quantized import QUANTIZED
from validation.onnx_nodes.read import Stored
from validation.onnx_nodes.reading import Reading
from validation.onnx_nodes.verdict import Found, judged

OTHERS = {"onnxruntime": by_onnxruntime, "reference": by_reference}


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    test : NodeTest
    reading : Reading or None
        None where refquant has no such operator or format; `outside` says which.
    verdicts : mapping of {"golden", "onnxruntime", "reference"} to str
        As in `verdict`.
    """

    test: NodeTest
    reading: Reading | None
    outside: str
    verdicts: Mapping[str, str]

    def differing(self) -> list[str]:
        """Return who does not give what the specification asks for."""
        return [who for who, says in self.verdicts.items() if says.startswith(("wrong", "none"))]

    @property
    def numbers(self) -> int:
        """Return how many numbers of the golden are compared."""
        names = self.reading.outputs if self.reading else self.test.outputs
        return sum(self.test.outputs[name].size for name in names)


def row(stored: Stored) -> Row:
    """Return everybody's opinion of a node test."""
    test = stored.test
    answers: dict[str, Found] = {"golden": test.outputs}
    answers |= {who: give(stored) for who, give in OTHERS.items()}
    try:
        reading, outside = (QUANTIZED | LAYERS)[test.op](test), ""
    except OutOfScope as reason:
        reading, outside = None, str(reason)
    says = {who: judged(test, reading, found) for who, found in answers.items()}
    return Row(test, reading, outside, says)
