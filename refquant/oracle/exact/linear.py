"""Scalar twin of linear: y[n][o] = bias[o] + sum_f w[o][f] * x[n][f], methods 4.1.

Works on nested lists of any numbers: exact on Fractions and on dyadic floats. Imports the
standard library only.
"""

from typing import Any

Nested = list[Any]


def linear(x: Nested, w: Nested, bias: Nested | None) -> Nested:
    """y[n][o]; the bias is added last."""
    y = []
    for sample in x:
        row = [sum(weights[f] * sample[f] for f in range(len(sample))) for weights in w]
        y.append(row if bias is None else [row[o] + bias[o] for o in range(len(w))])
    return y


def linear_backward(d_y: Nested, x: Nested, w: Nested) -> tuple[Nested, Nested, Nested]:
    """(d_x, d_w, d_bias): every product w * x of y gives d_y * w to d_x and d_y * x to d_w."""
    samples, outputs, features = range(len(x)), range(len(w)), range(len(w[0]))
    d_x = [[sum(d_y[n][o] * w[o][f] for o in outputs) for f in features] for n in samples]
    d_w = [[sum(d_y[n][o] * x[n][f] for n in samples) for f in features] for o in outputs]
    d_bias = [sum(d_y[n][o] for n in samples) for o in outputs]
    return d_x, d_w, d_bias
