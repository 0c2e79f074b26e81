"""The operations of the family."""

from refquant.oracle.families.integer import ops_requantize

OPS = (*ops_requantize.OPS,)
