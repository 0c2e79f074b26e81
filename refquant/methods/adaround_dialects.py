"""AdaRound as released: one paper, nine programs, and the fields in which they differ.

Reference: Nagel et al., arXiv:2004.10568; the programs named below, read from their source
(methods.md 5.1, 5.5, 5.7, 5.8, 6.3 and 6.5).

    dialect    released in                                    beta      t from   loss summed over
    brecq      yhhhli/BRECQ quant/, scripts' arguments        linear    1        channels
    qdrop      wimh966/QDrop solver/recon.py, its configs     linear    1        channels
    mqbench    ModelTC/MQBench advanced_ptq.py, its configs   linear    1        channels
    aimet      quic/aimet v1, October 2024                    cosine    0        channels
    ppq        OpenPPL/ppq optim/legacy.py                    cosine    0        nothing: the mean
    amct       hicann/amct ada_round                          cosine    0        channels
    brevitas   Xilinx/brevitas learned_round_utils.py         linear    1        channels
    torch      torch.ao.quantization.experimental             cosine    0        nothing: the mean
    onnxsim    onnxsim/adaround.py, 2026                      linear    0        nothing: the mean

The rest is in the settings: where beta arrives and what follows, the start of alpha, the decision
at h = 1/2, lambda, rate, steps, batches. Only AdaRound itself is a dialect here; grids, steps and
the activations are those of `ADAROUND`, so that two dialects can be compared, except for amct,
whose steps come from KL divergence (D36).

Differs from: the programs named, in what no field of a phase says.
    ppq        Its loop over the outputs of a block reuses the name of the step counter, so a block
               with one output is always at step 0 and its regulariser never on. Here it counts. It
               reverts by the loss with soft weights; here by the hard one. Rates that fall at 1/2
               and 2/3 belong to the weight's step, which it tunes before and refquant does not.
    aimet      Takes 15,000 steps where weights have fewer than 8 bits, as published with its code;
               here 10,000 at any width. Replace the phase's `steps`.
    torch      The soft weight is left in place; here alpha decides, as its hard mode does.
    amct       Written by rounding the soft weight; here alpha decides (D12).
    onnxsim    Passes no gradient at the ends of the level clip; here the interval is closed.
"""

from dataclasses import replace
from typing import Any

from refquant.calibrate.kl_amct import KlAmct
from refquant.components import AdaRoundWeights
from refquant.methods.adaround import ADAROUND
from refquant.methods.setting import Learn, Penalty, Setting, Term
from refquant.optim.schedules import BetaSchedule

QUOTIENT = AdaRoundWeights(alpha_init="quotient")  # -log((zeta - gamma) / (f - gamma) - 1)
HELD = Penalty(lam=0.01, beta=BetaSchedule(after="hold"))
COSINE = BetaSchedule(curve="cosine", first_step=0)
MEAN = (Term(reduction="mean"),)


def _dialect(tool: str, program: str, weights: AdaRoundWeights, **phase: Any) -> Setting:
    """Return AdaRound with these fields of its one phase."""
    return replace(
        ADAROUND,
        name=f"adaround-{tool}",
        reference=program,
        parents=(ADAROUND.name,),
        weights=weights,
        phases=(replace(ADAROUND.phases[0], **phase),),
    )


ADAROUND_BRECQ = _dialect("brecq", "yhhhli/BRECQ", QUOTIENT, penalty=HELD)
ADAROUND_QDROP = _dialect(
    "qdrop", "wimh966/QDrop", QUOTIENT, penalty=HELD, sampling="with_replacement"
)
ADAROUND_MQBENCH = _dialect("mqbench", "ModelTC/MQBench", QUOTIENT, penalty=HELD, sampling="blocks")
ADAROUND_AIMET = _dialect(
    "aimet", "quic/aimet v1", QUOTIENT, penalty=Penalty(lam=0.01, beta=COSINE), steps=10_000
)
ADAROUND_PPQ = _dialect(
    "ppq",
    "OpenPPL/ppq legacy.py",
    QUOTIENT,
    unit="block",
    terms=MEAN,
    penalty=Penalty(lam=0.01, beta=replace(COSINE, after="continue")),
    sampling="cycle",
    steps=8_000,
    keep_best=True,
)
ADAROUND_AMCT = _dialect(
    "amct",
    "hicann/amct ada_round",
    AdaRoundWeights(calibration=KlAmct()),
    penalty=Penalty(lam=0.01, beta=COSINE),
    steps=10_000,
)
ADAROUND_BREVITAS = _dialect(
    "brevitas",
    "Xilinx/brevitas learned_round",
    replace(QUOTIENT, tie="down"),
    penalty=HELD,
    steps=1_000,
)
ADAROUND_TORCH = _dialect(
    "torch-experimental",
    "torch.ao.quantization.experimental",
    QUOTIENT,
    terms=MEAN,
    penalty=Penalty(lam=0.001, beta=COSINE),
    sampling="epochs",
    batch=256,
    steps=10_000,
)
ADAROUND_ONNXSIM = _dialect(
    "onnxsim",
    "onnxsim/adaround.py",
    AdaRoundWeights(alpha_init="clipped", edge="strict", tie="down"),
    learn=(("alpha", Learn(lr=0.1)),),
    quantize=("weights",),
    source="float",
    terms=(Term(at="layers", reduction="mean"),),
    penalty=Penalty(lam=0.01, beta=BetaSchedule(first_step=0, arrive="last")),
    sampling="full",
    steps=300,
)
DIALECTS = (
    ADAROUND_BRECQ,
    ADAROUND_QDROP,
    ADAROUND_MQBENCH,
    ADAROUND_AIMET,
    ADAROUND_PPQ,
    ADAROUND_AMCT,
    ADAROUND_BREVITAS,
    ADAROUND_TORCH,
    ADAROUND_ONNXSIM,
)
