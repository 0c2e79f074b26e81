"""Run every workload and print one SHA-256 for each, as JSON.

    python -m oracle_tests.reproducibility.battery --mode pinned

The output is {"machine": {...}, "hashes": {"<workload> / <slices>": "<hex>"}}.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Iterable

import numpy as np

from oracle_tests.reproducibility.machine import describe
from oracle_tests.reproducibility.workloads import WORKLOADS
from refquant import numerics as nx
from refquant._types import Array


def digest(arrays: Array | Iterable[Array]) -> str:
    """Return the SHA-256 of dtypes, shapes and little-endian bytes in C order."""
    total = hashlib.sha256()
    for array in [arrays] if isinstance(arrays, np.ndarray | np.generic) else arrays:
        array = np.asarray(array)
        total.update(f"{array.dtype.name} {array.shape} ".encode())
        total.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


def hashes(mode: str) -> dict[str, str]:
    """Return the digest of every workload, in pinned for each of its slice counts."""
    found = {}
    for workload in WORKLOADS:
        for slices in workload.slices if mode == "pinned" else (None,):
            with nx.arithmetic(mode, slices):
                found[f"{workload.name} / {slices}"] = digest(workload.run())
    return found


def main() -> None:
    """Read the mode, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("pinned", "fast"), default="pinned")
    mode = parser.parse_args().mode
    if mode == "fast":  # NumPy warns about the infinities of the battery; pinned must not
        warnings.simplefilter("ignore")
    else:
        warnings.simplefilter("error")
    json.dump({"machine": describe(), "hashes": hashes(mode)}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
