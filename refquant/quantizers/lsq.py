"""LSQ: the factor on the step's gradient, and the projection that keeps a step positive.

References: Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153,
section 2.2; methods, section 2.1. Forward and backward are those of `fake_quant`, to
which the factor c goes as `grad_scale`.

    paper   here       meaning
    c       result     d_s is multiplied by c
    N       count      elements that share the step, counted as the kind says
    p       code_max   largest code before any zero point is taken off: 2^b - 1 or 2^(b-1) - 1
    s       step       the learned step

    kind             N                                             seen in
    lsq_weight       weights / channels                            LSQ, MQBench
    lsq_activation   features of one sample / channels             LSQ
    qdrop            elements, the batch included, / channels      QDrop (decision D34)
    none             -- (c = 1)                                    BRECQ, MQBench, PD-Quant

c = 1 / sqrt(N p). Under Adam with eps -> 0 a constant c has no effect (P59).

Edge cases: the u-space p of an affine grid may be 0 or negative, which is why the code enters
here. The projection takes |s|, so a step that crossed zero comes back on the other side.
"""

import math

import numpy as np

from refquant._checks import check_array, check_finite, check_in, check_int, complaint
from refquant._types import Array
from refquant.quantizers.grid import Grid

STEP_FLOOR = 1.19e-7  # about the machine epsilon of float32, methods 2.1
KINDS = ("lsq_weight", "lsq_activation", "qdrop", "none")


def lsq_grad_scale(kind: str, shape: tuple[int, ...], grid: Grid, channels: int = 1) -> float:
    """The factor c = 1 / sqrt(N p) on the gradient of the step, methods 2.1.

    Parameters
    ----------
    kind : {"lsq_weight", "lsq_activation", "qdrop", "none"}
        How N is counted, see the table of the module.
    shape : tuple of int
        Shape of the quantised tensor; its first axis is the batch for "lsq_activation".
    grid : Grid
        Its `code_max` is p.
    channels : int
        Number of steps the tensor has: 1 per tensor, c per channel.

    Returns
    -------
    float
        c > 0.

    Raises
    ------
    TypeError, ValueError
        If `kind` is unknown, or `channels` does not divide the number of elements, or there
        are none.
    """
    check_in("lsq_grad_scale", "kind", kind, KINDS)
    check_int("lsq_grad_scale", "channels", channels, 1)
    if kind == "none":
        return 1.0
    count = math.prod(shape[1:] if kind == "lsq_activation" else shape)
    if count < 1 or count % channels:
        expected = f"a shape whose elements are shared out over {channels} steps"
        raise ValueError(complaint("lsq_grad_scale", "shape", shape, expected))
    return 1.0 / math.sqrt(count // channels * grid.code_max)


def lsq_project_step(step: Array) -> Array:
    """Keep a learned step usable: s <- max(|s|, 1.19e-7), QDrop's projection after an update.

    The loop projects onto an interval (`Learn.project`): the same for a step that stays positive;
    one that crosses 0 in a single update gets the floor there, and here comes back as |s|.

    Parameters
    ----------
    step : Array
        float32 or float64, any shape.

    Returns
    -------
    Array
        Like `step`, at least 1.19e-7.

    Raises
    ------
    TypeError, ValueError
        If `step` is not a finite floating array (the optimiser has diverged).
    """
    check_array("lsq_project_step", "step", step)
    check_finite("lsq_project_step", "step", step)
    return np.asarray(np.maximum(np.abs(step), STEP_FLOOR))
