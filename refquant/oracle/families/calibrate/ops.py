"""All operations of the family, in the order of the specification."""

from refquant.oracle.families.calibrate import ops_kl, ops_range, ops_search

OPS = (*ops_range.OPS, *ops_search.OPS, *ops_kl.OPS)
