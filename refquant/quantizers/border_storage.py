"""Border coefficients as integers of 16 or 8 bits.

References: AQuant, arXiv:2208.11945, AQ 5.3; methods, section 13.6.

    symbol   here            shape    meaning
    b        coefficients    (c, k)   one of b0, b1, b2, fusion weights
    s_b      step            ()       max |b| / (2^(bits-1) - 1): symmetric, per tensor
    --       codes           (c, k)   rint(b / s_b), int64, narrow grid
    b_hat    dequantize()    (c, k)   s_b codes

The largest coefficient is hit, so no code is clipped and |b_hat - b| <= s_b / 2.

Edge cases: a step that would be zero or subnormal is replaced by the smallest normal number, so
an all-zero tensor has codes 0 and stays the neutral border.
"""

import numpy as np

from refquant._checks import check_array, check_finite, complaint
from refquant._types import Array
from refquant.quantizers.border import BorderParams
from refquant.quantizers.fake_quant import dequantize, quantize
from refquant.quantizers.grid import Grid, QParams, make_qparams


def coefficient_qparams(coefficients: Array, bits: int = 16) -> QParams:
    """Step and grid of one stored coefficient tensor.

    Parameters
    ----------
    coefficients : Array
        float32 or float64, finite, not empty.
    bits : int
        2..16; the paper uses 16, and 8 with training.

    Returns
    -------
    QParams
        Narrow grid, zero point 0, step in the dtype of `coefficients`.

    Raises
    ------
    TypeError, ValueError
        If `coefficients` is not such an array, or `bits` is out of range.
    """
    check_array("coefficient_qparams", "coefficients", coefficients)
    check_finite("coefficient_qparams", "coefficients", coefficients)
    if coefficients.size == 0:
        raise ValueError(complaint("coefficient_qparams", "coefficients", "empty", "some numbers"))
    grid = Grid("narrow", bits)
    largest = np.abs(coefficients).max()
    tiny = np.finfo(coefficients.dtype).tiny
    step = np.maximum(largest / grid.code_max, tiny)
    return make_qparams(np.asarray(step, coefficients.dtype), 0, grid)


def store_border(params: BorderParams, bits: int = 16) -> BorderParams:
    """The parameters as they come back from storage with `bits` each.

    Parameters
    ----------
    params : BorderParams
        Finite.
    bits : int
        2..16.

    Returns
    -------
    BorderParams
        The same fields, each on the grid of its own `coefficient_qparams`.
    """
    stored = {name: _stored(b, bits) for name, b in params._asdict().items() if b is not None}
    return params._replace(**stored)


def _stored(coefficients: Array, bits: int) -> Array:
    qparams = coefficient_qparams(coefficients, bits)
    return dequantize(quantize(coefficients, qparams), qparams)
