"""Mixing values with their quantized selves, and weights with their neighbouring levels."""
