"""Wrong implementations of AdaRound's operations."""

from refquant.oracle.families.adaround import (
    variants_schedule,
    variants_sigmoid,
    variants_step,
    variants_weight,
)

VARIANTS = (
    *variants_sigmoid.VARIANTS,
    *variants_weight.VARIANTS,
    *variants_schedule.VARIANTS,
    *variants_step.VARIANTS,
)
