"""NWQ: one optimisation over the whole network, the loss summed over all layers.

Reference: "Leveraging Inter-Layer Dependency for Post-Training Quantization", NeurIPS 2022, as
reconstructed in methods.md 11 (D14): of the original only the joint optimisation of alpha and
s_x over all layers is relied on.

    abstract                here                              value
    network-wise            unit="network", at="layers"       one unit, a term at every layer
    Annealing Mixup         Mix(rule="anneal")                real -> quantized, last 20 % quantized
                            ... elementwise=True              a choice for each element instead
    Annealing Softmax       ASoftmaxWeights                   in `NWQ_ASOFTMAX`: tau 1 -> 0.01
    Activation Regularis.   --                                not specified, not modelled

`NWQ` itself rounds with AdaRound, as the baseline of AdaQTransform does. `NWQ_ASOFTMAX` lets each
weight choose among its candidates by a softmax that cools down; the cooling decides, so there is no
penalty.

Differs from: the original's activation regulariser is not used here; do not read these results as
those of the published method.
"""

from dataclasses import replace

from refquant.components import ASoftmaxWeights
from refquant.methods.lsq import S_X
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Learn, Mix, Term
from refquant.optim.schedules import CoolingSchedule

NWQ = replace(
    QDROP,
    name="nwq",
    reference="NWQ 2022, reconstructed (D14)",
    parents=("qdrop",),
    phases=(
        replace(
            QDROP.phases[0],
            unit="network",
            mix=(Mix(at="quantizers", rule="anneal", hold=0.2),),
            terms=(Term(at="layers"),),
        ),
    ),
)

NWQ_ASOFTMAX = replace(
    NWQ,
    name="nwq-asoftmax",
    reference="NWQ 2022, reconstructed (D14), ASoftmax",
    parents=("nwq",),
    weights=ASoftmaxWeights(grid=NWQ.weights.grid, calibration=NWQ.weights.calibration),
    phases=(
        replace(
            NWQ.phases[0],
            learn=(("logits", Learn(lr=1e-3)), ("s_x", S_X)),
            drive=(("tau", CoolingSchedule()),),
            penalty=None,
        ),
    ),
)
