"""PD-Quant: QDrop, and the prediction itself must not change.

Reference: Liu et al., "PD-Quant: Post-Training Quantization Based on Prediction Difference
Metric", CVPR 2023, arXiv:2212.07048 (methods.md 9.1, 5.3).

    paper      here                       value
    T          Term.temperature           4
    lambda_r   1 / Term.weight            0.1: the prediction difference is divided by it
    --         Term(kind="kl")            block output through the float rest, KL on the logits
    alpha      alpha                      Adam 3e-3; s_x as in QDrop
    --         Mix                        0.5 at the input, 0.5 at the quantizers

Not modelled: the correction of the float targets towards the statistics of batch norm, which
methods.md 9.1 does not specify. Do not read these results as those of the published method.
"""

from dataclasses import replace

from refquant.methods.lsq import S_X
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Learn, Term

PREDICTION = Term(kind="kl", at="logits", temperature=4.0, weight=10.0)

PD_QUANT = replace(
    QDROP,
    name="pd-quant",
    reference="Liu et al. 2023, arXiv:2212.07048, no BN correction",
    parents=("qdrop",),
    phases=(
        replace(
            QDROP.phases[0],
            learn=(("alpha", Learn(lr=3e-3)), ("s_x", S_X)),
            terms=(Term(), PREDICTION),
        ),
    ),
)
