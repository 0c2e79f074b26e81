"""Optimal answers: rounding as a QUBO, its optimum and local search, bit allocation."""
