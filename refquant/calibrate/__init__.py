"""Calibration: initial ranges and steps from data (methods: min-max, percentile, searches, KL)."""
