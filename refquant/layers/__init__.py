"""Layers, one operation a file: forward and analytic backward side by side."""
