"""Broadcast a column along short rows at the speed of a scalar.

An operand that is broadcast along rows which are shorter than NumPy's buffer (8,192 numbers) is
first expanded into the buffer, which doubles the time of a product or a sum. With a buffer shorter
than the rows it is read where it lies. Conversions of type, which always go through the buffer,
take a fifth to a third longer.
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
