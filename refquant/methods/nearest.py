"""Nearest rounding: the baseline, and the parent of every other method.

References: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv:1712.05877; the survey by Nagel et al.,
arXiv:2106.08295.

Weights: symmetric, one step per output channel. Activations: one step per tensor, on feature
maps, with a zero point where the range has two sides. Both steps minimise an Lp error over 100
candidates. Nothing is learnt.
"""

from refquant.components import NearestActivations, NearestWeights
from refquant.methods.prepare import FoldBatchNorm
from refquant.methods.setting import Setting

NEAREST = Setting(
    name="nearest",
    reference="Jacob et al. 2018, arXiv:1712.05877",
    prepare=(FoldBatchNorm(),),
    weights=NearestWeights(),
    activations=NearestActivations(),
)
