"""LSQ: the factor on the step's gradient.

References: Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153,
section 2.2; methods, section 2.1. Forward and backward are those of `fake_quant`, to
which the factor c goes as `grad_scale`; the loop has it as `Learn.grad_scale`, because "qdrop"
counts a whole batch, which is passed through a network in portions.

    paper   here       meaning
    c       result     d_s is multiplied by c
    N       count      elements that share the step, counted as the kind says
    p       code_max   largest code before any zero point is taken off: 2^b - 1 or 2^(b-1) - 1

    kind             N                                             seen in
    lsq_weight       weights / channels                            LSQ, MQBench
    lsq_activation   features of one sample / channels             LSQ
    qdrop            elements, the batch included, / channels      QDrop (decision D34)
    none             -- (c = 1)                                    BRECQ, MQBench, PD-Quant

c = 1 / sqrt(N p). Under Adam with eps -> 0 a constant c has no effect (P59).

Edge cases: the u-space p of an affine grid may be 0 or negative, which is why the code enters
here. How a step is kept positive is `Learn.project` and `Learn.reflect`.
"""

import math

from refquant._checks import check_in, check_int, complaint
from refquant.quantizers.grid import Grid

SCALES = ("lsq_weight", "lsq_activation", "qdrop", "none")


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
    check_in("lsq_grad_scale", "kind", kind, SCALES)
    check_int("lsq_grad_scale", "channels", channels, 1)
    if kind == "none":
        return 1.0
    count = math.prod(shape[1:] if kind == "lsq_activation" else shape)
    if count < 1 or count % channels:
        expected = f"a shape whose elements are shared out over {channels} steps"
        raise ValueError(complaint("lsq_grad_scale", "shape", shape, expected))
    return 1.0 / math.sqrt(count // channels * grid.code_max)
