"""Scalar twins: every op once more, in loops, importing the standard library only."""
