"""AdaQTransform: decouple quantization and dequantization step, per channel, behind the product.

Reference: "Adaptive Quantization Transformation" (methods.md 15).

    paper   AT eq.   here              value
    s_w     1        AdaRoundWeights   symmetric, per output channel, least squared error (D4)
    h       2        alpha             AdaRound on s_w, which stays as it is
    xi      8        xi (XiEta)        scale of an output channel, start 1, Adam 4e-5, cosine (D11)
    eta     8        eta (XiEta)       shift of an output channel, start 0, likewise
    --      Alg. 1   the rest          NWQ's pipeline: network-wise, alpha and s_x of all layers

Two things differ from `nwq`: xi and eta, and the grid of weights, which is QDrop's there, affine
and searched at p = 2.4. The same without xi and eta is ``case-1.1.2`` (`paradigm`).

The arithmetic is in `refquant.quantizers.transform`. Both fold away: y = (xi s_w s_x) sum w_int
x_int + (b + eta), AT eq. 9. Behind another method, ``brecq+adaqtransform``, that method's pipeline
is kept and only `ADDS` joins it (methods.md 15.5).

Appendix D compares how finely they are shared (methods.md 15.6): ``adaqtransform-layer``,
``-pixel`` and ``-network``. Per pixel they do not fold: deployment needs a multiplier for every
position.
"""

from dataclasses import replace

from refquant.calibrate.mse_search import MseSearch
from refquant.components import AdaRoundWeights, XiEta
from refquant.methods.compose import Adds
from refquant.methods.nwq import NWQ
from refquant.methods.setting import Learn, Setting

TRANSFORM = Learn(lr=4e-5, schedule="cosine")
WEIGHTS = AdaRoundWeights(grid="signed", calibration=MseSearch("grid100_1d", p=2.0))
ADDS = Adds(
    reference="AdaQTransform 2025",
    output=XiEta(),
    learn=(("xi", TRANSFORM), ("eta", TRANSFORM)),
)

ADAQTRANSFORM = replace(
    NWQ,
    name="adaqtransform",
    reference=ADDS.reference,
    parents=("nwq",),
    weights=WEIGHTS,
    output=ADDS.output,
    phases=(replace(NWQ.phases[0], learn=(*NWQ.phases[0].learn, *ADDS.learn)),),
)


def _shared(granularity: str) -> Setting:
    """Return AdaQTransform with xi and eta of another granularity."""
    return replace(
        ADAQTRANSFORM,
        name=f"{ADAQTRANSFORM.name}-{granularity}",
        reference=f"{ADDS.reference}, appendix D",
        parents=(ADAQTRANSFORM.name,),
        output=XiEta(xi=granularity, eta=granularity),
    )


GRANULARITIES = tuple(_shared(granularity) for granularity in ("layer", "pixel", "network"))
