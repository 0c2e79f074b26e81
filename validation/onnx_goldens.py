"""Hold refquant against ONNX's own node tests: a second opinion on quantization.

    python -m validation.onnx_goldens DATA [--into validation/onnx-goldens.md]

DATA (or REFQUANT_ONNX_NODES) holds the tests as the generator in the package onnx writes them, and
a MANIFEST.json that lists their names. The installed onnx must know their operators: take the
version that wrote them, or a newer one. Each test is computed by refquant's functions and by the
exact scalar twin; the golden, ONNX Runtime and ONNX's reference evaluator are compared with them.

Exit code 1 if a disagreement has no finding in `validation.onnx_nodes.findings`, or a finding no
disagreement; 5 if DATA is absent.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from validation.onnx_nodes.findings import unexplained
from validation.onnx_nodes.layers import LAYERS
from validation.onnx_nodes.page import Asked, Results, page
from validation.onnx_nodes.probes import PROBES, Probe, posed
from validation.onnx_nodes.proof import Proof, proofs
from validation.onnx_nodes.quantized import QUANTIZED
from validation.onnx_nodes.read import read
from validation.onnx_nodes.row import OTHERS, Row, row

MISMATCH, NOTHING_RAN = 1, 5  # exit codes


def main() -> int:
    """Print or write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = os.environ.get("REFQUANT_ONNX_NODES")
    parser.add_argument("data", nargs="?", default=default, metavar="DATA")
    parser.add_argument("--into", metavar="FILE", help="where the page goes; printed without it")
    arguments = parser.parse_args()
    if not arguments.data or not (Path(arguments.data) / "MANIFEST.json").is_file():
        fix = "name the directory of the tests, as an argument or in REFQUANT_ONNX_NODES"
        print(f"onnx_goldens: no MANIFEST.json in {arguments.data!r}; {fix}", file=sys.stderr)
        return NOTHING_RAN
    results = everything(Path(arguments.data))
    if arguments.into:
        Path(arguments.into).write_text(page(results), encoding="utf-8")
    else:
        print(page(results), end="")
    wrong = unexplained((row.test.name, who) for row in results.rows for who in row.differing())
    print("\n".join(wrong) or "every disagreement has its finding", file=sys.stderr)
    return MISMATCH if wrong else 0


def everything(data: Path) -> Results:
    """Run all tests and probes."""
    known, rows, without = QUANTIZED | LAYERS, [], Counter[str]()
    for stored in read(data):
        if stored.test.op in known:
            rows.append(row(stored))
        else:
            without[stored.test.op] += 1
    versions = f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}"
    return Results(rows, without, [ask(probe) for probe in PROBES], proved(rows), versions)


def ask(probe: Probe) -> Asked:
    """What everybody says of a probe."""
    stored, reading = posed(probe)
    return Asked(probe, stored, reading, {who: give(stored) for who, give in OTHERS.items()})


def proved(rows: list[Row]) -> list[Proof]:
    """What the quantization tests prove of the ops they consist of."""
    readings = [r.reading for r in rows if r.reading and r.test.op in QUANTIZED]
    return proofs([built for reading in readings for built in reading.steps])


if __name__ == "__main__":
    sys.exit(main())
