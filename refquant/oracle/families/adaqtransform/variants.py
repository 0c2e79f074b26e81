"""Wrong implementations of AdaQTransform."""

from refquant.oracle.families.adaqtransform.variants_closed import VARIANTS_CLOSED
from refquant.oracle.families.adaqtransform.variants_layer import VARIANTS_LAYER
from refquant.oracle.families.adaqtransform.variants_step import VARIANTS_STEP

VARIANTS = VARIANTS_LAYER + VARIANTS_CLOSED + VARIANTS_STEP
