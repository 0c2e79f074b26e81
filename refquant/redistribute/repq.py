"""RepQ-ViT: quantize a normalised activation per channel, then turn it into one step for all.

References: Li et al., "RepQ-ViT: Scale Reparameterization for Post-Training Quantization of Vision
Transformers", ICCV 2023, arXiv:2212.08254, section 3.3; methods, section 16 (P62, P63, D21),
golden op 64.

    paper     here         shape   meaning
    s_c       step         (c,)    step of channel c
    z_c       zero_point   (c,)    its zero point, an integer
    s~        result.step  ()      mean of the steps
    z~        .zero_point  ()      mean of the zero points, rounded half to even (D21)
    r         .ratio       (c,)    s_c / s~
    bb        .offset      (c,)    s~ (z~ - z_c), the papers' -z_c s_c / r + z~ s~

    x' = x / r - bb;  the writer takes weight / r and bias / r - bb, the reader W r and b + (W r) bb

The codes of x' under (s~, z~) are those of x under (s_c, z_c), because
x' / s~ = x / s_c - (z~ - z_c) and z~ - z_c is whole. They differ at an exact tie where z~ - z_c is
odd (half to even then breaks it the other way), and within rounding of a tie. In the words of
`absorb`: scale r and shift r bb.

Differs from: the released code leaves z~ fractional, and the codes then differ anywhere.
"""

from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_array, check_positive, complaint
from refquant._types import Array


class RepQ(NamedTuple):
    """The common step and zero point, and the change of the activation that leads to them."""

    step: Array
    zero_point: Array
    ratio: Array
    offset: Array

    @property
    def shift(self) -> Array:
        """What `absorb` subtracts before it divides by `ratio`: r bb."""
        return np.asarray(self.ratio * self.offset)


def repq_reparam(step: Array, zero_point: Array) -> RepQ:
    """One step and zero point for all channels, golden op 64.

    Parameters
    ----------
    step : (c,) array, float32 or float64, c >= 1
        Positive normal numbers.
    zero_point : (c,) array of integers
        Codes of 0.

    Returns
    -------
    RepQ
        `step`, `ratio` and `offset` in the dtype of `step`, computed in float64 and rounded once
        (ratio and offset from the rounded step); `zero_point` int64.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not fit, or a step is not a positive normal number.
    """
    check_array("repq_reparam", "step", step, ndim=1)
    check_positive("repq_reparam", "step", step)
    if not isinstance(zero_point, np.ndarray) or zero_point.dtype.kind not in "iu":
        got = getattr(zero_point, "dtype", type(zero_point).__name__)
        raise TypeError(complaint("repq_reparam", "zero_point", got, "an array of integers"))
    if zero_point.shape != step.shape:
        got = f"of shape {zero_point.shape}"
        raise ValueError(complaint("repq_reparam", "zero_point", got, f"{step.shape}, like step"))
    common = np.asarray(nx.mean(step.astype(np.float64))).astype(step.dtype)
    whole = np.rint(nx.mean(zero_point.astype(np.float64)))
    wide = common.astype(np.float64)
    ratio = (step.astype(np.float64) / wide).astype(step.dtype)
    offset = (wide * (whole - zero_point.astype(np.float64))).astype(step.dtype)
    return RepQ(common, np.asarray(whole).astype(np.int64), ratio, offset + 0.0)
