"""The operations of the family."""

from refquant.oracle.families.fake_quant import ops_adaquant, ops_lsq_plus, ops_uniform

OPS = (*ops_uniform.OPS, *ops_lsq_plus.OPS, *ops_adaquant.OPS)
