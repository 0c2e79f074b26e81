"""The wrong implementations of the family."""

from refquant.oracle.families.fake_quant import variants_gradient, variants_uniform

VARIANTS = (*variants_uniform.VARIANTS, *variants_gradient.VARIANTS)
