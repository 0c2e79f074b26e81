"""Calibration: observers, percentiles, step searches, histograms, first steps of LSQ."""
