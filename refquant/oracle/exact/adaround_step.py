"""Scalar twin of the middle of an AdaRound step: from soft weights to their gradient.

Written from methods.md 5.1 and 6.4 for a fully connected layer, y = w_hat x: loops over samples,
outputs and inputs. Numbers are floats, Fractions or tracked numbers. Imports the standard library
only.
"""

from typing import Any

Matrix = list[list[Any]]


def reconstruction(w_hat: Matrix, x: Matrix, target: Matrix, places: int) -> tuple[Any, Matrix]:
    """(L, dL/dw_hat) with L = sum over samples and outputs of (w_hat x - target)^2, over places."""
    errors = [
        [
            sum(a * b for a, b in zip(row, sample, strict=True)) - t
            for row, t in zip(w_hat, wanted, strict=True)
        ]
        for sample, wanted in zip(x, target, strict=True)
    ]
    loss = sum(e * e for row in errors for e in row) / places
    d_w_hat = [
        [
            2 * sum(row[i] * sample[j] for row, sample in zip(errors, x, strict=True)) / places
            for j in range(len(w_hat[i]))
        ]
        for i in range(len(w_hat))
    ]
    return loss, d_w_hat
