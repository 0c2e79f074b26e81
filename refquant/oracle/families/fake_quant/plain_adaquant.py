"""AdaQuant's quantizer and its gradients in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant.plain_uniform import along, divide, total
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def limited(span: Array) -> Array:
    """R' = clip(R, 1e-6, 1e5)."""
    return np.clip(span, span.dtype.type(1e-6), span.dtype.type(1e5))


def step_of(span: Array, bits: int) -> Array:
    """s = R' / (2^b - 1)."""
    return np.asarray(span / (2**bits - 1))


def raw_zero(minimum: Array, s: Array) -> Array:
    """rint(-m / s)."""
    return np.rint(-minimum / s)


def codes_of(u: Array, zero: Array, top: int) -> Array:
    """q = rint(clip(u + Z, 0, Lv)), Z for NaN."""
    return np.where(np.isnan(u), zero, np.rint(np.clip(u + zero, 0, top)))


def value_of(q: Array, zero: Array, s: Array, minimum: Array) -> Array:
    """y = s (q - Z)."""
    return np.asarray(s * (q - zero))


def _place(inputs: Inputs, attrs: Attrs, part: Any) -> tuple[Array, ...]:
    x, axis, top = inputs["x"], attrs["axis"], 2 ** attrs["bits"] - 1
    span, minimum = (part.along(inputs[name], axis, x) for name in ("span", "minimum"))
    s = part.step_of(part.limited(span), attrs["bits"])
    raw = part.raw_zero(minimum, s)
    zero = part.zero(raw, top)
    u = part.divide(x, s)
    return span, minimum, s, raw, zero, u, part.codes_of(u, zero, top)


def _adaquant(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    _, minimum, s, _, zero, _, q = _place(inputs, attrs, part)
    return {"y": part.value_of(q, zero, s, minimum)}


def inside(u: Array, zero: Array, top: int) -> Array:
    """M = [0 <= u + Z <= Lv]."""
    return np.asarray((u + zero >= 0) & (u + zero <= top) & np.isfinite(u))


def slope(level: Array, u: Array, mask: Array) -> Array:
    """The derivative by s alone: level - M u."""
    return np.asarray(level - np.where(mask, u, 0))


def by_step(d_s: Array, ratio: Array, clipped: Array, zero_inside: Array) -> Array:
    """The derivative by s, with what goes through Z: - MZ (m / s) c."""
    return np.asarray(d_s - np.where(zero_inside, ratio, 0) * clipped)


def _backward(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    d_y, axis, top = inputs["d_y"], attrs["axis"], 2 ** attrs["bits"] - 1
    span, minimum, s, raw, zero, u, q = _place(inputs, attrs, part)
    mask = part.inside(u, zero, top)
    clipped = part.total(d_y * part.outside(mask), axis)
    zero_inside = part.zero_inside(raw, top).reshape(clipped.shape)
    span_inside = part.span_inside(span).reshape(clipped.shape)
    d_s = part.total(d_y * part.slope(q - zero, u, mask), axis)
    d_s = part.by_step(d_s, (minimum / s).reshape(clipped.shape), clipped, zero_inside)
    d_minimum = part.d_minimum(clipped, zero_inside, s.reshape(clipped.shape))
    return {
        "d_x": part.pass_through(d_y, mask),
        "d_span": np.where(span_inside, part.d_span(d_s, top), 0).astype(d_y.dtype),
        "d_minimum": np.where(span_inside, d_minimum, 0).astype(d_y.dtype),
    }


PLACE: dict[str, Any] = {
    "along": along,
    "limited": limited,
    "step_of": step_of,
    "raw_zero": raw_zero,
    "zero": lambda raw, top: np.clip(raw, 0, top),
    "divide": divide,
    "codes_of": codes_of,
}
ADAQUANT = Plain(_adaquant, PLACE | {"value_of": value_of})
ADAQUANT_BACKWARD = Plain(
    _backward,
    PLACE
    | {
        "inside": inside,
        "outside": lambda mask: ~mask,
        "total": total,
        "slope": slope,
        "by_step": by_step,
        "zero_inside": lambda raw, top: (raw >= 0) & (raw <= top),
        "span_inside": lambda span: (span >= span.dtype.type(1e-6)) & (span <= 1e5),
        "d_minimum": lambda clipped, zero_inside, s: np.where(zero_inside, clipped, 0),
        "d_span": lambda d_s, top: d_s / top,
        "pass_through": lambda d_y, mask: np.where(mask, d_y, 0),
    },
)
