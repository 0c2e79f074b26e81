"""Uniform quantisation: codes, and quantise-dequantise with its straight-through gradients.

References: methods, sections 1.2, 1.3 and 2.1; Esser et al., "Learned Step Size
Quantization", ICLR 2020, arXiv:1902.08153, equation 3, for the gradient of the step.

    paper   here         shape           meaning
    x       x            any             value to be quantised
    s       step         see QParams     distance of two levels, units of x
    u       u            like x          x / s
    r       r            like x          round(u)
    q       q            like x          clip(r, n, p): level in u-space
    n, p    low, high    like step       code_min - zero_point, code_max - zero_point
    M       inside       like x          clip mask, bool
    --      codes        like x          q + zero_point, int64
    y       y            like x          x_hat = s * q, units of x
    G_y     d_y          like x          dL/dy

Forward   y = s q = s clip(round(x / s), n, p)
Backward  d_x = d_y M          d_s = c sum d_y (q - M u)          c = grad_scale

The rounding residual round(u) - u and the mask are constants of the gradient
(straight-through). The zero point is added after rounding: with half-even,
rint(u) + z and rint(u + z) differ at ties when z is odd.

Kinks, both inclusive (decision D2):

    mask         inside where        u in (p, p + 1/2)   seen in
    rounded      n <= r <= p         inside              BRECQ, QDrop, MQBench, PPQ
    unrounded    n <= u <= p         outside             AdaQuant (clamp, then round)

Under "rounded" u = p + 1/2 is inside where the rounding sends it down: under rint only if p
is even, and p of a symmetric grid is odd.

Edge cases: NaN takes the zero point (y = 0), the infinities and an overflowing x / s the ends
of the range. None of these passes a gradient to x, and NaN none to the step. The clip comes
before the cast to integers. y is never -0.0. The step is taken in the dtype of x.

Differs from: LSQ states its mask with strict inequalities, n < u < p; only u exactly at n or
p sees the difference.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_in, check_shape, complaint
from refquant._types import Array
from refquant.quantizers.grid import QParams
from refquant.quantizers.levels import (
    check_broadcast,
    check_grad_scale,
    clip_levels,
    limits_for,
    ratio,
    step_for,
    step_slope,
    sum_to_shape,
    within,
)
from refquant.quantizers.rounding import round_to

MASKS = ("rounded", "unrounded")


class FakeQuantCache(NamedTuple):
    """What `fake_quant_forward` leaves for the gradient; shapes as in the module's table."""

    u: Array
    q: Array
    inside: Array
    step: Array
    grad_scale: float


class FakeQuantGrads(NamedTuple):
    """dL/dx, like x, and dL/ds, like the step (times the gradient scale)."""

    x: Array
    s: Array


def quantize(x: Array, qparams: QParams, rounding: str = "rint") -> Array:
    """Integer codes of x, methods 2.1: clip(round(x / s), n, p) + zero_point.

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    qparams : QParams
        Step, zero point and grid; the step broadcasts to `x`.
    rounding : str
        A mode of `round_to`.

    Returns
    -------
    Array
        int64, like `x`, in [code_min, code_max]. NaN gives the zero point, the infinities
        the ends.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a floating array, the step does not broadcast to it or is not a normal
        number in its dtype, or the mode is unknown.
    """
    u = ratio(x, step_for("quantize", x, qparams.step))
    q = clip_levels(round_to(u, rounding), *limits_for(x, qparams))
    return np.asarray(q.astype(np.int64) + qparams.zero_point)


def dequantize(codes: Array, qparams: QParams) -> Array:
    """Real values of integer codes: s * (codes - zero_point).

    Parameters
    ----------
    codes : Array
        Integers in [code_min, code_max], any integer dtype.
    qparams : QParams
        Step, zero point and grid; the step broadcasts to `codes`.

    Returns
    -------
    Array
        Like `codes`, in the dtype of the step.

    Raises
    ------
    TypeError, ValueError
        If `codes` are not integers or leave the range of the grid.
    """
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        got = getattr(codes, "dtype", type(codes).__name__)
        raise TypeError(complaint("dequantize", "codes", got, "an array of integers"))
    grid = qparams.grid
    if codes.size and (codes.min() < grid.code_min or codes.max() > grid.code_max):
        got = f"in {codes.min()}..{codes.max()}"
        expected = f"in {grid.code_min}..{grid.code_max} ({grid.kind}, {grid.bits} bits)"
        raise ValueError(complaint("dequantize", "codes", got, expected))
    check_broadcast("dequantize", qparams.step.shape, "codes", codes.shape)
    q = codes.astype(np.int64) - qparams.zero_point
    return np.asarray(qparams.step * q.astype(qparams.step.dtype))


def fake_quant_forward(
    x: Array,
    qparams: QParams,
    rounding: str = "rint",
    mask: str = "rounded",
    grad_scale: float = 1.0,
) -> tuple[Array, FakeQuantCache]:
    """Quantise and dequantise, methods 2.1: y = s clip(round(x / s), n, p).

    Parameters
    ----------
    x : Array
        float32 or float64, any shape.
    qparams : QParams
        Step, zero point and grid; the step broadcasts to `x`.
    rounding : str
        A mode of `round_to`.
    mask : {"rounded", "unrounded"}
        Which elements count as not clipped, for the backward pass only.
    grad_scale : float
        Factor of the step's gradient, see `lsq_grad_scale`.

    Returns
    -------
    y : Array
        Like `x`; equals ``dequantize(quantize(x))`` bit for bit when step and x agree in dtype.
    cache : FakeQuantCache
        For `fake_quant_backward`.

    Raises
    ------
    TypeError, ValueError
        As `quantize`; also if `mask` is unknown or `grad_scale` not finite.
    """
    check_in("fake_quant_forward", "mask", mask, MASKS)
    scale = check_grad_scale("fake_quant_forward", grad_scale)
    step = step_for("fake_quant_forward", x, qparams.step)
    low, high = limits_for(x, qparams)
    u = ratio(x, step)
    r = round_to(u, rounding)
    q = clip_levels(r, low, high)
    inside = within(r if mask == "rounded" else u, low, high)
    return np.asarray(step * q), FakeQuantCache(u, q, inside, step, scale)


def fake_quant_backward(d_y: Array, cache: FakeQuantCache) -> FakeQuantGrads:
    """d_x = d_y M and d_s = c sum d_y (q - M u), methods 2.1.

    Parameters
    ----------
    d_y : Array
        dL/dy, like x.
    cache : FakeQuantCache
        From `fake_quant_forward`.

    Returns
    -------
    FakeQuantGrads
        .x like x; .s like the step, summed over the elements that share a step.

    Raises
    ------
    TypeError, ValueError
        If `d_y` is not a floating array of the shape of x.
    """
    check_array("fake_quant_backward", "d_y", d_y)
    check_shape("fake_quant_backward", "d_y", d_y, cache.u.shape)
    d_x = nx.masked(d_y, cache.inside)
    d_s = sum_to_shape(d_y * step_slope(cache.q, cache.u, cache.inside), cache.step.shape)
    return FakeQuantGrads(d_x, np.asarray(d_s * cache.grad_scale))
