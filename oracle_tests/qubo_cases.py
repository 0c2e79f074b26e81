"""Matrices for the solvers of the rounding problem."""

import numpy as np


def whole_matrix(seed, k, reach=3):
    """A symmetric matrix of small whole numbers: many ties."""
    upper = np.triu(np.random.default_rng(seed).integers(-reach, reach + 1, (k, k)))
    return (upper + np.triu(upper, 1).T).astype(np.float64)


def real_matrix(seed, k):
    a = np.random.default_rng(seed).normal(size=(k, k))
    return a + a.T
