"""The wrong implementations of the family."""

from refquant.oracle.families.fake_quant import (
    variants_adaquant,
    variants_gradient,
    variants_log_sqrt2,
    variants_lsq_plus,
    variants_range,
    variants_uniform,
)

VARIANTS = (
    *variants_uniform.VARIANTS,
    *variants_gradient.VARIANTS,
    *variants_lsq_plus.VARIANTS,
    *variants_adaquant.VARIANTS,
    *variants_log_sqrt2.VARIANTS,
    *variants_range.VARIANTS,
)
