"""SQuant: data-free rounding of weights; errors cancel within kernels and within filters.

Reference: Guo et al., "SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian
Approximation", ICLR 2022, arXiv:2202.07471 (methods.md 14). Activations are nearest's.
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
