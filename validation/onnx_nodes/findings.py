"""Who is right where opinions differ, by the text of the ONNX specification; checked against a run.

Every disagreement of the tables must have an entry, and every entry a disagreement.
"""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A disagreement and its judgement.

    Attributes
    ----------
    tests : str
        A pattern of names.
    who : str
        "golden", "onnxruntime" or "reference": the one that differs from the text.
    right, clause, why : str
    """

    tests: str
    who: str
    right: str
    clause: str
    why: str

    def of(self, name: str, who: str) -> bool:
        """Return whether it judges this."""
        return self.who == who and fnmatch.fnmatchcase(name, self.tests)


FINDINGS = (
    Finding(
        "test_convinteger_with_padding",
        "onnxruntime",
        "golden, refquant, onnx.reference",
        'ConvInteger 10: w_zero_point "could be a scalar or a 1-D tensor"',
        "its kernel takes one zero point for all filters",
    ),
    Finding(
        "test_*_float4e2m1",
        "onnxruntime",
        "golden, onnx.reference",
        "QuantizeLinear 28, DequantizeLinear 28: float4e2m1 is one of the types",
        "it has no float4 in these operators",
    ),
    Finding(
        "test_averagepool_2d_ceil_last_window_starts_on_pad",
        "golden",
        "refquant, ONNX Runtime, onnx.reference",
        'AveragePool 22: "divided by the number of elements"',
        "it was typed with four decimals: 0.1511 for the mean 0.15105556",
    ),
)


def unexplained(differing: Iterable[tuple[str, str]]) -> list[str]:
    """Return what has no finding, of pairs (test, who), and findings that nothing needs."""
    pairs = sorted(differing)
    missing = [
        f"{name}: {who}" for name, who in pairs if not any(f.of(name, who) for f in FINDINGS)
    ]
    stale = [f"stale: {f.tests}" for f in FINDINGS if not any(f.of(*pair) for pair in pairs)]
    return missing + stale
