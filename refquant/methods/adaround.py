"""AdaRound: layer by layer, learn whether each weight is rounded down or up.

Reference: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
ICML 2020, arXiv:2004.10568; methods.md 6, 5.4 and 5.5.

    paper    eq.   here                  value
    V        22    alpha                 learnt, Adam 1e-3; starts where h is the weight's fraction
    h(V)     23    AdaRoundWeights       share of a step rounded up; at the end, whether h >= 1/2
    f_reg    24    Penalty               lambda 0.01, beta 20 -> 2, off for the first 20 %
    f_a      25    the unit's follower   activation function included in the loss
    x_hat    25    source="quantized"    inputs from the layers quantized so far (D30)

The arithmetic is in `refquant.quantizers.adaround` and, for f_reg, `.rounding_regularizer`.

Differs from: released codes, which differ among themselves in the curve of beta, the number of the
first step, the reduction of the loss, the sampling of batches, the decision at h = 1/2 and more.
Each of these is a field; `refquant.methods.adaround_dialects` has the programs' values.
"""

from dataclasses import replace

from refquant.components import AdaRoundWeights
from refquant.methods.nearest import NEAREST
from refquant.methods.setting import Learn, Penalty, Phase

ADAROUND = replace(
    NEAREST,
    name="adaround",
    reference="Nagel et al. 2020, arXiv:2004.10568",
    parents=("nearest",),
    weights=AdaRoundWeights(),
    phases=(
        Phase(
            learn=(("alpha", Learn(lr=1e-3)),),
            unit="layer",
            source="quantized",
            penalty=Penalty(lam=0.01),
            steps=20_000,
        ),
    ),
)
