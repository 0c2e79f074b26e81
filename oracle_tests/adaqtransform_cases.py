"""Inputs shared by the tests of AdaQTransform."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rectified_sigmoid import LN11

# h is exactly 0, 1/2, 1 there.
H_OF = {-50.0: Fraction(0), 0.0: Fraction(1, 2), 50.0: Fraction(1), -LN11: Fraction(0)}


@st.composite
def weight_cases(draw):
    """Weights on eighths of power-of-two steps past both ends, decided or half-way alphas."""
    kind = draw(st.sampled_from(["signed", "narrow", "affine"]))
    grid = Grid(kind, draw(st.integers(2, 4)))
    rows = draw(st.integers(1, 2))
    zeros = [draw(st.integers(0, grid.code_max)) if kind == "affine" else 0 for _ in range(rows)]
    s_w = [2.0 ** draw(st.integers(-2, 2)) for _ in range(rows)]
    s_d = [draw(st.integers(1, 40)) / 8 for _ in range(rows)]
    size = draw(st.integers(1, 4))
    spots = [[draw(st.integers(8 * (grid.code_min - z - 2), 8 * (grid.code_max - z + 2)))
              for _ in range(size)] for z in zeros]  # fmt: skip
    w = [[s * v / 8 for v in row] for s, row in zip(s_w, spots, strict=True)]
    alpha = [[draw(st.sampled_from(list(H_OF))) for _ in range(size)] for _ in range(rows)]
    d = [[draw(st.integers(-16, 16)) / 4 for _ in range(size)] for _ in range(rows)]
    return grid, zeros, s_w, s_d, w, alpha, d


def random_weights(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    s_w = rng.uniform(0.05, 0.2, (3, 1)).astype(dtype)
    w = (s_w * rng.uniform(-10.0, 9.5, (3, 8))).astype(dtype)
    alpha = rng.normal(0.0, 1.5, w.shape).astype(dtype)
    s_d = (s_w * rng.uniform(0.8, 1.2, s_w.shape)).astype(dtype)
    return rng, w, alpha, make_qparams(s_w, 0, Grid("signed", 4)), s_d
