"""Folding, fits, batch norms and bias correction in plain NumPy."""

import math
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def bias_of(inputs: Inputs, like: Array) -> Array:
    """The bias, or zeros."""
    return inputs.get("bias", np.zeros_like(like))


def _fold(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    xi, eta, s_w, s_x = (inputs[name] for name in ("xi", "eta", "s_w", "s_x"))
    return {"st": part.scale(xi, s_w, s_x), "bt": part.offset(bias_of(inputs, eta), eta, xi)}


FOLD = Plain(
    _fold,
    {
        "scale": lambda xi, s_w, s_x: xi * s_w * s_x,
        "offset": lambda bias, eta, xi: bias + eta,
    },
)
AXES = {"channel": (0, 2), "layer": (0, 1, 2), "pixel": (0,)}


def means(t: Array, axes: tuple[int, ...]) -> Array:
    """Means that keep their axes."""
    return np.asarray(t.mean(axis=axes, keepdims=True))


def _ols(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    y, y0, kind = inputs["y"], inputs["y0"], attrs["granularity"]
    axes = part.axes(kind)
    target = part.target(y, bias_of(inputs, y[0, :, 0])[None, :, None])
    middles = means(target, axes), means(y0, axes)
    t, p = target - part.centre(middles[0]), y0 - part.centre(middles[1])
    variance = part.variance(means(p * p, axes), p, t, axes)
    flat = part.flat(y0.min(axis=axes, keepdims=True) == y0.max(axis=axes, keepdims=True))
    with np.errstate(all="ignore"):
        slope = part.slope(means(t * p, axes), variance, means(t * t, axes))
    xi = np.where(flat, part.if_flat, slope).astype(y.dtype)
    eta = part.eta(middles[0], xi, middles[1])
    mse = part.mse(target - xi * y0 - eta, axes)
    shape = {"channel": y.shape[1:2], "layer": (), "pixel": y.shape[1:]}[kind]
    size = math.prod(shape)  # a wrong choice of axes may leave more
    found = {"xi": xi, "eta": eta, "mse": mse}
    return {name: v.ravel()[:size].reshape(shape) for name, v in found.items()}


OLS = Plain(
    _ols,
    {
        "axes": AXES.__getitem__,
        "target": lambda y, bias: y - bias,
        "centre": lambda mean: mean,
        "variance": lambda variance, p, t, axes: variance,
        "slope": lambda covariance, variance, of_target: covariance / variance,
        "flat": lambda same: same,
        "if_flat": 1,
        "eta": lambda t_mean, xi, p_mean: t_mean - xi * p_mean,
        "mse": lambda error, axes: (error * error).mean(axis=axes, keepdims=True),
    },
)


def centre_of(inputs: Inputs) -> Array:
    """bias - mean: where the norm's input stands when the product is 0."""
    return bias_of(inputs, inputs["mean"]) - inputs["mean"]


def _to_transform(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    gamma, gamma0 = inputs["gamma"], inputs["gamma0"]
    moved = part.moved(part.centre(inputs), gamma - gamma0, inputs)
    return {
        "xi": part.scale(gamma, gamma0),
        "eta": part.shift(inputs["beta"], inputs["beta0"]) + moved,
    }


def _to_norm(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    gamma0 = inputs["gamma0"]
    gamma = part.scale(inputs["xi"], gamma0)
    moved = part.moved(part.centre(inputs), gamma - gamma0, inputs)
    return {"gamma": gamma, "beta": part.shift(inputs["eta"], inputs["beta0"]) - moved}


NORM_PARTS = {
    "centre": centre_of,
    "moved": lambda centre, d_gamma, inputs: centre * d_gamma / inputs["sd"],
}
TO_TRANSFORM = Plain(
    _to_transform,
    {
        **NORM_PARTS,
        "scale": lambda gamma, gamma0: gamma / gamma0,
        "shift": lambda beta, beta0: beta - beta0,
    },
)
TO_NORM = Plain(
    _to_norm,
    {
        **NORM_PARTS,
        "scale": lambda xi, gamma0: xi * gamma0,
        "shift": lambda eta, beta0: beta0 + eta,
    },
)


def _bias(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    error = part.error(inputs["y"], inputs["y_hat"], inputs["bias"][None, :, None])
    return {"corrected": part.corrected(inputs["bias"], part.mean(error))}


BIAS = Plain(
    _bias,
    {
        "error": lambda y, y_hat, bias: y - y_hat,
        "mean": lambda error: error.mean(axis=(0, 2)),
        "corrected": lambda bias, mean: bias + mean,
    },
)
