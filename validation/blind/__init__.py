"""Implementations that were written without sight of the goldens, kept as they were written."""
