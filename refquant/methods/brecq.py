"""BRECQ: reconstruct whole blocks; weights first, then the steps of the activations.

Reference: Li et al., "BRECQ: Pushing the Limit of Post-Training Quantization by Block
Reconstruction", ICLR 2021, arXiv:2102.05426 (methods.md 9).

    stage   learns   inputs                      activations   steps    loss
    1       alpha    weight-quantized prefix     real          20,000   p = 2, regulariser
    2       s_x      float prefix                quantized     5,000    p = 2.4

Differs from: the paper weights the error by the Fisher information of the task; its main script
uses the plain error, and so does `BRECQ`. `BRECQ_FISHER_DIAG` and `BRECQ_FISHER_FULL` put the
weighted losses of the released code (methods.md 5.2) in the first stage; nothing else differs.
"""

from dataclasses import replace

from refquant.calibrate.mse_search import MseSearch
from refquant.components import AdaRoundWeights, NearestActivations
from refquant.methods.adaround import ADAROUND
from refquant.methods.lsq import FLOOR
from refquant.methods.setting import Learn, Penalty, Phase, Setting, Term
from refquant.optim.schedules import BetaSchedule

LINEAR = Penalty(lam=0.01, beta=BetaSchedule(curve="linear", start=20.0, end=2.0, warm_up=0.2))

BRECQ = replace(
    ADAROUND,
    name="brecq",
    reference="Li et al. 2021, arXiv:2102.05426",
    parents=("adaround",),
    weights=AdaRoundWeights(grid="affine", calibration=MseSearch("grid100_1d", p=2.4)),
    activations=NearestActivations(calibration=MseSearch("grid100_1d", p=2.4)),
    order="phase-first",
    phases=(
        Phase(
            learn=(("alpha", Learn(lr=1e-3)),),
            unit="block",
            quantize=("weights",),
            source="quantized",
            penalty=LINEAR,
            steps=20_000,
        ),
        Phase(
            learn=(("s_x", Learn(lr=4e-4, schedule="cosine", project=FLOOR)),),
            unit="block",
            source="float",
            terms=(Term(p=2.4),),
            steps=5_000,
            harden=(),
        ),
    ),
)


def _weighted(name: str, kind: str) -> Setting:
    """Return BRECQ with Fisher weights in the loss of the weights' stage."""
    first, *rest = BRECQ.phases
    phases = (replace(first, terms=(Term(kind=kind),)), *rest)
    reference = f"{BRECQ.reference}, eq. 10"
    return replace(BRECQ, name=name, reference=reference, parents=("brecq",), phases=phases)


BRECQ_FISHER_DIAG = _weighted("brecq-fisher-diag", "fisher_diag")
BRECQ_FISHER_FULL = _weighted("brecq-fisher-full", "fisher_full")
