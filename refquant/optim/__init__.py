"""Optimisers and schedules as pure functions."""
