"""`requant_float`, `requant_fixed` and `quantize_multiplier` in plain NumPy."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant.plain_uniform import along, code_range
from refquant.oracle.families.rounding.plain import half_away
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain

LOW, HIGH = -(2**31), 2**31 - 1


def limits(grid: str, bits: int, relu: bool, z: int) -> tuple[int, int]:
    """Lowest and highest code."""
    low, high = code_range(grid, bits)
    return (max(low, z) if relu else low), high


def to_codes(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """Clip the rounded r, add the zero point; t, not rounded, is for those who do it wrong."""
    return np.clip(r, ends[0] - z, ends[1] - z).astype(np.int64) + z


def _ends(attrs: Attrs, z: int, part: Any) -> tuple[int, int]:
    found: tuple[int, int] = part.limits(attrs["grid"], attrs["bits"], attrs["relu"], z)
    return found


def real(acc: Array, scale: Array, offset: Array, step: Array) -> Array:
    """scale acc + offset."""
    return np.asarray(scale * acc.astype(scale.dtype) + offset)


def _float(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    acc, axis, z = inputs["acc"], attrs["axis"], int(inputs["zero_point"])
    scale, offset = (part.along(inputs[name], axis, acc) for name in ("scale", "offset"))
    value = part.real(acc, scale, offset, inputs["step"])
    t = part.divide(value, inputs["step"])
    return {"codes": part.to_codes(part.rounded(t), z, _ends(attrs, z, part), t)}


def left_shift(acc: Array, e: Array) -> Array:
    """acc 2^-e where e < 0, saturated to 32 bits."""
    return np.asarray(np.clip(acc << np.minimum(np.maximum(-e, 0), 31), LOW, HIGH))


def nudge(product: Array) -> Array:
    """What is added before the division by 2^31."""
    return np.where(product >= 0, 1 << 30, 1 - (1 << 30))


def towards_zero(t: Array) -> Array:
    """t / 2^31, truncated."""
    return np.where(t >= 0, t >> 31, -((-t) >> 31))


def saturated(t: Array) -> Array:
    """t, not beyond 32 bits."""
    return np.clip(t, LOW, HIGH)


def right_shift(x: Array, e: Array) -> Array:
    """x / 2^e, half away from zero."""
    shift = np.minimum(e, 62)
    rest = x & ((np.int64(1) << shift) - 1)
    threshold = (((np.int64(1) << shift) - 1) >> 1) + (x < 0)
    return np.asarray((x >> shift) + (rest > threshold))


def single_stage(acc: Array, m0: Array, e: Array) -> Array:
    """(acc m0 + 2^(30 + e)) >> (31 + e); 0 for e > 31."""
    shift = np.minimum(e, 31)
    scaled = (acc * m0 + (np.int64(1) << (30 + shift))) >> (31 + shift)
    return np.where(e > 31, 0, scaled)


def double_stage(acc: Array, m0: Array, e: Array, part: Any) -> Array:
    """Two roundings, one after the other."""
    product = acc * m0
    high = part.saturated(part.truncated(product + part.nudge(product)))
    return np.asarray(part.right_shift(high, e))


def _fixed(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    acc, axis, z = inputs["acc"].astype(np.int64), attrs["axis"], int(inputs["zero_point"])
    m0, e = (part.along(inputs[n].astype(np.int64), axis, acc) for n in ("m0", "exponent"))
    acc, right = part.left_shift(acc, e), np.maximum(e, 0)
    if attrs["requantize"] == "double":
        r = part.double_stage(acc, m0, right, part)
    else:
        r = saturated(part.single_stage(acc, m0, right))
    return {"codes": part.to_codes(r, z, _ends(attrs, z, part), r)}


def normalised(m0: Array, e: Array) -> tuple[Array, Array]:
    """2^31 as 2^30 with a shift less."""
    full = m0 == 2**31
    return np.where(full, 2**30, m0), np.where(full, e - 1, e)


def _multiplier(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    m = inputs["multiplier"].astype(np.float64)
    f, e = part.split(np.abs(m))
    m0 = getattr(part, attrs["mantissa_rounding"])(np.ldexp(f, 31)).astype(np.int64)
    m0, e = part.normalised(m0, -e)
    return {"m0": part.signed(m0, m), "exponent": part.exponent(e, m)}


CODES = {"along": along, "limits": limits, "to_codes": to_codes}
REQUANT_FLOAT = Plain(_float, CODES | {"real": real, "divide": np.divide, "rounded": np.rint})
REQUANT_FIXED = Plain(
    _fixed,
    CODES
    | {
        "left_shift": left_shift,
        "nudge": nudge,
        "truncated": towards_zero,
        "saturated": saturated,
        "right_shift": right_shift,
        "double_stage": double_stage,
        "single_stage": single_stage,
    },
)
QUANTIZE_MULTIPLIER = Plain(
    _multiplier,
    {
        "split": np.frexp,
        "rint": np.rint,
        "half_away": half_away,
        "normalised": normalised,
        "signed": lambda m0, m: np.where(m < 0, -m0, m0),
        "exponent": lambda e, m: e.astype(np.int64),
    },
)
