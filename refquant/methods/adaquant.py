"""AdaQuant: layer by layer, train the weights, the bias and all ranges under rounding to nearest.

Reference: Hubara et al., arXiv:2006.10518, and its code CalibTIP (methods.md 8, 2.3 and 5.7).

    paper       here              value
    V           v_w               perturbation of the weight, Adam 1e-5
    b'          bias (FreeBias)   Adam 1e-3
    R, m of W   r_w, m_w          range per output channel, Adam 1e-3
    R, m of x   r_x, m_x          range of the layer's input, Adam 1e-1
    parallel    source="float"    `ADAQUANT`: every layer from float inputs
    sequential  source            `ADAQUANT_SEQUENTIAL`: from the layers quantized so far
    --          s_w, z_w, s_x,    `ADAQUANT_SCALE`: steps and zero points in place of ranges, from
                z_x               the same start (methods.md 8, param="scale"); it is ours

The objective, ||act(W x + b) - act(Q_w(W + V) Q_x(x) + b')||^2, quantizes each layer's own input:
quantizers stand on the patches. The error is averaged over everything; without a penalty beside it
that is a matter of scale, to which Adam is blind.

Rates of ranges are not scaled to keep their travel: at 0.1 a step they can cross any range within
the published 1,000 steps many times over, so a shorter run needs no larger ones.

Steps and zero points have LSQ+'s rates, as they are in so few steps: a share of the step, and of a
code; a range moves by its own rate, in units of the data.

The code also fake-quantizes the bias with b_w + b_a bits: ``output=FreeBias(fake_quant=True)``, off
by default. Not modelled: its choice of which layers are followed by a ReLU (here the unit's own
activation function is in the loss).
"""

from dataclasses import replace

from refquant.calibrate.ranges import MinMax
from refquant.components import (
    AdaQuantActivations,
    AdaQuantWeights,
    FreeBias,
    LsqPlusActivations,
    LsqPlusWeights,
)
from refquant.methods.lsq import LSQ, S_W, S_X
from refquant.methods.lsq_plus import ZERO
from refquant.methods.nearest import NEAREST
from refquant.methods.setting import Learn, Phase, Term
from refquant.quantizers.adaquant import SPAN_MAX, SPAN_MIN

SPAN = (SPAN_MIN, SPAN_MAX)

ADAQUANT = replace(
    NEAREST,
    name="adaquant",
    reference="Hubara et al. 2020, arXiv:2006.10518",
    parents=("nearest",),
    weights=AdaQuantWeights(),
    activations=AdaQuantActivations(),
    output=FreeBias(),
    placement="input",
    phases=(
        Phase(
            learn=(
                ("v_w", Learn(lr=1e-5)),
                ("bias", Learn(lr=1e-3)),
                ("r_w", Learn(lr=1e-3, keep_travel=False, project=SPAN)),
                ("m_w", Learn(lr=1e-3, keep_travel=False)),
                ("r_x", Learn(lr=1e-1, keep_travel=False, project=SPAN)),
                ("m_x", Learn(lr=1e-1, keep_travel=False)),
            ),
            source="float",
            terms=(Term(reduction="mean"),),
            steps=1_000,
            batch=50,
        ),
    ),
)
ADAQUANT_SEQUENTIAL = replace(
    ADAQUANT,
    name="adaquant-sequential",
    reference=f"{ADAQUANT.reference}, sequential",
    parents=("adaquant",),
    phases=(replace(ADAQUANT.phases[0], source="quantized"),),
)


def _soon(learn: Learn) -> Learn:
    """Return how LSQ+ learns something, in AdaQuant's number of steps."""
    return learn.over(LSQ.phases[0].steps, ADAQUANT.phases[0].steps)


ADAQUANT_SCALE = replace(
    ADAQUANT,
    name="adaquant-scale",
    reference=f"{ADAQUANT.reference}, step and zero point",
    parents=("adaquant",),
    weights=LsqPlusWeights(calibration=MinMax()),
    activations=LsqPlusActivations(calibration=MinMax()),
    phases=(
        replace(
            ADAQUANT.phases[0],
            learn=(
                *ADAQUANT.phases[0].learn[:2],  # V and b'
                ("s_w", _soon(S_W)),
                ("z_w", _soon(ZERO)),
                ("s_x", _soon(S_X)),
                ("z_x", _soon(ZERO)),
            ),
        ),
    ),
)
