"""Write validation/oracle-backends.md: libraries in wide use, held against the oracle.

    python -m validation.oracle_backends      (those of torch, jax, onnxruntime that are installed)

They are backends like anybody's. What they give never becomes a golden; where they differ from the
specification, a TOML file says why, and an entry that explains nothing any more is an error.
"""

import importlib.util
import sys
from pathlib import Path

from refquant import oracle
from refquant.oracle.expected import Expected, read_expected
from refquant.oracle.report import Report

HERE = Path(__file__).parent
REPORT = HERE / "oracle-backends.md"
BACKENDS = (  # package, adapter, files of known differences
    ("torch", "torch_backend:Eager64", ("torch", "torch64")),
    ("torch", "torch_backend:Eager32", ("torch", "torch32")),
    ("torch", "torch_kernels:PyTorch", ("torch_kernels",)),
    ("jax", "jax_backend:Jax64", ("jax64",)),
    ("jax", "jax_backend:Jax32", ("jax32",)),
    ("onnxruntime", "onnxruntime_backend:OnnxRuntime", ("onnxruntime",)),
)
HEAD = """# Libraries before the oracle

By `python -m validation.oracle_backends`, in the full tier. Cases
that a library has no function for are not counted. Goldens never come from here.
ONNX's own node tests are in [onnx-goldens.md](onnx-goldens.md).

| backend | cases | ops | failures | known differences |
| --- | --- | --- | --- | --- |
"""


def verified(adapter: str, files: tuple[str, ...]) -> tuple[Report, Expected]:
    """The report of one adapter, and what was known before."""
    paths = [HERE / "backends" / f"{name}.toml" for name in files]
    known = Expected(tuple(entry for path in paths for entry in read_expected(path).entries))
    return oracle.verify(f"validation.backends.{adapter}", "full", xfails=known), known


def row(report: Report) -> str:
    """A line of the table."""
    ops = sum(count.ran > 0 for count in report.coverage.values())
    counts = f"{report.ran} | {ops} | {len(report.failures)} | {len(report.known)}"
    return f"| {report.backend} | {counts} |"


def findings(report: Report, known: Expected) -> list[str]:
    """What differs, with the reason, or else the diagnosis."""
    lines = [f"- `{case}`: {reason}" for case, reason in known.entries]
    told = {f.op: f.diagnosis.text for f in report.failures}
    for op, text in told.items():
        wrong = sum(f.op == op for f in report.failures)
        lines.append(f"- **{op}**, {wrong} of {report.coverage[op].ran} cases: {text}")
    lines += [f"- stale: `{pattern}`" for pattern in report.stale]
    return [f"## {report.backend}", "", *lines, ""] if lines else []


def main() -> int:
    """Write the page; 1 if anything failed that is not known."""
    rows, parts, failed = [], [], False
    for package, adapter, files in BACKENDS:
        if importlib.util.find_spec(package) is None:
            rows.append(f"| {adapter} | not run: no {package} here | | | |")
            continue
        report, known = verified(adapter, files)
        rows.append(row(report))
        parts += findings(report, known)
        failed = failed or bool(report.failures or report.stale)
        print(rows[-1], flush=True)
    REPORT.write_text(HEAD + "\n".join([*rows, "", *parts]).rstrip() + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
