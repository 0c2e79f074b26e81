"""AQuant's quantizer by the kernel of its levels: x_hat = s t, with t the levels of u = x / s.

Definition: `refquant.quantizers.aquant` (methods.md 13.3, 13.4).

    d_t = s d_x_hat      d_x = d_u / s      d_s = (sum d_t t - sum u d_u) / s

`refquant.kernels.border_product` is the same with a product behind it.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.kernels.border_levels import (
    BorderCache,
    as_map,
    as_rows,
    levels_backward,
    levels_forward,
)
from refquant.kernels.border_rule import BorderRule, ends_of
from refquant.quantizers.border import BorderParams


class BorderGrads(NamedTuple):
    """dL/dx, None if nobody wants it; dL/ds; those of the border, each (c, k)."""

    x: Array | None
    s: float
    params: BorderParams


def border_forward(x: Array, rule: BorderRule) -> tuple[Array, BorderCache] | None:
    """Return ``s t`` with the t of `levels_forward` for x / s; as that one."""
    with np.errstate(over="ignore"):  # what is not finite is found there
        u = np.divide(x, rule.step)
    found = levels_forward(u, rule, ends_of(u))
    return None if found is None else (np.multiply(found[0], rule.step), found[1])


def border_backward(
    d_x_hat: Array, cache: BorderCache, rule: BorderRule, wanted: bool = True
) -> BorderGrads:
    """Return the gradients of methods.md 13.4, of x, s and border; as `levels_backward`."""
    d_t = np.array(as_rows(d_x_hat))  # a copy, divided by s
    d_s = float(np.vdot(d_t, cache.levels))
    d_x, moment, params = levels_backward(
        as_map(d_t, d_x_hat.shape), cache, rule, wanted, rule.step
    )
    return BorderGrads(d_x, d_s - moment, params)
