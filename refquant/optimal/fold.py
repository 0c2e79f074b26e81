"""Folding for inference: everything that follows an integer product as one scale and one offset.

Reference: AdaQTransform, equation 9; methods, section 15.3 (P42).

    paper    here   shape          meaning
    xi, eta  same   (c,) or ()     output transform
    s_w, s_x same   (c,) or (), () steps that dequantise weight and activation levels
    b        bias   (c,) or None   bias, not scaled by xi
    st       st     (c,)           xi s_w s_x, multiplied from left to right
    bt       bt     (c,)           b + eta

    xi (s_w w_int)(s_x x_int) + b + eta = st (w_int x_int) + bt

Exact in real numbers. In floats two roundings make st and one makes bt, where the unfolded form
rounds each product of the sum: they agree to a few ulp of the largest term. The deployed layer
stores two numbers a channel, with the transform and without it.

Edge cases: a transform per pixel is refused, as it cannot ride on a requantisation per channel.
xi <= 0 is allowed (decision D33) but warned of: fixed-point epilogues want a positive scale.
Not modelled: fixed point; that is the business of `refquant.deploy`, whose float epilogue folds by
the same function.
"""

import warnings
from typing import NamedTuple

import numpy as np

from refquant._checks import check_array, check_finite, check_positive, complaint
from refquant._types import Array
from refquant.quantizers.transform import fold_output


class FoldedTransform(NamedTuple):
    """Scale and offset of the integer product, (c,) float64 each."""

    st: Array
    bt: Array


def fold_transform(
    xi: Array, eta: Array, s_w: Array, s_x: Array, bias: Array | None = None
) -> FoldedTransform:
    """st = xi s_w s_x and bt = b + eta, AT eq. 9.

    Parameters
    ----------
    xi, eta : (c,) or () array, float32 or float64
        Output transform per channel or per layer, finite.
    s_w : (c,) or () array
        Dequantisation step of the weights, positive. Steps of shape (c, 1, 1, 1): flatten them.
    s_x : () array
        Dequantisation step of the activations, positive.
    bias : (c,) array or None
        None counts as zero.

    Returns
    -------
    FoldedTransform
        float64, computed in float64; (1,) if every argument is one number.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a floating array, shapes do not fit, a step is not positive, or
        an entry is not finite.

    Warns
    -----
    UserWarning
        If an entry of xi is not positive.
    """
    given = {"xi": xi, "eta": eta, "s_w": s_w, "s_x": s_x}
    given |= {} if bias is None else {"bias": bias}
    channels = _channels(given)
    for name in ("s_w", "s_x"):
        check_positive("fold_transform", name, given[name])
    if found := sign_warning(xi):
        warnings.warn(f"fold_transform(): {found}", stacklevel=2)
    wide = {k: np.broadcast_to(v.astype(np.float64), (channels,)) for k, v in given.items()}
    step = float(s_x.astype(np.float64))
    folded = fold_output(wide["s_w"], step, wide.get("bias"), wide["xi"], wide["eta"])
    return FoldedTransform(*folded)


def sign_warning(xi: Array) -> str:
    """Return what a warning says of the first entry that is not positive; "" if all are (D33)."""
    flat = xi.reshape(-1)
    if (flat > 0.0).all():
        return ""
    where = int(np.argmax(flat <= 0.0))
    channel = where // max(1, flat.size // len(np.atleast_1d(xi)))
    value = f"xi is {flat[where]} at channel {channel}"
    return f"{value}; a fixed-point epilogue needs a positive scale."


def _channels(given: dict[str, Array]) -> int:
    """The number of channels, after checking dtypes, shapes and finiteness."""
    sizes = set()
    for name, value in given.items():
        check_array("fold_transform", name, value)
        most = 0 if name == "s_x" else 1
        if value.ndim > most or value.size == 0:
            expected = "()" if name == "s_x" else "(c,) or ()"
            fix = "A transform per pixel cannot be folded." if value.ndim > 1 else ""
            got = f"of shape {value.shape}"
            raise ValueError(complaint("fold_transform", name, got, expected, fix))
        check_finite("fold_transform", name, value)
        sizes |= set(value.shape)
    if len(sizes) > 1:
        got = ", ".join(f"{name} {value.shape}" for name, value in given.items())
        message = complaint("fold_transform", "shapes", got, "one number of channels")
        raise ValueError(message)
    return sizes.pop() if sizes else 1
