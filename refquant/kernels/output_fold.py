"""AdaQTransform's scale and shift inside the product before them: no pass over a map is theirs.

Definition: `refquant.quantizers.transform` behind `refquant.layers.product` (methods.md 15.1 and
15.2), where one xi and one eta serve a channel or a layer. As in deployment (AT eq. 9),

    y = xi (W x) + b + eta = W' x + b'        W' = xi W        b' = b + eta

and the gradients of W' and b', which a step needs anyway, hold all others:

    d_W = xi d_W'        d_xi = sum_rows W d_W'        d_b = d_eta = d_b'

    paper   here   shape                        meaning
    W       w      (c_out, ...)                 filter, soft or hard
    xi      xi     (c_out,) or ()               scale
    eta     eta    (c_out,), () or None         shift; None adds nothing
    b       bias   (c_out,) or None             bias of the layer
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array


class Transform(NamedTuple):
    """The output of one layer, as in the module's table."""

    w: Array
    xi: Array
    eta: Array | None
    bias: Array | None


def fold(layer: Transform) -> tuple[Array, Array]:
    """Return W' and b'."""
    w, xi, eta, bias = layer
    shift = np.zeros(len(w), w.dtype)
    for part in (bias, eta):
        if part is not None:
            shift = shift + part
    return np.asarray(_column(xi, w) * w), shift


def unfold(d_w: Array, d_shift: Array, layer: Transform) -> Transform:
    """Return the gradients of a layer, those of W' and b' given."""
    w, xi, eta, bias = layer
    by_channel = np.vecdot(w.reshape(len(w), -1), d_w.reshape(len(w), -1))
    d_xi = by_channel if xi.ndim else by_channel.sum(keepdims=True).reshape(())
    d_eta = d_shift if eta is None or eta.ndim else d_shift.sum(keepdims=True).reshape(())
    own = None if eta is None else d_eta
    return Transform(_column(xi, w) * d_w, d_xi, own, None if bias is None else d_shift)


def _column(xi: Array, w: Array) -> Array:
    """xi in the dtype of w, broadcasting to it."""
    return xi.astype(w.dtype, copy=False).reshape(-1, *(1,) * (w.ndim - 1))
