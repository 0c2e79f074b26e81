"""POS: train real weights behind quantized activations, then round what they have become.

Reference: AE-QDrop's progressive optimisation strategy, reconstructed from its abstract and an
overview (methods.md 10.4, D13). Do not read these results as those of the published method.

    stage   learns         weights              activations                     steps
    A       v_w and s_x    W + V, real          randomly weighted: m Q + (1 - m) x, m ~ U[0, 1]
    B       h, in [0, 1]   s (F + v), rounded   likewise; s_x frozen            20,000 each

    paper   here                value
    W'      W + v_w             Adam 1e-5, as AdaQuant's V; the published rate is not known
    v       h                   Adam 2e-4: its way is 1 where alpha's is 4.8, at 1e-3 (5.7)
    m       Mix(rule="uniform") at the input and at the quantizers

Stage A lets the weights absorb the error of the activations: a product of activations with
multiplicative noise equals one of exact activations with noisy weights (P31). `POS_CLOSED_FORM`
replaces it by the least-squares solution of that, layer by layer (`AbsorbError`); it is ours.
"""

from dataclasses import replace

from refquant.components import ProgressiveWeights
from refquant.methods.absorb import AbsorbError
from refquant.methods.lsq import S_X
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Learn, Mix

RANDOM = (Mix(at="input", rule="uniform"), Mix(at="quantizers", rule="uniform"))
STAGE = replace(QDROP.phases[0], mix=RANDOM, penalty=None)
SHARE = Learn(lr=2e-4, project=(0.0, 1.0))
STAGE_A = replace(STAGE, learn=(("v_w", Learn(lr=1e-5)), ("s_x", S_X)), harden=())
STAGE_B = replace(STAGE, learn=(("h", SHARE),))

POS = replace(
    QDROP,
    name="pos",
    reference="AE-QDrop, reconstructed (D13)",
    parents=("qdrop",),
    weights=ProgressiveWeights(grid=QDROP.weights.grid, calibration=QDROP.weights.calibration),
    phases=(STAGE_A, STAGE_B),
)
POS_CLOSED_FORM = replace(
    POS,
    name="pos-closed-form",
    reference="AE-QDrop, reconstructed (D13), least squares",
    parents=("pos",),
    phases=(replace(STAGE_B, begin=(AbsorbError(),)),),
)
