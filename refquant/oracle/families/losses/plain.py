"""The losses in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def places(z: Array, attrs: Attrs) -> int:
    """What the sum is divided by."""
    if attrs.get("reduction") == "mean":
        return z.size
    return int(z.size // z.shape[attrs["channel_axis"]])


def power(size: Array, exponent: float) -> Array:
    """size^exponent."""
    return np.asarray(size**exponent)


def per_sample(felt: Array) -> Array:
    """Sum over all axes but the first, kept for broadcasting."""
    axes = tuple(range(1, felt.ndim))
    return np.asarray(np.sum(felt, axis=axes, keepdims=True))


def softmax(logits: Array) -> Array:
    """Probabilities of each row."""
    weights = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return np.asarray(weights / np.sum(weights, axis=1, keepdims=True))


def log_softmax(logits: Array) -> Array:
    """Their logarithms."""
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True)))


def _lp(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z = inputs["z"]
    terms = part.power(part.size(z, inputs["t"]), part.exponent(attrs))
    return {"loss": np.sum(terms) / part.places(z, attrs)}


def _lp_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z, p = inputs["z"], part.exponent(attrs)
    d = part.error(z, inputs["t"])
    slope = part.factor(p) * part.power(np.abs(d), part.lower(p)) * part.sign(d)
    return {"d_z": slope / part.places(z, attrs)}


def _diag(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z = inputs["z"]
    d = z - inputs["t"]
    return {"loss": np.sum(d * d * part.weight(inputs["g"])) / part.places(z, attrs)}


def _diag_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z = inputs["z"]
    d = part.error(z, inputs["t"])
    return {"d_z": part.two * d * part.weight(inputs["g"]) / part.places(z, attrs)}


def _full(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    felt = part.size(inputs["z"] - inputs["t"]) * inputs["g"]
    return {"loss": part.gather(part.dots(felt) * felt) / part.hundred}


def _full_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d, g = part.error(inputs["z"], inputs["t"]), inputs["g"]
    slope = part.sign(d) * part.two * part.dots(part.size(d) * g) * part.weight(g)
    return {"d_z": slope / (part.hundred * part.count(d))}


def _kl(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z, t = (part.cool(inputs[name], attrs["temperature"]) for name in ("z", "t"))
    terms = part.terms(part.log_softmax(t), part.log_softmax(z))
    return {"loss": part.scale(attrs["temperature"]) * part.gather(terms)}


def _kl_backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    z, t = (part.cool(inputs[name], attrs["temperature"]) for name in ("z", "t"))
    d = part.error(part.softmax(z), part.softmax(t))
    return {"d_z": d / part.divisor(attrs["temperature"], *d.shape)}


def difference(a: Array, b: Array) -> Array:
    """a - b."""
    return a - b


def forward_terms(log_t: Array, log_z: Array) -> Array:
    """P_t (log P_t - log P_z)."""
    return np.asarray(np.exp(log_t) * (log_t - log_z))


def batch_mean(terms: Array) -> Array:
    """Sum over the classes, mean over the samples."""
    return np.asarray(np.sum(terms) / len(terms))


LP = Plain(
    _lp,
    {
        "size": lambda z, t: np.abs(z - t),
        "places": places,
        "power": power,
        "exponent": lambda attrs: attrs["p"],
    },
)
LP_BACKWARD = Plain(
    _lp_backward,
    {
        **LP.parts,
        "error": difference,
        "factor": lambda p: p,
        "lower": lambda p: p - 1.0,
        "sign": np.sign,
    },
)
DIAG = Plain(_diag, {"places": places, "weight": lambda g: g * g})
DIAG_BACKWARD = Plain(_diag_backward, {**DIAG.parts, "error": difference, "two": 2.0})
FULL = Plain(_full, {"size": np.abs, "dots": per_sample, "gather": np.mean, "hundred": 100.0})
FULL_BACKWARD = Plain(
    _full_backward,
    {
        "size": np.abs,
        "dots": per_sample,
        "hundred": 100.0,
        "error": difference,
        "sign": np.sign,
        "two": 2.0,
        "weight": lambda g: g,
        "count": lambda d: d.size,
    },
)
KL = Plain(
    _kl,
    {
        "cool": lambda logits, temperature: logits / temperature,
        "log_softmax": log_softmax,
        "terms": forward_terms,
        "gather": batch_mean,
        "scale": lambda temperature: 1.0,
    },
)
KL_BACKWARD = Plain(
    _kl_backward,
    {
        "cool": KL.parts["cool"],
        "softmax": softmax,
        "error": difference,
        "divisor": lambda temperature, n, c: temperature * n,
    },
)
