"""The page in Markdown: the summary first, then who is right, then the tables."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from refquant._types import Array
from validation.onnx_nodes.findings import FINDINGS
from validation.onnx_nodes.probes import Probe
from validation.onnx_nodes.proof import Proof
from validation.onnx_nodes.quantized import QUANTIZED
from validation.onnx_nodes.read import Stored
from validation.onnx_nodes.reading import Reading
from validation.onnx_nodes.row import OTHERS, Row
from validation.onnx_nodes.verdict import Found, judged

COMMAND = "python -m validation.onnx_goldens DATA --into validation/onnx-goldens.md"
NAMES = {"golden": "golden", "onnxruntime": "ONNX Runtime", "reference": "onnx.reference"}
THEIRS = tuple(NAMES[who] for who in OTHERS)
CLAUSES = {  # what the text says, and by what refquant computes it
    "QuantizeLinear": (
        "saturate((x / y_scale) + y_zero_point); x / y_scale, in the type of y_scale, rounds to the"
        " nearest even",
        "`quantizers.fake_quant.quantize`",
    ),
    "DequantizeLinear": (
        "(x - x_zero_point) * x_scale",
        "`quantizers.fake_quant.dequantize`",
    ),
    "DynamicQuantizeLinear": (
        "y_scale: the range of x and 0 over 255; zero point and codes round half to even",
        "`calibrate.ranges.minmax`, `calibrate.qparams.range_to_qparams`, `quantize`",
    ),
    "ConvInteger": (
        "sums in 32 bits; silent on what padding holds: by the golden, the zero point",
        "`deploy.integer_conv.integer_conv_accumulate`",
    ),
    "MatMulInteger": ("sums in 32 bits", "the same, as a 1x1 convolution"),
    "QLinearConv": (
        "the bias has the scale x_scale * w_scale; no formula for the result: QuantizeLinear's"
        " is taken",
        "the same, then `deploy.epilogue.float_epilogue` and `requantize_float`",
    ),
    "QLinearMatMul": (
        "saturate((x / y_scale) + y_zero_point), x / y_scale half to even; scales of float32 or"
        " float16",
        "the same two",
    ),
}


class Asked(NamedTuple):
    """A probe as a node test, what refquant says, and what the others gave."""

    probe: Probe
    stored: Stored
    reading: Reading
    found: Mapping[str, Found]


class Results(NamedTuple):
    """All that the page is made of; `without`: operators that refquant lacks, and their tests."""

    rows: Sequence[Row]
    without: Mapping[str, int]
    asked: Sequence[Asked]
    proofs: Sequence[Proof]
    versions: str


def page(results: Results) -> str:
    """Return the page."""
    parts = (summary, who_is_right, quantization, beyond, passing, clauses, others)
    return "\n\n".join(part(results) for part in parts) + "\n"


def text(*sentences: str) -> str:
    """A paragraph of lines that fit."""
    return textwrap.fill(" ".join(sentences), 100, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def quantized(results: Results) -> list[Row]:
    """The rows of the quantization operators, in the order of `QUANTIZED`."""
    order = list(QUANTIZED)
    rows = [row for row in results.rows if row.test.op in QUANTIZED]
    return sorted(rows, key=lambda row: (order.index(row.test.op), row.test.name))


def summary(results: Results) -> str:
    """What an engineer in a hurry reads."""
    rows = quantized(results)
    inside = [row for row in rows if row.reading]
    equal = [row for row in inside if row.verdicts["golden"] == "equal"]
    rest = [row for row in results.rows if row.test.op not in QUANTIZED and row.reading]
    wrong = [row for row in rest if "golden" in row.differing()]
    quantizer = next(proof for proof in results.proofs if proof.op == "fake_quant")
    points = (
        f"Of {len(rest)} tests of other operators {len(rest) - len(wrong)} agree: equal, or within"
        f" the counted roundings of float32. In {len(wrong)} the golden is wrong.",
        f"Passing is not enough: {len(quantizer.passing)} of {quantizer.forbidden} wrong quantizers"
        f" pass all {quantizer.goldens} goldens, among them one that rounds ties away from zero. No"
        " golden has a tie that tells.",
        "ONNX's own reference evaluator passes all quantization goldens, and differs from the text"
        " where none looks.",
    )
    parts = (
        "# ONNX's node tests, a second opinion",
        text(
            f"**Of ONNX's {len(rows)} quantization node tests {len(inside)} are in refquant's",
            f"scope, and {len(equal)} of the {len(inside)} agree: {numbers(equal)} numbers, every",
            "integer equal, every float the same bits, by the library's functions and by the exact",
            f"scalar twin.** The other {len(rows) - len(inside)} are of float8 and float4, whose",
            "levels are no uniform grid.",
        ),
        "\n".join(textwrap.indent(text(point), "  ").replace("  ", "- ", 1) for point in points),
        f"By `{COMMAND}`;\nDATA holds the tests as the generator in the package onnx writes them."
        f" {results.versions}.",
    )
    return "\n\n".join(parts)


def numbers(rows: Sequence[Row]) -> int:
    """How many numbers the goldens of these rows have."""
    return sum(row.numbers for row in rows)


def who_is_right(results: Results) -> str:
    """The findings."""
    lines = [
        (f"`{f.tests.removeprefix('test_')}`", NAMES[f.who], f.clause, f.right, f.why)
        for f in FINDINGS
    ]
    history = text(
        "Before onnx/onnx#7868 (2026) the int8 goldens of QLinearMatMul were wrong: 20, a code",
        "that had wrapped around, where the text saturates -236 to -128. Older copies still say",
        "so.",
    )
    head = ("test", "differs", "the text", "right", "why")
    return f"## Who is right\n\n{table(head, lines)}\n\n{history}"


def quantization(results: Results) -> str:
    """The table of the quantization tests."""
    rows = quantized(results)
    close = sum(undecided(row) for row in rows)
    about = text(
        "Everybody is compared with what refquant computes, by its functions (quantizers in",
        "float32, requantization in float64) and by the exact scalar twin; out of its scope, with",
        "the golden. Blocks and axes are steps of another shape, int2 to uint16 grids of other",
        "widths. ONNX Runtime runs the newest operator set it knows, and gets what Python has no",
        "type for as constants.",
        f"{close} codes lie so close to a tie that the rounding of float32 decides: there the",
        "golden is what a division in float32 gives, as the text asks.",
    )
    lines = [
        (
            f"`{row.test.name.removeprefix('test_')}`",
            f"{row.test.op} {row.test.version}",
            str(row.numbers),
            cell(row.verdicts["golden"]) if row.reading else "out of scope",
            *(cell(row.verdicts[who]) for who in OTHERS),
        )
        for row in rows
    ]
    head = ("test", "operator", "numbers", "golden", *THEIRS)
    return f"## The {len(rows)} quantization tests\n\n{about}\n\n{table(head, lines)}"


def undecided(row: Row) -> int:
    """How many codes have two right answers in float32."""
    exact = [answer.exact for answer in row.reading.outputs.values()] if row.reading else []
    return sum(int(np.count_nonzero(e.value != e.other)) for e in exact if e.other is not None)


def cell(says: str) -> str:
    """A verdict as the table has it."""
    kind, _, rest = says.partition(": ")
    return f"**disagrees**, {rest}" if kind == "wrong" else {"equal": "agrees"}.get(kind, kind)


def beyond(results: Results) -> str:
    """The probes."""
    about = text(
        "Nodes of our own: what the definition of the operator asks, and what everybody gives.",
        "*open*: it does not decide.",
    )
    head = ("node", "input", "the text", "refquant", *THEIRS, "wrong", "why")
    lines = [asked_line(item) for item in results.asked]
    return f"## Where they differ on inputs that no golden has\n\n{about}\n\n{table(head, lines)}"


def asked_line(item: Asked) -> tuple[str, ...]:
    """A probe with everybody's numbers."""
    probe, stored, reading, found = item
    says = {who: judged(stored.test, reading, answer) for who, answer in found.items()}
    wrong = [NAMES[who] for who, verdict in says.items() if verdict.startswith("wrong")]
    theirs = ["none" if isinstance(a, str) else shown(list(a.values())) for a in found.values()]
    ours = shown(list(stored.test.outputs.values()))
    last = "*open*" if probe.silent else ", ".join(wrong) or "nobody"
    node = f"{probe.op} {probe.version}"
    return node, probe.shows, probe.text, ours, *theirs, last, probe.why


