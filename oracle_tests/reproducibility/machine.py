"""What this interpreter computes with, and which other configurations this machine can run.

Nothing is assumed: the BLAS kernel and thread count are asked from the OpenBLAS library that
NumPy has loaded, the CPU features from NumPy, the CPU's own flags from the kernel.
"""

import ctypes
import platform
from pathlib import Path

import numpy as np

# OPENBLAS_CORETYPE -> flags of /proc/cpuinfo its kernels need
X86_KERNELS = {
    "Prescott": {"pni"},
    "Core2": {"ssse3"},
    "Nehalem": {"sse4_2"},
    "Sandybridge": {"avx"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
    "Cooperlake": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd", "avx512_bf16"},
}
ARM_KERNELS = {"ARMV8": {"asimd"}, "CORTEXA57": {"asimd"}, "NEOVERSEN1": {"asimd", "asimddp"}}


def describe() -> dict[str, object]:
    """Return NumPy's version, its active dispatch features, and its BLAS."""
    return {"numpy": np.__version__, "features": active_features(), **_openblas()}


def active_features() -> list[str]:
    """Return the CPU features that NumPy dispatches on and that are on."""
    from numpy._core import _multiarray_umath as umath

    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]


def kernels() -> list[str]:
    """Return the OpenBLAS kernels this CPU has every instruction for, plainest first."""
    flags = _flags()
    table = ARM_KERNELS if platform.machine() in ("aarch64", "arm64") else X86_KERNELS
    return [name for name, needed in table.items() if needed <= flags]


def _flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def _openblas() -> dict[str, object]:
    """Return kernel and threads of the OpenBLAS in NumPy's wheel, or None for both."""
    site = Path(np.__file__).parent
    for folder in (site.parent / "numpy.libs", site / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
                name = getattr(library, f"{prefix}openblas_get_corename{suffix}", None)
                threads = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
                if name is not None and threads is not None:
                    name.restype = ctypes.c_char_p
                    return {"kernel": name().decode(), "threads": int(threads())}
    return {"kernel": None, "threads": None}
