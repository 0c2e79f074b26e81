"""Redistribution of ranges before quantization, as additions: ``nearest+smoothquant``.

References: Xiao et al., "SmoothQuant", arXiv:2211.10438; Wei et al., "Outlier Suppression+",
arXiv:2304.09145; Li et al., "RepQ-ViT", arXiv:2212.08254; Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction", arXiv:1906.04721 (methods.md 16). Each adds one
preparing step and nothing else; where its pattern is absent from a network it changes nothing.

The whole of RepQ-ViT is ``nearest+repq+log-sqrt2``: one step and zero point for channels that had
one each, and levels that are powers of sqrt(2) behind a softmax.
"""

from refquant.components import LogSqrt2Activations
from refquant.methods.compose import Adds
from refquant.methods.prepare_redistribution import (
    CrossLayerEqualization,
    OutlierSuppressionPlus,
    SmoothQuant,
)
from refquant.methods.prepare_repq import ScaleReparameterization

SMOOTHQUANT = Adds(reference="SmoothQuant, arXiv:2211.10438", prepare=(SmoothQuant(),))
OS_PLUS = Adds(
    reference="Outlier Suppression+, arXiv:2304.09145", prepare=(OutlierSuppressionPlus(),)
)
CLE = Adds(
    reference="cross-layer equalization, arXiv:1906.04721", prepare=(CrossLayerEqualization(),)
)
REPQ = Adds(reference="RepQ-ViT, arXiv:2212.08254", prepare=(ScaleReparameterization(),))
LOG_SQRT2 = Adds(
    reference="log-sqrt2 of RepQ-ViT, arXiv:2212.08254", probabilities=LogSqrt2Activations()
)
