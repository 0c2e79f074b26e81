"""Descriptions of the ops of AdaQTransform."""

from refquant.oracle.families.adaqtransform import ops_closed, ops_layer, ops_step

OPS = (*ops_layer.OPS, *ops_closed.OPS, *ops_step.OPS)
