"""What an edge carries in a deployed network: integer levels, or sums of them, with their scale.

Reference: integer-only inference, methods 17.1 to 17.3; Jacob et al., "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv:1712.05877, section 2.

    paper       here                meaning                              real value
    x_int - z   Codes.q             levels in u-space, so that 0 is 0    step * q
    x_int       Codes.codes         the codes, zero point included       --
    acc         Accumulator.total   whole numbers: a sum of products     scale * total + offset

Codes are carried, never recomputed from real values: ``(s * q) / s`` is not q for 11 % of random
pairs (methods 1.4). An `Accumulator` becomes real through `float_epilogue` and nothing else.

Edge case: padding is the level 0, which in code space is the zero point.
"""

from typing import Any, NamedTuple

import numpy as np

from refquant._checks import complaint
from refquant._types import Array
from refquant.deploy.epilogue import float_epilogue

STORAGE = (np.int8, np.int16, np.int32)


class Codes(NamedTuple):
    """Quantized values of an edge.

    Attributes
    ----------
    q : int32 array
        Levels in u-space: code minus zero point.
    step : float
        Distance of two levels.
    zero_point : int
        The code of the real value 0.
    """

    q: Array
    step: float
    zero_point: int

    @property
    def codes(self) -> Array:
        """The codes in code space, int32."""
        return self.q + np.int32(self.zero_point)


class Accumulator(NamedTuple):
    """Whole numbers, and how to read them: scale * total + offset.

    Attributes
    ----------
    total : array
        int32, or whole numbers in float64; real numbers only behind an unquantized input.
    scale, offset : float64 arrays
        Broadcast against `total`: per output channel, or per position of an average pool.
    """

    total: Array
    scale: Array
    offset: Array


def to_real(value: Any) -> Array:
    """Return the real numbers that codes or accumulators stand for; an array is itself."""
    if isinstance(value, Codes):
        return value.step * value.q.astype(np.float64)
    if isinstance(value, Accumulator):
        return float_epilogue(value.total, value.scale, value.offset)
    return np.asarray(value)


def narrow(values: Any) -> Array:
    """Return a copy in the smallest of int8, int16 and int32 that holds every entry.

    Raises
    ------
    ValueError
        If an entry lies outside int32.
    """
    array = np.asarray(values)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for kind in STORAGE:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    raise ValueError(complaint("narrow", "values", f"in {low}..{high}", "integers within int32"))
