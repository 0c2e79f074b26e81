"""What a border minimises: the error of a linear layer whose two factors are both quantized.

References: AQuant, arXiv:2208.11945, AQ eq.1 to 5 and eq.10 (with the index slips of eq.4 and the
wrong substitution of eq.10 read as in decision D22); methods, section 13.2.

    paper       here       shape              meaning
    x           x          (n, c_in)          clean inputs
    x'          x_prime    (n, c_in)          noised inputs x + e of the quantized network
    dx'         d_x_prime  (n, c_in)          change by the rounding of x'
    W, dW       w, d_w     (c_out, c_in)      weight, and its quantization error
    z           --         (n, c_out)         output W x
    d2L/dz2     d2_z       (c_out, c_out)     second derivative of the loss in z
    H           result     (c_in, c_in)       second derivative of the loss in x

    eq.1   dL ~ 1/2 E[dx^T H dx]                       at a minimum, layers independent
    eq.2   H_ab = W[:, a]^T (d2L/dz2) W[:, b]
    eq.3   H = W^T (d2L/dz2) W
    eq.4   with d2L/dz2 a constant diagonal: E[(W_i dx)^2] for every output i
    eq.5   (W+dW)_i (x'+dx') - W_i x = (W+dW)_i dx' + dW_i x' + W_i e
    eq.10  E[((W+dW)_i x_hat - W_i x)^2], x_hat = x' + dx' rounded at a border

One activation is shared by all rows, so what a border can minimise is the sum over i (P15).
"""

from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array


def second_order_change(d_x: Array, hessian: Array) -> Any:
    """1/2 E[dx^T H dx], the mean over the n rows of d_x, AQ eq.1."""
    return nx.mean(nx.sum(nx.matmul(d_x, hessian) * d_x, axis=1)) * 0.5


def input_hessian(w: Array, d2_z: Array) -> Array:
    """H = W^T (d2L/dz2) W, (c_in, c_in), AQ eq.2 and 3."""
    return nx.matmul(nx.matmul(w.T, d2_z), w)


def row_errors(w: Array, d_x: Array) -> Array:
    """E[(W_i dx)^2] of every output i, (c_out,), AQ eq.4."""
    moved = nx.matmul(d_x, w.T)
    return nx.mean(moved * moved, axis=0)


def output_error(w: Array, d_w: Array, x_prime: Array, d_x_prime: Array, e: Array) -> Array:
    """(W+dW) dx' + dW x' + W e, (n, c_out), the right side of AQ eq.5."""
    by_rounding = nx.matmul(d_x_prime, (w + d_w).T)
    return np.asarray(by_rounding + nx.matmul(x_prime, d_w.T) + nx.matmul(e, w.T))


def border_objective(w_hat: Array, x_hat: Array, w: Array, x: Array) -> Array:
    """E[(What_i x_hat - W_i x)^2] of every output i, (c_out,), AQ eq.5 and 10."""
    error = nx.matmul(x_hat, w_hat.T) - nx.matmul(x, w.T)
    return nx.mean(error * error, axis=0)
