"""Freed memory is kept: arrays of a size that was returned to the system fault no more."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from refquant.kernels.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(1_000_000)
print(faults())
"""


def faults(which):
    run = subprocess.run(
        [sys.executable, "-c", CODE, which], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the GNU C library")
def test_arrays_are_reused():
    """Twenty arrays of 8 MB, each of which would be mapped anew."""
    assert faults("kept") < faults("not") / 4
