"""The operations of the family."""

from refquant.oracle.families.fake_quant import ops_uniform

OPS = (*ops_uniform.OPS,)
