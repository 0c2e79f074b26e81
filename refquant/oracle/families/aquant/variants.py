"""Wrong implementations of AQuant."""

from refquant.oracle.families.aquant.variants_border import VARIANTS_BORDER
from refquant.oracle.families.aquant.variants_quant import VARIANTS_QUANT
from refquant.oracle.families.aquant.variants_rounding import VARIANTS_ROUNDING
from refquant.oracle.families.aquant.variants_step import VARIANTS_STEP

VARIANTS = VARIANTS_BORDER + VARIANTS_QUANT + VARIANTS_ROUNDING + VARIANTS_STEP
