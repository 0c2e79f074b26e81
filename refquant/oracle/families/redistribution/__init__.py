"""Scales and shifts that move difficulty between weights and activations."""
