"""SQuant: data-free rounding of weights; errors cancel within kernels and within filters.

Reference: Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian
Approximation", ICLR 2022, arXiv:2202.07471 (methods.md 14).

    paper      here                    what it does
    SQuant-E   rint                    rounds each weight to nearest
    SQuant-K   SQuantWeights.kernel    flips in each kernel until its errors sum to at most 1/2
    SQuant-C   SQuantWeights.channel   flips once in a kernel at most, for the sum over the channel
    s          s_w                     affine, one per output channel, min-max

The arithmetic, S_i and T among it, is in `refquant.quantizers.squant`. Activations are nearest's.
"""

from dataclasses import replace

from refquant.components import SQuantWeights
from refquant.methods.nearest import NEAREST

SQUANT = replace(
    NEAREST,
    name="squant",
    reference="Guo et al. 2022, arXiv:2202.07471",
    parents=("nearest",),
    weights=SQuantWeights(),
)
