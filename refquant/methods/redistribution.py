"""Redistribution of ranges before quantization, as additions: ``nearest+smoothquant``.

References: Xiao et al., "SmoothQuant", arXiv:2211.10438; Wei et al., "Outlier Suppression+",
arXiv:2304.09145; Li et al., "RepQ-ViT", arXiv:2212.08254; Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction", arXiv:1906.04721 (methods.md 16). Each adds one
preparing step and nothing else; where its pattern is absent from a network it changes nothing.

    addition      of channel c of an edge is taken off   and it is divided by
    smoothquant   0                                      max|X_c|^alpha / max|W_c|^(1 - alpha)
    os-plus       (max_c + min_c) / 2, where legal       max(1, max_c / t, -min_c / t), best t
    repq          s_c (z~ - z_c), where legal            s_c / mean(s)
    cle           0                                      sqrt(max|W1_c| / max|W2_c|), layers around

X are calibration inputs, W the readers' columns; symbols are in `refquant.redistribute`. Padding
with zeros makes a shift illegal.

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
