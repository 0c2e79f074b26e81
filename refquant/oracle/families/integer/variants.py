"""The wrong implementations of the family."""

from refquant.oracle.families.integer import variants_requantize

VARIANTS = (*variants_requantize.VARIANTS,)
