"""The wrong implementations of the family."""

from refquant.oracle.families.integer import variants_conv, variants_multiplier, variants_requantize

VARIANTS = (
    *variants_conv.VARIANTS,
    *variants_requantize.VARIANTS,
    *variants_multiplier.VARIANTS,
)
