"""AdaQTransform's general paradigm: what may be learnt of a rounding, a step, and a second step.

Reference: "Adaptive Quantization Transformation", AT eq. 2 to 7 and 10 (methods.md 15.1). All cases
share AdaQTransform's own pipeline (network-wise, AT Alg. 1), so that they differ in these columns
alone:

    case    h         s_w      s'_w      learnt                     as a method
    1.1.1   AdaRound  frozen   = s_w     alpha, afterwards s_x      AdaRound, BRECQ
    1.1.2   AdaRound  frozen   = s_w     alpha, s_x                 QDrop, NWQ
    1.2     nearest   learnt   = s_w     s_w, s_x                   `lsq`, which goes block-wise
    2.1     AdaRound  learnt   frozen    alpha, s_w, s_x            --
    2.2     AdaRound  frozen   learnt    alpha, s'_w, s_x           eq. 6; xi = s'_w / s_w (P40)
    2.3     AdaRound  learnt   learnt    alpha, s_w, s'_w, s_x      --
    2.2-b   AdaRound  frozen   learnt    alpha, s'_w, s_x, b'       eq. 7; eta = b' - b (P40)
    bn      AdaRound  frozen   = s_w     alpha, s_x, gamma, beta    eq. 10; xi, eta by D19 (P43)
    QAT     nearest   learnt   = s_w     W, b, s_w, s_x             `qat-lsq`, a file of its own

s'_w is called `s_w_out`. It starts at s_w, so all cases with AdaRound start at the same loss (P53).
Rates of both steps are relative to their size: a step has the data's unit, and only so does case
2.2 move as xi does (P41).

``DecoupledWeights(case="tied")`` has AdaRound's h on a step that is learnt, s'_w = s_w, offered
beside the table (D32).

In row bn batch norms are not folded: weights are rounded as they stand before the norm, whose
scale and shift are learnt, and deployment folds those. A layer without one learns the rest.
"""

from dataclasses import replace

from refquant.components import DecoupledWeights, FreeBias, NearestWeights, NormAffine
from refquant.methods.adaqtransform import ADAQTRANSFORM, TRANSFORM, WEIGHTS
from refquant.methods.lsq import S_W, S_X
from refquant.methods.nwq import NWQ
from refquant.methods.setting import Learn, Setting

ALPHA = ("alpha", Learn(lr=1e-3))
STEP_IN, STEP_OUT, STEP_X = ("s_w", S_W), ("s_w_out", S_W), ("s_x", S_X)
RELATIVE = replace(TRANSFORM, relative=True)  # gamma = xi gamma_0: moves as xi does
JOINT = NWQ.phases[0]
REFERENCE = "AdaQTransform 2025, Table 1"


def _decoupled(case: str, *learn: tuple[str, Learn]) -> Setting:
    weights = DecoupledWeights(grid=WEIGHTS.grid, calibration=WEIGHTS.calibration, case=case)
    phases = (replace(JOINT, learn=learn),)
    name, parents = f"case-{case}", (CASE_112.name,)
    return replace(CASE_112, name=name, parents=parents, weights=weights, phases=phases)


CASE_112 = replace(
    ADAQTRANSFORM,
    name="case-1.1.2",
    reference=REFERENCE,
    parents=(ADAQTRANSFORM.name,),
    output=None,
    phases=(replace(JOINT, learn=(ALPHA, STEP_X)),),
)
CASE_111 = replace(
    CASE_112,
    name="case-1.1.1",
    parents=(CASE_112.name,),
    phases=(
        replace(JOINT, learn=(ALPHA,), quantize=("weights",), mix=()),
        replace(JOINT, learn=(STEP_X,), penalty=None),
    ),
)
CASE_12 = replace(
    CASE_112,
    name="case-1.2",
    parents=(CASE_112.name,),
    weights=NearestWeights(grid=WEIGHTS.grid, calibration=WEIGHTS.calibration),
    phases=(replace(JOINT, learn=(STEP_IN, STEP_X), penalty=None),),
)
CASE_21 = _decoupled("2.1", ALPHA, STEP_IN, STEP_X)
CASE_22 = _decoupled("2.2", ALPHA, STEP_OUT, STEP_X)
CASE_23 = _decoupled("2.3", ALPHA, STEP_IN, STEP_OUT, STEP_X)
CASE_22_BIAS = replace(
    CASE_22,
    name="case-2.2-bias",
    reference="AdaQTransform 2025, eq. 7",
    parents=(CASE_22.name,),
    output=FreeBias(),
    phases=(replace(JOINT, learn=(ALPHA, STEP_OUT, STEP_X, ("bias", TRANSFORM))),),
)
BN_UNFOLDED = replace(
    CASE_112,
    name="bn-unfolded",
    reference="AdaQTransform 2025, eq. 10",
    parents=(CASE_112.name,),
    prepare=(),
    output=NormAffine(),
    phases=(
        replace(
            JOINT,
            learn=(ALPHA, STEP_X, ("gamma", RELATIVE), ("beta", TRANSFORM)),
        ),
    ),
)
CASES = (CASE_111, CASE_112, CASE_12, CASE_21, CASE_22, CASE_23)
EQUATIONS = (CASE_22_BIAS, BN_UNFOLDED)
