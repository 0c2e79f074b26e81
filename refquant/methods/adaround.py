"""AdaRound: layer by layer, learn whether each weight is rounded down or up.

Reference: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization",
ICML 2020, arXiv:2004.10568; methods.md 6, 5.4 and 5.5.

    paper      here                    value
    V          alpha                   learnt, Adam 1e-3
    f_reg      Penalty                 lambda 0.01, beta 20 -> 2, off for the first 20 %
    x_hat      source="quantized"      inputs from the layers quantized so far (D30)
    f_a        the unit's follower     activation function included in the loss

Differs from: the paper's objective is stated for one layer with its activation function; released
codes differ in the curve of beta, the number of the first step, the sampling of batches and
lambda. Each of these is a field; `ADAROUND_AMCT` is one such dialect.
"""

from dataclasses import replace

from refquant.calibrate.kl_amct import KlAmct
from refquant.components import AdaRoundWeights
from refquant.methods.nearest import NEAREST
from refquant.methods.setting import Learn, Penalty, Phase
from refquant.optim.schedules import BetaSchedule

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

# The vendor tool hicann/amct: steps by KL divergence, cosine beta, steps counted from 0 (D5, D9,
# D36). Its own codes are written by rounding the soft weight; here alpha decides (D12).
ADAROUND_AMCT = replace(
    ADAROUND,
    name="adaround-amct",
    reference="hicann/amct ada_round; arXiv:2004.10568",
    parents=("adaround",),
    weights=AdaRoundWeights(calibration=KlAmct()),
    phases=(
        replace(
            ADAROUND.phases[0],
            penalty=Penalty(lam=0.01, beta=BetaSchedule(curve="cosine", first_step=0)),
            steps=10_000,
        ),
    ),
)
