"""Settings of the test run: the same examples on every machine, one BLAS thread.

Products here are small: on a busy machine the threads of BLAS would wait for each other most of
the time. `test_reproducibility` starts processes of its own with other settings.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before anything imports NumPy

from hypothesis import settings

settings.register_profile(
    "refquant", derandomize=True, deadline=None, database=None, max_examples=50
)
settings.load_profile("refquant")
