"""Nearest rounding: the baseline, and the parent of every other method.

References: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", arXiv:1712.05877; the survey by Nagel et al.,
arXiv:2106.08295.

    paper   eq.   here         value
    r       1     w, x         weights; activations, on feature maps
    S       1     s_w, s_x     one per output channel of a weight, one per activation tensor
    Z       1     zero_point   0 for weights; whatever makes 0 a code for activations
    q       1     codes        clip(rint(r / S) + Z); r is replaced by S (q - Z)

Nothing is learnt. The arithmetic is in `refquant.quantizers.fake_quant`.

Differs from: the paper takes steps from the ends of the range; here they minimise the squared error
over 100 candidates (`MseSearch`, D4).
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
