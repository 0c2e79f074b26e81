"""Quantizers: grids, rounding functions, fake quantization and their gradients."""
