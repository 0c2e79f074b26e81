"""All operations of the family, in the order of the specification."""

from refquant.oracle.families.layers import ops_conv, ops_linear, ops_norm, ops_pool, ops_relu

OPS = (*ops_conv.OPS, *ops_linear.OPS, *ops_norm.OPS, *ops_relu.OPS, *ops_pool.OPS)
