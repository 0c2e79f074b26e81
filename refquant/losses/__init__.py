"""Losses: value and gradient side by side."""
