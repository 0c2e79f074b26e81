"""Write validation/oracle-cuda.md: kernels on an NVIDIA GPU, held against the oracle.

    python -m validation.oracle_cuda         (needs a GPU, CuPy, Triton, PyTorch and JAX for it)

Each backend has a process of its own, since compilers take most of the time. What differs and is
not known in a TOML file fails the run, as in `oracle_backends`.
"""

import hashlib
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from refquant.oracle.corpus import manifest as frozen
from refquant.oracle.freeze import text_of
from refquant.oracle.report import Report
from validation.oracle_backends import findings, row, verified

REPORT = Path(__file__).parent / "oracle-cuda.md"
PARTS = "fake_quant*", "lsqplus*,round*,rect*", "border*,aquant_quant*", "adaround_w*,adaqt*"
BACKENDS = (  # adapter, files of known differences, tier, ops
    ("cuda.cupy_backend:Cuda64", (), "full", "*"),
    ("cuda.cupy_backend:Cuda32", (), "full", "*"),
    ("cuda.cupy_backend:Unfused", (), "full", "*"),
    ("cuda.cupy_backend:FastMath", (), "full", "*"),
    ("cuda.triton_backend:Ieee", (), "full", "*"),
    ("cuda.triton_backend:Slash", (), "full", "*"),
    ("cuda.triton_backend:Tf32", (), "full", "*"),
    ("cuda.triton_backend:Float16", (), "full", "*"),
    ("cuda.triton_backend:Bfloat16", (), "full", "*"),
    ("cuda.torch_cuda:Kernels", ("cuda/torch_kernels",), "full", "*"),
    ("cuda.torch_cuda:Cuda64", ("backends/torch", "backends/torch64"), "full", "*"),
    ("cuda.torch_cuda:Cuda32", ("backends/torch", "cuda/torch32"), "full", "*"),
    ("cuda.torch_cuda:Tf32", ("cuda/torch_tf32",), "full", "*"),
    *(("cuda.torch_cuda:Compiled32", ("backends/torch_compiled",), "smoke", ops) for ops in PARTS),
    ("cuda.jax_cuda:Cuda64", ("cuda/jax64",), "smoke", "*"),
    ("cuda.jax_cuda:Cuda32", ("cuda/jax32",), "smoke", "*"),
)
HEAD = """# Kernels on a GPU before the oracle

By `python -m validation.oracle_cuda` on {device}, on the corpus of
{cases:,} cases whose manifest has the SHA-256 {sha}...; a tier is a share of it. Cases that
a backend has no kernel for are not counted; inductor was given the ops that are named.
CUDA C++ stands in [cuda/kernels.cu](cuda/kernels.cu), Triton in
[cuda/triton_kernels.py](cuda/triton_kernels.py). Narrow formats of tensor cores are held to
products of inputs in the tiers that they represent, not to ops that multiply what they computed.

| backend | tier | cases | ops | failures | known differences |
| --- | --- | --- | --- | --- | --- |
"""
SIZES = """## What small cases cannot show

Libraries choose kernels by size, and goldens are small. Unless told otherwise PyTorch convolves
and JAX multiplies in TF32, but not at every size: a backend that passes here with small cases may
still round to 11 bits with large ones. The largest error of one float32 result, relative to the
largest value:

| | in full precision | as it comes |
| --- | --- | --- |
"""
MAPS = ((1, 3, 5), (8, 64, 56))  # images, channels, rows and columns


def sizes() -> list[str]:
    """What one convolution and one product are off by, without TF32 and as the library has it."""
    import jax
    import torch

    draw = np.random.default_rng(0).normal
    lines = []
    for n, c, edge in MAPS:
        x, w = torch.tensor(draw(size=(n, c, edge, edge))), torch.tensor(draw(size=(c, c, 3, 3)))
        exact, found = torch.nn.functional.conv2d(x, w), []
        for torch.backends.cudnn.allow_tf32 in (False, True):
            y = torch.nn.functional.conv2d(x.float().cuda(), w.float().cuda()).cpu()
            found.append(float((y - exact).abs().max() / exact.abs().max()))
        lines.append(f"| PyTorch, 3x3 on {n}x{c}x{edge}x{edge} | {found[0]:.1e} | {found[1]:.1e} |")
    for n in (4, 64):
        a, b = draw(size=(n, 4 * n)).astype(np.float32), draw(size=(4 * n, n)).astype(np.float32)
        exact, found = a.astype(np.float64) @ b, []
        for precision in ("highest", None):
            with jax.default_matmul_precision(precision):
                y = np.asarray(jax.numpy.asarray(a) @ jax.numpy.asarray(b))
            found.append(float(abs(y - exact).max() / abs(exact).max()))
        lines.append(f"| JAX, {n}x{4 * n} by {4 * n}x{n} | {found[0]:.1e} | {found[1]:.1e} |")
    return lines


def digest() -> str:
    """Twelve digits of the SHA-256 of the manifest: which corpus it was."""
    return hashlib.sha256(text_of(frozen())).hexdigest()[:12]


def named(report: Report, ops: str) -> str:
    """A line of the table, with the ops where they were chosen."""
    return row(report).replace(" |", f": {ops.replace('*', '')} |" if ops != "*" else " |", 1)


def main() -> int:
    """Write the page; 1 if anything failed that is not known."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the processes share one GPU
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    device = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    rows, parts, failed = [], [], False
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=spawn) as pool:
        measured = pool.submit(sizes)
        reports = pool.map(verified, *zip(*BACKENDS, strict=True))
        for (*_, ops), (report, known) in zip(BACKENDS, reports, strict=True):
            rows.append(named(report, ops))
            parts += findings(report, known)
            failed = failed or bool(report.failures or report.stale)
            print(rows[-1], flush=True)
        small = [SIZES + "\n".join(measured.result()), ""]
    head = HEAD.format(device=f"one {device}", cases=frozen()["floor"]["full"], sha=digest())
    page = head + "\n".join([*rows, "", *parts, *small])
    REPORT.write_text(page, encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
