"""Which implementation of AQuant's quantizer runs: the definition, or its kernel.

Pinned arithmetic computes `refquant.quantizers.aquant`, fast arithmetic `refquant.kernels.border`
where it knows the options and the input is finite. Both, and the codes that are deployed, decide
alike within one arithmetic. Gradients come as {parameter: array}, ``s_x`` for the step.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.border import BorderGrads, border_backward, border_forward
from refquant.kernels.border_rule import BorderRule, covers
from refquant.quantizers.aquant import (
    AQuantCache,
    aquant_backward,
    aquant_codes,
    aquant_forward,
)
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import step_for


def run_border(
    x: Array, qparams: QParams, border: BorderParams, options: BorderOptions, a: float
) -> tuple[Array, Any]:
    """Return x_hat and a cache; as `aquant_forward`."""
    rule = border_rule(x, qparams, border, options, a)
    found = None if rule is None else border_forward(x, rule)
    if found is None:
        return aquant_forward(x, qparams, border, options, a)
    x_hat, cache = found
    return x_hat, (rule, cache)


def border_rule(
    x: Array, qparams: QParams, border: BorderParams, options: BorderOptions, a: float
) -> BorderRule | None:
    """Return what the kernel reads for values like `x`; None where the definition runs."""
    if not _by_kernel(options):
        return None
    step = float(step_for("border_forward", x, qparams.step))
    ends = (float(end) for end in qparams.grid.limits(qparams.zero_point))
    coefficients = (None if b is None else b.tobytes() for b in border)
    return _rule((step, *ends, a), options, border.b0.dtype, border.b0.shape, *coefficients)


@lru_cache(maxsize=64)  # the quantizers of a unit: a step asks again for every few of its images
def _rule(
    numbers: tuple[float, ...],
    options: BorderOptions,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *coefficients: bytes | None,
) -> BorderRule:
    """Return the rule of these values; what it makes ready is kept with it."""
    step, low, high, a = numbers
    found = [None if b is None else np.frombuffer(b, dtype).reshape(shape) for b in coefficients]
    return BorderRule(step, low, high, a, BorderParams(*found), options)  # type: ignore[arg-type]


def border_codes(x: Array, qparams: QParams, border: BorderParams, options: BorderOptions) -> Array:
    """Return the int64 codes of `run_border` at a = 1."""
    if not _by_kernel(options):
        return aquant_codes(x, qparams, border, options)
    x_hat, cache = run_border(x, qparams, border, options, 1.0)
    if isinstance(cache, AQuantCache):
        return aquant_codes(x, qparams, border, options)
    levels = np.rint(x_hat / step_for("border_forward", x, qparams.step))
    return np.asarray(levels.astype(np.int64) + qparams.zero_point.reshape(()))


def pull_border(d_x_hat: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
    """Return dL/dx and the gradients of step and border."""
    if isinstance(cache, AQuantCache):
        grads = aquant_backward(d_x_hat, cache)
        return grads.x, {"s_x": grads.s, **present(grads.border)}
    found = border_backward(d_x_hat, cache[1], cache[0])
    return np.asarray(found.x), named(found, d_x_hat)


def pull_border_params(d_x_hat: Array, cache: Any) -> dict[str, Array]:
    """Return the gradients of step and border alone."""
    if isinstance(cache, AQuantCache):
        return pull_border(d_x_hat, cache)[1]
    return named(border_backward(d_x_hat, cache[1], cache[0], wanted=False), d_x_hat)


def present(border: BorderParams) -> dict[str, Array]:
    """Return the parameters there are, by name."""
    return {name: value for name, value in border._asdict().items() if value is not None}


def _by_kernel(options: BorderOptions) -> bool:
    return nx.current().mode == "fast" and covers(options)


def named(found: BorderGrads, like: Array) -> dict[str, Array]:
    """Return the gradients of step and border by name, in the dtype of `like`."""
    return {"s_x": np.asarray(found.s, like.dtype), **present(found.params)}
