"""Inputs on which quantisers can be compared exactly, shared by their tests."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from refquant.quantizers.grid import KINDS, Grid


@st.composite
def dyadic_cases(draw, kinds=KINDS):
    """Rows on a lattice of eighths of a step, so that ties, n, p and p + 1/2 are frequent."""
    grid = Grid(draw(st.sampled_from(kinds)), draw(st.integers(2, 5)))
    zero = draw(st.integers(0, grid.code_max)) if grid.kind == "affine" else 0
    steps = draw(st.lists(st.integers(-3, 3).map(lambda e: 2.0**e), min_size=1, max_size=3))
    n, p = grid.limits(zero)
    eighths = st.integers(8 * (n - 2), 8 * (p + 2)) | st.sampled_from(
        [8 * n, 8 * p, 8 * p + 4, 8 * n - 4, 8 * p + 3, 8 * n - 3]
    )
    size = draw(st.integers(1, 6))
    rows = [[s * draw(eighths) / 8 for _ in range(size)] for s in steps]
    d_rows = [[draw(st.integers(-16, 16)) / 4 for _ in range(size)] for _ in steps]
    return grid, zero, steps, rows, d_rows


def fractions(rows):
    return [[Fraction(v) for v in row] for row in rows]


def arrays(steps, rows, dtype):
    return np.array(steps, dtype=dtype)[:, None], np.array(rows, dtype=dtype)
