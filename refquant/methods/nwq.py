"""NWQ: one optimisation over the whole network, the loss summed over all layers.

Reference: "Leveraging Inter-Layer Dependency for Post-Training Quantization", NeurIPS 2022, as
reconstructed in methods.md 11 (D14): of the original only the joint optimisation of alpha and
s_x over all layers is relied on.

    abstract                here                              value
    network-wise            unit="network", at="layers"       one unit, a term at every layer
    Annealing Mixup         Mix(rule="anneal")                real -> quantized, last 20 % quantized
    Activation Regularis.   --                                not specified, not modelled

Differs from: the original's Annealing Softmax over several candidates is not used here, nor its
activation regulariser; do not read these results as those of the published method.
"""

from dataclasses import replace

from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Mix, Term

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
