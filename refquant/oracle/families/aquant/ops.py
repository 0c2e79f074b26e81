"""Descriptions of the ops of AQuant."""

from refquant.oracle.families.aquant import ops_border, ops_quant, ops_rounding, ops_step

OPS = (*ops_border.OPS, *ops_quant.OPS, *ops_rounding.OPS, *ops_step.OPS)
