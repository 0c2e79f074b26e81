"""The operations of the family."""

from refquant.oracle.families.fake_quant import (
    ops_adaquant,
    ops_log_sqrt2,
    ops_lsq_plus,
    ops_range,
    ops_uniform,
)

OPS = (
    *ops_uniform.OPS,
    *ops_lsq_plus.OPS,
    *ops_adaquant.OPS,
    *ops_log_sqrt2.OPS,
    *ops_range.OPS,
)
