"""AdaRound: layer by layer, learn whether each weight is rounded down or up.

Reference: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
ICML 2020, arXiv:2004.10568; methods.md 6, 5.4 and 5.5.

    paper      here                    value
    V          alpha                   learnt, Adam 1e-3
    f_reg      Penalty                 lambda 0.01, beta 20 -> 2, off for the first 20 %
    x_hat      source="quantized"      inputs from the layers quantized so far (D30)
    f_a        the unit's follower     activation function included in the loss

Differs from: the paper's objective is stated for one layer with its activation function; released
codes differ in the curve of beta, the number of the first step, the reduction of the loss, the
sampling of batches, the decision at h = 1/2 and more. Each of these is a field; the profiles of
released programs are in `refquant.methods.adaround_dialects`.
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
