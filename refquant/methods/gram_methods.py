"""Layers solved through their quadratic: AdaRound without batches, and rounding without AdaRound.

References: methods.md 6, 7 and 15.3; Nagel et al., arXiv:2004.10568, equations 20 and 21, for the
quadratic; L. Babai, Combinatorica 6 (1986), for the nearest plane.

    method               rounding                             beside it      a step costs
    adaround-gram        AdaRound's Adam, full batch, then    --             c_out d^2
                         single flips until none helps
    nearest-plane        nearest plane, then tabu search      --             (no steps)
    adaqtransform-gram   the same, three times in turn with   s_x, xi, eta   (no steps)
                         line search and least squares

Differs from: AdaRound's paper has the activation function inside the loss, where nothing is
quadratic any more; here the error is measured in front of it (its equation 21). AdaQTransform sums
the loss over the whole network; here layer by layer, each behind the layers done before.
"""

from dataclasses import replace

from refquant.methods.adaqtransform import ADDS, WEIGHTS
from refquant.methods.adaround import ADAROUND
from refquant.methods.gram import Gram
from refquant.methods.lsq import S_X
from refquant.methods.setting import Term

ADAROUND_GRAM = replace(
    ADAROUND,
    name="adaround-gram",
    parents=("adaround",),
    phases=(replace(ADAROUND.phases[0], terms=(Term(at="layers"),), solver="gram"),),
)
NEAREST_PLANE = replace(
    ADAROUND_GRAM,
    name="nearest-plane",
    reference="Babai 1986; arXiv:2004.10568, eq. 21",
    parents=("adaround-gram",),
    phases=(
        replace(
            ADAROUND_GRAM.phases[0],
            penalty=None,
            steps=1,
            gram=Gram(start="plane", finish="tabu"),
        ),
    ),
)
ADAQTRANSFORM_GRAM = replace(
    NEAREST_PLANE,
    name="adaqtransform-gram",
    reference=f"{ADDS.reference}, layer by layer",
    parents=("nearest-plane", "adaqtransform"),
    weights=WEIGHTS,
    output=ADDS.output,
    placement="input",
    phases=(
        replace(
            NEAREST_PLANE.phases[0],
            learn=(*NEAREST_PLANE.phases[0].learn, ("s_x", S_X), *ADDS.learn),
        ),
    ),
)
