"""Integers at a new step: what lies between an accumulator and the next quantize node, in int32.

Reference: methods 17.4 and 17.5; Jacob et al., arXiv:1712.05877, appendix A.2 for the addition.

    operation            at step s, on integers v with real value s * v
    accumulator, codes   acc * (scale / s), by a fixed-point multiplier
    relu                 max(v, 0): the fused clip at z_y
    relu6                max(v, 0), then min(v, rint(6 / s)): the fused upper clip
    add                  v_1 + v_2 + ..., all at the same step
    concat               side by side
    max_pool, flatten, identity    unchanged

The quantize node asks for s = s_y * 2^-guard; guard > 0 where branches are added, so that their
roundings are small against the last one, which `shift_down` does. Without an addition guard = 0
and there is one requantization only.

Edge case: a channel of scale 0 is the constant rint(offset / s).
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from refquant._types import Array
from refquant.deploy.codes import Accumulator, Codes
from refquant.deploy.integer_windows import max_pool_integers
from refquant.deploy.requantize import (
    INT32_MAX,
    INT32_MIN,
    apply_multiplier,
    half_up_shift,
    quantize_multiplier,
    rounding_shift,
)
from refquant.layers.relu6 import CEILING
from refquant.network import Node


class Deferred(NamedTuple):
    """An operation that waits for a step, and its operands."""

    node: Node
    operands: tuple[Any, ...]


def rescale(value: Codes | Accumulator | Deferred, step: float, requantize: str) -> Array:
    """Return the int32 array v for which ``step * v`` is closest to `value`, up to rounding.

    Parameters
    ----------
    value : Codes, Accumulator or Deferred
        Accumulators with their integer bias.
    step : float
    requantize : {"double", "single"}
    """
    if isinstance(value, Deferred):
        operands = [rescale(operand, step, requantize) for operand in value.operands]
        return AT_STEP[value.node.op](value.node, operands, step)
    if isinstance(value, Codes):
        value = Accumulator(value.q, np.array(value.step), np.array(0.0))
    levels = apply_multiplier(value.total, quantize_multiplier(value.scale / step), requantize)
    # The constant is 0 except where the scale, and so the multiplier, is 0: no sum can overflow.
    constant = np.clip(np.rint(value.offset / step), INT32_MIN, INT32_MAX)
    return levels + constant.astype(np.int32)


def shift_down(levels: Array, guard: int, requantize: str) -> Array:
    """Return levels / 2^guard rounded as this form of requantization rounds; int32."""
    if requantize == "double":
        return rounding_shift(levels, guard)
    return half_up_shift(levels, guard).astype(np.int32)


def _relu(node: Node, levels: Sequence[Array], step: float) -> Array:
    return np.maximum(levels[0], 0)


def _relu6(node: Node, levels: Sequence[Array], step: float) -> Array:
    return np.clip(levels[0], 0, int(min(np.rint(CEILING / step), INT32_MAX)))


def _add(node: Node, levels: Sequence[Array], step: float) -> Array:
    total = levels[0]
    for other in levels[1:]:
        total = total + other
    return total


def _concat(node: Node, levels: Sequence[Array], step: float) -> Array:
    return np.concatenate(levels, axis=1)


def _max_pool(node: Node, levels: Sequence[Array], step: float) -> Array:
    return max_pool_integers(levels[0], node.attr("geometry"))


def _flatten(node: Node, levels: Sequence[Array], step: float) -> Array:
    return levels[0].reshape(len(levels[0]), prod(levels[0].shape[1:]))


def _identity(node: Node, levels: Sequence[Array], step: float) -> Array:
    return levels[0]


AT_STEP: Mapping[str, Callable[[Node, Sequence[Array], float], Array]] = {
    "relu": _relu,
    "relu6": _relu6,
    "add": _add,
    "concat": _concat,
    "max_pool": _max_pool,
    "flatten": _flatten,
    "identity": _identity,
}
