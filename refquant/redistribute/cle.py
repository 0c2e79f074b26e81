"""Cross-layer equalization: give both layers of a pair the same range in every channel.

References: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019, arXiv:1906.04721, equations 7-11; methods, section 16 (P65), golden op 65,
convention 10.

    paper         here      shape   meaning
    r1 = max|W1_i:|   r1    (c,)    range of output channel i of the first layer
    r2 = max|W2_:i|   r2    (c,)    range of input channel i of the second layer
    sc_i          scale     (c,)    W1 rows and b1 times sc, W2 columns divided by sc

    sc_i = sqrt(r2 / r1),  clipped to [low, high] if asked;  1 where r1 = 0 or r2 = 0

Afterwards r1 sc = r2 / sc = sqrt(r1 r2). What stands between the layers must be positively
homogeneous, f(sc x) = sc f(x) for sc > 0: ReLU, leaky ReLU, pooling; not ReLU6, not a sigmoid.

Edge cases: convention 10 (the 1) comes before the clip, which may move it.

Differs from: the clip is PPQ's, to (0.1, 10); AIMET has none and treats a depthwise layer
between two others as a triple, where here the two pairs are equalized in turn.
"""

import numpy as np

from refquant._checks import (
    check_array,
    check_dtype,
    check_finite,
    check_operand,
    check_positive,
    complaint,
)
from refquant._types import Array
from refquant.redistribute.channels import by_channel
from refquant.redistribute.smoothquant import check_maxima

PPQ_CLIP = (0.1, 10.0)


def cle_scale(r1: Array, r2: Array, clip: tuple[float, float] | None = None) -> Array:
    """The scales sc_i = sqrt(r2 / r1), golden op 65.

    Parameters
    ----------
    r1, r2 : (c,) arrays, float32 or float64, of one dtype
        Ranges, finite and at least 0.
    clip : (low, high) or None
        Bounds of the scale, 0 < low <= high.

    Returns
    -------
    (c,) array of the same dtype
        Positive. Computed in float64 and rounded once.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, a range is negative or not finite, the clip is not an
        interval of positive numbers, or a scale is no normal number of the dtype.
    """
    check_array("cle_scale", "r1", r1, ndim=1)
    check_operand("cle_scale", "r2", r2, r1.shape, r1.dtype)
    check_maxima("cle_scale", r1=r1, r2=r2)
    if clip is not None:
        check_clip("cle_scale", clip)
    scale = _root_of_ratio(r1.astype(np.float64), r2.astype(np.float64))
    if clip is not None:
        scale = np.clip(scale, *clip)
    with np.errstate(over="ignore", under="ignore"):
        result = np.asarray(scale.astype(r1.dtype))
    check_finite("cle_scale", "the scale", result)
    return np.asarray(check_positive("cle_scale", "the scale", result) if result.size else result)


def cle_apply(
    w1: Array, bias1: Array | None, w2: Array, scale: Array, groups: int = 1
) -> tuple[Array, Array | None, Array]:
    """Both layers rescaled: (W1 sc, b1 sc, W2 / sc).

    Parameters
    ----------
    w1 : (c, ...) array, float32 or float64
    bias1 : (c,) array or None
    w2 : (c_out, c_in/groups, ...) array of the same dtype
        c_in is c, or a multiple of it behind a flattening.
    scale : (c,) array of the same dtype
    groups : int
        Of the second layer; c for a depthwise convolution. The first may have any.

    Returns
    -------
    w1, bias1, w2 : arrays (None where there was no bias)

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a scale is not a positive normal number.
    """
    check_array("cle_apply", "w1", w1)
    check_operand("cle_apply", "scale", scale, w1.shape[:1], w1.dtype)
    check_dtype("cle_apply", "w2", check_array("cle_apply", "w2", w2), w1.dtype)
    check_positive("cle_apply", "scale", scale)
    columns = by_channel("cle_apply", w2, scale.size, groups)
    if bias1 is not None:
        check_operand("cle_apply", "bias1", bias1, scale.shape, w1.dtype)
    first = w1 * scale.reshape(-1, *[1] * (w1.ndim - 1))
    second = columns / scale.reshape(groups, 1, -1, 1)
    return first, None if bias1 is None else bias1 * scale, second.reshape(w2.shape)


def check_clip(function: str, clip: tuple[float, float]) -> None:
    """ValueError unless `clip` is an interval of positive numbers."""
    if len(clip) != 2 or not 0.0 < clip[0] <= clip[1] < np.inf:
        raise ValueError(complaint(function, "clip", clip, "(low, high) with 0 < low <= high"))


def _root_of_ratio(r1: Array, r2: Array) -> Array:
    """sqrt(r2 / r1), by the roots where the ratio leaves the normal numbers; 1 where one is 0."""
    live = (r1 > 0.0) & (r2 > 0.0)
    below, above = np.where(live, r1, 1.0), np.where(live, r2, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        ratio = above / below
        roots = np.sqrt(above) / np.sqrt(below)
    normal = np.isfinite(ratio) & (ratio >= np.finfo(np.float64).tiny)
    return np.where(normal, np.sqrt(ratio), roots)
