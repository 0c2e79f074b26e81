"""Broadcast a column along short rows without copying it out.

An operand that is broadcast along rows which are shorter than NumPy's buffer (8,192 numbers) is
first expanded into the buffer: a product then takes almost three times as long as one with a
scalar. With a buffer shorter than the rows it is read where it lies: 1.9 times as long for rows of
512 numbers, 1.4 times for 2,048. Conversions of type, which always go through the buffer, take half
as long again. (In float32, in the cache: `python -m validation.bench_buffers`.)
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

SHORT = 256  # numbers


@contextmanager
def short_buffers() -> Iterator[None]:
    """Compute the `with` block, or the function it decorates, with buffers of `SHORT` numbers."""
    before = np.setbufsize(SHORT)
    try:
        yield
    finally:
        np.setbufsize(before)
