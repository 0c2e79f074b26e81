"""Descriptions of the operations of AdaRound."""

from refquant.oracle.families.adaround import ops_schedule, ops_sigmoid, ops_step, ops_weight

OPS = (*ops_sigmoid.OPS, *ops_weight.OPS, *ops_schedule.OPS, *ops_step.OPS)