def shown(values: Sequence[Array]) -> str:
    """Numbers as they are read; outputs separated by semicolons."""
    return "; ".join(" ".join(f"{v:.4g}" for v in np.ravel(value)) for value in values)


def passing(results: Results) -> str:
    """What the goldens prove."""
    about = text(
        "Wrong implementations of refquant's catalogue that the text of ONNX forbids (each fails a",
        "case of refquant's corpus that a node could ask), held against the nodes of the table",
        "above. The offset is QLinearConv's bias.",
    )
    head = ("op of the oracle", "nodes that use it", "wrong implementations", "pass them all")
    lines = [
        (f"`{proof.op}`", str(proof.goldens), str(proof.forbidden), str(len(proof.passing)))
        for proof in results.proofs
    ]
    lists = "\n\n".join(
        "\n".join([f"Those of `{proof.op}`:", "", *(f"- {says}" for says in proof.passing)])
        for proof in results.proofs
    )
    return f"## What passing them proves\n\n{about}\n\n{table(head, lines)}\n\n{lists}"


def clauses(results: Results) -> str:
    """What the text says of each operator."""
    versions = {row.test.op: row.test.version for row in results.rows}
    lines = [(f"{op} {versions[op]}", *CLAUSES[op]) for op in QUANTIZED if op in versions]
    return f"## What the text asks\n\n{table(('operator', 'the text', 'refquant'), lines)}"


def others(results: Results) -> str:
    """The operators outside quantization, a line each."""
    rows = [row for row in results.rows if row.test.op not in QUANTIZED]
    lines = [other_line([r for r in rows if r.test.op == op]) for op in unique(rows)]
    head = ("operator", "tests", "equal", "within the bound", "wrong golden", "out of scope")
    about = "In brackets: the largest distance from the exact answer, in shares of its bound."
    reasons = "; ".join(sorted({row.outside for row in rows if row.outside}))
    names = ", ".join(f"{op} ({count})" for op, count in sorted(results.without.items()))
    outside = text(f"Out of scope: {reasons}. Operators refquant does not have (tests): {names}.")
    return f"## Other operators\n\n{about}\n\n{table(head, lines)}\n\n{outside}"


def unique(rows: Sequence[Row]) -> list[str]:
    """The operators of rows, each once."""
    return list(dict.fromkeys(row.test.op for row in rows))


def other_line(rows: Sequence[Row]) -> tuple[str, ...]:
    """One operator's counts."""
    says = [row.verdicts["golden"] for row in rows if row.reading]
    shares = [float(each.removeprefix("within ")) for each in says if each.startswith("within")]
    bounded = f"{len(shares)} ({max(shares):.2f})" if shares else "0"
    wrong = sum(each.startswith("wrong") for each in says)
    name = f"{rows[0].test.op} {rows[0].test.version}"
    counts = len(rows), says.count("equal"), wrong, len(rows) - len(says)
    total, equal, failed, outside = map(str, counts)
    return name, total, equal, bounded, failed, outside
