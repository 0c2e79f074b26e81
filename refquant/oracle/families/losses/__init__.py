"""Losses: reconstruction, Fisher-weighted errors, divergence of logits."""
