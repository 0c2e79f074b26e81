"""AQuant: each activation computes, from itself, the border at which it is rounded.

Reference: Li et al., "Efficient Adaptive Activation Rounding for Post-Training Quantization",
arXiv:2208.11945 (methods.md 13). The border's formula is in `refquant.quantizers.aquant`.

    paper                       AQ eq.    here                value
    quantizer at the input      app. 1    placement="input"   patches of the next layer (D15)
    border b2 u^2 + b1 u + b0   8         BorderActivations   learnt, Adam 1e-3; start 1/2
    fusion weights alpha_j      9         fusion              learnt likewise
    objective                   10        terms               output of the block, not quantized
    rounding schedule alpha     app. 2    drive a             0 for 20 %, then linearly to 1
    soft weight                 app. 3    AdaRoundWeights     alpha, Adam 3e-3 (D27)
    lambda, beta                app. 4    Penalty             0.05, 16 -> 2
    input drop                  --        Mix(at="input")     0.5; no drop inside the block

Beyond the paper, ``aquant+closed-form`` starts every border at the best shared one instead of 1/2
(methods.md 13.2): a lower loss to begin with, none after 150 steps (`validation/closed_border.md`).
``qdrop+equal-rounding`` is QDrop with AQuant's lambda, beta and rate of alpha: methods that round
weights otherwise are compared at equal rounding or not at all. ``nwq+normalized`` divides each
layer's loss by the power of its float output, without which lambda means another thing in every
layer. `real_weights` has AQuant for activations alone, `controls` what a comparison must hold
against it.

`AQUANT` is the paper as read in methods.md 13.3. `AQUANT_RECOMMENDED` sends gradient to the border
only where the border matters (D17), and moves it more slowly: at a few hundred steps the published
rate, scaled to keep its travel, is 20 / steps, and ends above the loss of a border that is not
learnt at all (methods.md 13.8). Hardened loss on the calibration images, summed over the blocks, at
W2A2 and 150 steps (`validation/border_rate.py`), one run each, with OPENBLAS_CORETYPE=Haswell; the
last bits of Sandybridge move 54.4 to 50.7, 57.5 to 59.3 and 41.9 (support) to 41.6:

    border lr (x 20,000 / steps)   digits-resnet:2       digits-regnet:1
                                   literal   support     literal   support
    1e-3                           57.5      54.4        117.7     118.1
    1.5e-4                         44.7      41.7        101.0     100.9
    0, not learnt                  41.9      41.9        98.9      98.9
"""

from dataclasses import replace

from refquant.calibrate.mse_search import MseSearch
from refquant.components import BorderActivations
from refquant.methods.compose import Adds
from refquant.methods.finish import FitBorder
from refquant.methods.lsq import S_X
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Learn, Mix, Penalty
from refquant.optim.schedules import BetaSchedule, RoundingSchedule
from refquant.quantizers.border_options import BorderOptions

ALPHA = Learn(lr=3e-3)
BORDER = Learn(lr=1e-3)
SLOW_BORDER = Learn(lr=1.5e-4)  # 3 / steps
BORDER_NAMES = ("b0", "b1", "b2", "fusion")
SEARCH = MseSearch("grid100_1d", p=2.4)

PENALTY = Penalty(lam=0.05, beta=BetaSchedule(start=16.0, end=2.0))
CLOSED_FORM = Adds(reference="closed-form border, methods.md 13.2", begin=(FitBorder(),))
EQUAL_ROUNDING = Adds(
    reference="weights rounded as in arXiv:2208.11945", penalty=PENALTY, relearn=(("alpha", ALPHA),)
)
NORMALIZED = Adds(reference="losses over float power", normalize="power")

AQUANT = replace(
    QDROP,
    name="aquant",
    reference="Li et al. 2022, arXiv:2208.11945",
    parents=("qdrop",),
    placement="input",
    activations=BorderActivations(calibration=SEARCH),
    phases=(
        replace(
            QDROP.phases[0],
            learn=(
                ("alpha", ALPHA),
                ("s_x", S_X),
                *((name, BORDER) for name in BORDER_NAMES),
            ),
            drive=(("a", RoundingSchedule(hold=0.2)),),
            mix=(Mix(at="input", keep=0.5),),
            penalty=PENALTY,
        ),
    ),
)

AQUANT_RECOMMENDED = replace(
    AQUANT,
    name="aquant-recommended",
    reference="arXiv:2208.11945, gate of D17, slower border",
    parents=("aquant",),
    activations=BorderActivations(calibration=SEARCH, options=BorderOptions(gate="support")),
    phases=(
        replace(
            AQUANT.phases[0],
            learn=(
                *(entry for entry in AQUANT.phases[0].learn if entry[0] not in BORDER_NAMES),
                *((name, SLOW_BORDER) for name in BORDER_NAMES),
            ),
        ),
    ),
)
