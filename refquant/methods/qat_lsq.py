"""QAT-LSQ: train weights, biases and steps under quantization, by the task's own loss.

Reference: AdaQTransform 2025, Table 11, its LSQ setting with quantization-aware training
(methods.md 12 and 15.1, last row); Esser et al., arXiv:1902.08153.

    paper   here                 value
    W       v_w (what is added)  Adam 1e-5, as AdaQuant trains weights; cosine, as LSQ
    b       bias (FreeBias)      Adam 4e-5, cosine, as in AT eq. 7
    s_w     s_w                  as in case 1.2
    s_x     s_x                  as in case 1.2
    loss    cross_entropy        of the logits against labels: ``quantize(..., labels=y)``

It is case 1.2 of the paradigm with weights and bias let go, and labels in place of float features:
one unit, the whole network, always quantized (case 1.2 mixes real values in at first). The table's
row of AdaQTransform with the same training is ``qat-lsq+adaqtransform``.

Differs from: LSQ trains for 90 epochs on the whole training set with momentum and weight decay;
neither paper says how AdaQTransform trained its row. Batch norms are folded here, their statistics
with them. So this is the row's freedom in the pipeline of all other rows, no way to its accuracies.
"""

from dataclasses import replace

from refquant.components import FreeBias, TrainedWeights
from refquant.methods.adaqtransform import TRANSFORM, WEIGHTS
from refquant.methods.paradigm import CASE_12
from refquant.methods.setting import Learn, Term

QAT_LSQ = replace(
    CASE_12,
    name="qat-lsq",
    reference="AdaQTransform 2025, Table 11",
    parents=(CASE_12.name,),
    weights=TrainedWeights(grid=WEIGHTS.grid, calibration=WEIGHTS.calibration),
    output=FreeBias(),
    phases=(
        replace(
            CASE_12.phases[0],
            learn=(
                ("v_w", Learn(lr=1e-5, schedule="cosine")),
                *CASE_12.phases[0].learn,
                ("bias", TRANSFORM),
            ),
            mix=(),
            terms=(Term(kind="cross_entropy", at="logits"),),
        ),
    ),
)
