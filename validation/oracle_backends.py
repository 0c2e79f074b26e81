"""Write validation/oracle-backends.md: libraries in wide use, held against the oracle.

    python -m validation.oracle_backends      (those of torch, jax, onnxruntime that are installed)
    python -m validation.oracle_backends --compiled            (and PyTorch compiled by inductor)

Inductor compiles C++ for every kind of inputs, seconds of a core for each: it is asked for apart,
in the smoke tier and in float32. All are backends like anybody's. What they give never becomes a
golden; where they differ from the specification, a TOML file says why, and an entry that explains
nothing any more is an error.
"""

import importlib.util
import sys
from pathlib import Path

from refquant import oracle
from refquant.oracle.expected import Expected, read_expected
from refquant.oracle.report import Report

HERE = Path(__file__).parent
REPORT = HERE / "oracle-backends.md"
BACKENDS = (  # adapter, files of known differences, tier
    ("backends.torch_backend:Eager64", ("backends/torch", "backends/torch64"), "full"),
    ("backends.torch_backend:Eager32", ("backends/torch",), "full"),
    ("backends.torch_kernels:PyTorch", ("backends/torch_kernels",), "full"),
    ("backends.jax_backend:Jax64", ("backends/jax", "backends/jax64"), "quick"),
    ("backends.jax_backend:Jax32", ("backends/jax", "backends/jax32"), "quick"),
    ("backends.onnxruntime_backend:OnnxRuntime", ("backends/onnxruntime",), "full"),
)
COMPILED = ("backends.torch_backend:Compiled32", ("backends/torch_compiled",), "smoke")
HEAD = """# Libraries before the oracle

By `python -m validation.oracle_backends`; a tier is a share of the corpus. Cases that
a library has no function for are not counted. Goldens never come from here.
ONNX's own node tests are in [onnx-goldens.md](onnx-goldens.md), kernels on a GPU in
[oracle-cuda.md](oracle-cuda.md).

| backend | tier | cases | ops | failures | known differences |
| --- | --- | --- | --- | --- | --- |
"""


def verified(
    adapter: str, files: tuple[str, ...], tier: str, ops: str = "*"
) -> tuple[Report, Expected]:
    """The report of one adapter, and what was known before."""
    paths = [HERE / f"{name}.toml" for name in files]
    known = Expected(tuple(entry for path in paths for entry in read_expected(path).entries))
    return oracle.verify(f"validation.{adapter}", tier, ops, xfails=known), known


def row(report: Report) -> str:
    """A line of the table."""
    ops = sum(count.ran > 0 for count in report.coverage.values())
    counts = f"{report.ran} | {ops} | {len(report.failures)} | {len(report.known)}"
    return f"| {report.backend} | {report.tier} | {counts} |"


def findings(report: Report, known: Expected) -> list[str]:
    """What differs, with the reason, or else the diagnosis."""
    met = {failure.where for failure in report.known}
    lines = [f"- `{case}`: {reason}" for case, reason in known.entries if case in met]
    told = {f.op: f.diagnosis.text for f in report.failures}
    for op, text in told.items():
        wrong = sum(f.op == op for f in report.failures)
        lines.append(f"- **{op}**, {wrong} of {report.coverage[op].ran} cases: {text}")
    lines += [f"- stale: `{pattern}`" for pattern in report.stale]
    return [f"## {report.backend}", "", *lines, ""] if lines else []


def main() -> int:
    """Write the page; 1 if anything failed that is not known."""
    rows, parts, failed = [], [], False
    chosen = (*BACKENDS, COMPILED) if "--compiled" in sys.argv[1:] else BACKENDS
    for adapter, *how in chosen:
        package = adapter.partition(".")[2].partition("_")[0]
        if importlib.util.find_spec(package) is None:
            rows.append(f"| {adapter} | not run: no {package} here | | | | |")
            continue
        report, known = verified(adapter, *how)
        rows.append(row(report))
        parts += findings(report, known)
        failed = failed or bool(report.failures or report.stale)
        print(rows[-1], flush=True)
    REPORT.write_text(HEAD + "\n".join([*rows, "", *parts]).rstrip() + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
