"""All wrong implementations of the family."""

from refquant.oracle.families.layers import variants_conv, variants_dense, variants_pool

VARIANTS = (*variants_conv.VARIANTS, *variants_dense.VARIANTS, *variants_pool.VARIANTS)
