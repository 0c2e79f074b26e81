"""Scalar twin of bit allocation: every choice in turn.

Written from methods sections 8 and 21 (op 70, convention 7): the smallest sum of losses whose sum
of sizes stays within the budget, the lexicographically smallest of equal ones. Tables are lists
of rows, one row a layer; exact on Fractions. Imports the standard library only.
"""

import itertools
from typing import Any

Table = list[list[Any]]


def total(table: Table, choice: tuple[int, ...]) -> Any:
    """The sum over the layers of the chosen entries."""
    return sum(row[c] for row, c in zip(table, choice, strict=True))


def allocate_bits(loss: Table, size: Table, budget: Any) -> tuple[int, ...] | None:
    """The best choice, or None if nothing fits; product() counts in lexicographic order."""
    best = None
    for choice in itertools.product(*(range(len(row)) for row in loss)):
        if total(size, choice) > budget:
            continue
        if best is None or total(loss, choice) < total(loss, best):
            best = choice
    return best


def calibtip_saving(
    counts: list[int], bits: list[int], choice: tuple[int, ...], base: int, power: int
) -> int:
    """Sum over the layers of counts (base^power - bits^power), by definition."""
    return sum(n * (base**power - bits[c] ** power) for n, c in zip(counts, choice, strict=True))


def calibtip_required(counts: list[int], share: Any, base: int, power: int) -> Any:
    """What has to be saved: total (1 - D 32 / base), total = sum counts base^power."""
    return sum(counts) * base**power * (1 - share * 32 / base)
