"""Methods: one short file each, and the catalogue that everything else reads.

Adding a method is one file and one line here; the README table, the command line, `describe` and
the laws that hold for every method pick it up. So is an addition, what may stand behind a plus:
`resolve("aquant+adaqtransform")` is AQuant's pipeline with AdaQTransform's xi and eta.
"""

from refquant._checks import complaint
from refquant.methods.a_rounding import A_ROUNDING
from refquant.methods.adaqtransform import ADAQTRANSFORM, GRANULARITIES
from refquant.methods.adaqtransform import ADDS as XI_ETA
from refquant.methods.adaquant import ADAQUANT, ADAQUANT_SCALE, ADAQUANT_SEQUENTIAL
from refquant.methods.adaround import ADAROUND
from refquant.methods.adaround_dialects import DIALECTS
from refquant.methods.allocation import BitAllocation
from refquant.methods.aquant import (
    AQUANT,
    AQUANT_RECOMMENDED,
    CLOSED_FORM,
    EQUAL_ROUNDING,
    NORMALIZED,
)
from refquant.methods.brecq import BRECQ, BRECQ_FISHER_DIAG, BRECQ_FISHER_FULL
from refquant.methods.catalogue import Catalogue
from refquant.methods.closed_border import NEAREST_BORDER
from refquant.methods.closed_form import (
    ANALYTIC_BIAS_CORRECTION,
    BIAS_CORRECTION,
    NEAREST_BIAS_CORRECTION,
    NEAREST_OLS,
    OLS,
)
from refquant.methods.compose import Adds, compose
from refquant.methods.controls import AQUANT_FIXED_BORDER, AQUANT_UNSCHEDULED, QDROP_INPUT
from refquant.methods.describe import describe
from refquant.methods.differences import differences
from refquant.methods.gram import Gram
from refquant.methods.gram_methods import ADAQTRANSFORM_GRAM, ADAROUND_GRAM, NEAREST_PLANE
from refquant.methods.lsq import LSQ
from refquant.methods.lsq_plus import LSQ_PLUS, LSQ_PLUS_OFFSET
from refquant.methods.mixed_precision import BIT_ALLOCATION
from refquant.methods.mrecg import MRECG
from refquant.methods.nearest import NEAREST
from refquant.methods.nwq import NWQ, NWQ_ASOFTMAX
from refquant.methods.paradigm import CASES, EQUATIONS
from refquant.methods.pd_quant import PD_QUANT
from refquant.methods.pos import POS, POS_CLOSED_FORM
from refquant.methods.qat_lsq import QAT_LSQ
from refquant.methods.qdrop import QDROP, QDROP_RELEASED
from refquant.methods.real_weights import (
    AQUANT_W32,
    NEAREST_W32,
    QDROP_W32,
    with_real_weights,
)
from refquant.methods.redistribution import CLE, LOG_SQRT2, OS_PLUS, REPQ, SMOOTHQUANT
from refquant.methods.sequential import SEQ_MSE, SEQ_MSE_FLOAT
from refquant.methods.setting import Learn, Mix, Penalty, Phase, Setting, Term
from refquant.methods.squant import SQUANT

CATALOGUE = (
    NEAREST,
    NEAREST_OLS,
    NEAREST_BIAS_CORRECTION,
    NEAREST_BORDER,
    SQUANT,
    A_ROUNDING,
    ADAROUND,
    *DIALECTS,
    ADAROUND_GRAM,
    NEAREST_PLANE,
    ADAQUANT,
    ADAQUANT_SEQUENTIAL,
    ADAQUANT_SCALE,
    LSQ,
    LSQ_PLUS,
    LSQ_PLUS_OFFSET,
    BRECQ,
    BRECQ_FISHER_DIAG,
    BRECQ_FISHER_FULL,
    QDROP,
    QDROP_RELEASED,
    PD_QUANT,
    POS,
    POS_CLOSED_FORM,
    MRECG,
    NWQ,
    NWQ_ASOFTMAX,
    AQUANT,
    AQUANT_RECOMMENDED,
    AQUANT_FIXED_BORDER,
    AQUANT_UNSCHEDULED,
    QDROP_INPUT,
    NEAREST_W32,
    QDROP_W32,
    AQUANT_W32,
    ADAQTRANSFORM,
    ADAQTRANSFORM_GRAM,
    *GRANULARITIES,
    *CASES,
    *EQUATIONS,
    QAT_LSQ,
)
ADDITIONS = {
    "adaqtransform": XI_ETA,
    "ols": OLS,
    "bias-correction": BIAS_CORRECTION,
    "analytic-bias-correction": ANALYTIC_BIAS_CORRECTION,
    "closed-form": CLOSED_FORM,
    "equal-rounding": EQUAL_ROUNDING,
    "normalized": NORMALIZED,
    "smoothquant": SMOOTHQUANT,
    "os-plus": OS_PLUS,
    "repq": REPQ,
    "log-sqrt2": LOG_SQRT2,
    "bit-allocation": BIT_ALLOCATION,
    "cle": CLE,
    "seq-mse": SEQ_MSE,
    "seq-mse-float": SEQ_MSE_FLOAT,
}
METHODS = Catalogue(CATALOGUE, ADDITIONS)


def resolve(method: str | Setting) -> Setting:
    """Return the setting called `method`, or `method` itself if it is a setting.

    Parameters
    ----------
    method : str or Setting
        A name of `METHODS`, or names joined by a plus: a method, then what `ADDITIONS` lists.

    Raises
    ------
    ValueError
        If a part has no such name, with the nearest one, or the parts do not go together.
    TypeError
        If `method` is neither a name nor a setting.
    """
    if isinstance(method, Setting):
        return method
    if not isinstance(method, str):
        got = type(method).__name__
        raise TypeError(complaint("resolve", "method", got, "a name or a Setting"))
    return METHODS.find(method)


__all__ = [
    "ADDITIONS",
    "DIALECTS",
    "METHODS",
    "Adds",
    "BitAllocation",
    "Gram",
    "Learn",
    "Mix",
    "Penalty",
    "Phase",
    "Setting",
    "Term",
    "compose",
    "describe",
    "differences",
    "resolve",
    "with_real_weights",
]
