"""Scalar twin of QDrop's mix and of AMixup, exact on Fractions.

Written from methods 10.1, 10.3 and 11. Rows are lists; a mask holds shares of the quantized value,
bools or numbers. Imports the standard library only.
"""

import itertools
from typing import Any

Row = list[Any]


def mixed(a: Any, b: Any, share: Any) -> Any:
    """share a + (1 - share) b; shares of 0 and 1 select, whatever the other is."""
    if share == 1 or share == 0:
        return a if share == 1 else b
    return share * a + (1 - share) * b


def qdrop_mix(x: Row, x_q: Row, mask: Row) -> Row:
    """m Q(x) + (1 - m) x, entry by entry."""
    return [mixed(q, v, m) for v, q, m in zip(x, x_q, mask, strict=True)]


def qdrop_mix_backward(d_y: Row, mask: Row) -> tuple[Row, Row]:
    """((1 - m) d_y, m d_y): what reaches x directly, and the quantized value."""
    return (
        [(1 - m) * g for g, m in zip(d_y, mask, strict=True)],
        [m * g for g, m in zip(d_y, mask, strict=True)],
    )


def amixup(x: Row, x_q: Row, share: Any) -> Row:
    """P x + (1 - P) Q(x) with one share."""
    return [mixed(v, q, share) for v, q in zip(x, x_q, strict=True)]


def amixup_backward(d_y: Row, share: Any) -> tuple[Row, Row]:
    """(P d_y, (1 - P) d_y)."""
    return [share * g for g in d_y], [(1 - share) * g for g in d_y]


def masks(size: int, keep: Any) -> list[tuple[list[int], Any]]:
    """All masks with their probabilities, pr = keep being that of a 1."""
    listed = []
    for mask in itertools.product((0, 1), repeat=size):
        probability = 1
        for m in mask:
            probability *= keep if m else 1 - keep
        listed.append((list(mask), probability))
    return listed


def noise_in_weights(w_hat: list[Row], x: Row, x_hat: Row) -> list[Row]:
    """w_ij (1 + u_j) with x_hat_j = x_j (1 + u_j), u_j = 0 where x_j = 0."""
    noise = [hat / v - 1 if v != 0 else 0 for v, hat in zip(x, x_hat, strict=True)]
    return [[w * (1 + u) for w, u in zip(row, noise, strict=True)] for row in w_hat]


def product(w: list[Row], x: Row) -> Row:
    """W x."""
    return [sum(a * b for a, b in zip(row, x, strict=True)) for row in w]
