"""The operations of the family."""

from refquant.oracle.families.integer import ops_conv, ops_requantize

OPS = (*ops_conv.OPS, *ops_requantize.OPS)
