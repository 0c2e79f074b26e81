"""Wrong implementations of AQuant."""

from refquant.oracle.families.aquant.variants_border import VARIANTS_BORDER
from refquant.oracle.families.aquant.variants_quant import VARIANTS_QUANT

VARIANTS = VARIANTS_BORDER + VARIANTS_QUANT
