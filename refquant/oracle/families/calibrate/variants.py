"""All wrong implementations of the family."""

from refquant.oracle.families.calibrate import variants_kl, variants_range, variants_search

VARIANTS = (*variants_range.VARIANTS, *variants_search.VARIANTS, *variants_kl.VARIANTS)
