"""Rounding to integers: six standard functions, and the movable border."""
