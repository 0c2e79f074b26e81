"""One bit width per layer: the smallest total loss within a budget, exactly.

References: Hubara et al., arXiv:2006.10518 (CalibTIP), section 3.3, which poses this integer
programme; methods, section 8 and convention 7 (P51, golden op 70). It is a multiple-choice
knapsack; the pruning by a Lagrange multiplier is that of H. Everett, Operations Research 11
(1963) 399.

    symbol    here      shape    meaning
    L_lc      loss      (l, c)   loss increase if layer l takes choice c
    S_lc      size      (l, c)   its size: bits, bit-operations, any unit, of any sign
    B         budget    number   upper end of the total size
    --        choice    (l,)     one c for each layer

    minimise  sum_l loss[l, choice_l]   subject to   sum_l size[l, choice_l] <= budget

States (size, loss) of the last layers are extended layer by layer; a state stays if no state of
at most its size has at most its loss, and if even a relaxed rest, for which sizes have the price
`price`, could bring it to the best choice known.

Exactness: floats are whole numbers over a power of two, and all sums are of Python integers. The
answer is the optimum of the given floats and, among equals, the lexicographically smallest
choice. The price is found in floats; a poor one prunes less and changes nothing.

Edge cases: the budget may be met exactly. A budget below the smallest size is refused. Problems
built against pruning (every subset of layers a different size and a fair loss) can need more
than 250000 states, which is refused as well.

Differs from: CalibTIP leaves ties, and anything within its solver's tolerance, to the solver.
"""

import math
from bisect import bisect_right
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_array, check_finite, check_int, check_operand, complaint
from refquant._types import Array

MAX_STATES = 250_000
LOSS_FLOOR = 1e-6  # CalibTIP, mpip_compression
TRIALS = 80  # of prices: doublings, then halvings
MAX_PRICE = 1e100
State = tuple[int, int]  # (size, loss)
Rows = list[list[int]]


class Problem(NamedTuple):
    """loss and size (l, c), and the budget: arguments of `allocate_bits`."""

    loss: Array
    size: Array
    budget: float


class Whole(NamedTuple):
    """The problem in integers: loss in units of 2^-loss_shift, size and budget of 2^-size_shift."""

    loss: Rows
    size: Rows
    budget: int
    loss_shift: int
    size_shift: int


class Allocation(NamedTuple):
    """choice (l,), int64; its loss and its size, each the exact sum rounded once."""

    choice: Array
    loss: float
    size: float


def calibtip_problem(
    increase: Array, counts: Array, bits: tuple[int, ...], share: float, power: int = 1
) -> Problem:
    """CalibTIP's programme: saved size at least total (1 - D 32 / base), methods 8.

    Parameters
    ----------
    increase : (l, c) array, float32 or float64
        Measured loss minus that of the base network, layer by layer and width by width. Taken
        as 0 at the base width, and as at least 1e-6 elsewhere.
    counts : (l,) integer array
        Weights of a layer (power 1), or its multiply-accumulates (power 2); positive.
    bits : tuple of int
        The c widths; the first is the base.
    share : float
        D: the size allowed, as a share of the same layers at 32 bits by the base width.
    power : int
        1 for memory, 2 for bit-operations with equal widths of both operands.

    Returns
    -------
    Problem
        size = counts bits^power and budget = D 32 base^(power - 1) sum(counts).

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, an entry is not finite, or counts, widths or power are out of range.
    """
    function = "calibtip_problem"
    check_finite(function, "increase", check_array(function, "increase", increase, ndim=2))
    if not isinstance(counts, np.ndarray) or counts.dtype.kind not in "iu":
        got = getattr(counts, "dtype", type(counts).__name__)
        raise TypeError(complaint(function, "counts", got, "an array of integers"))
    widths = [check_int(function, "bits", b, 1, 32) for b in bits]
    if increase.shape != (len(counts), len(widths)) or np.any(counts < 1):
        got = f"of shape {increase.shape}, beside {len(counts)} counts and {len(widths)} widths"
        raise ValueError(complaint(function, "increase", got, "(counts, widths), counts >= 1"))
    order = check_int(function, "power", power, 1, 2)
    weights = [int(count) for count in counts]
    cost = [b if order == 1 else b * b for b in widths]
    size = np.array([[n * each for each in cost] for n in weights], dtype=np.float64)
    loss = np.maximum(increase.astype(np.float64), LOSS_FLOOR)
    loss[:, [b == widths[0] for b in widths]] = 0.0
    return Problem(loss, size, float(share) * (32 * cost[0] // widths[0] * sum(weights)))


def allocate_bits(loss: Array, size: Array, budget: float) -> Allocation:
    """The lexicographically smallest optimal choice, golden op 70.

    Parameters
    ----------
    loss, size : (l, c) arrays, float32 or float64 of one dtype
        Finite; l, c >= 1.
    budget : float
        Finite.

    Returns
    -------
    Allocation
        The choice, with its loss and its size.

    Raises
    ------
    TypeError, ValueError
        If the tables do not fit, an entry is not finite, no choice fits the budget, or the
        search outgrows 250000 states.
    """
    tables = check_problem("allocate_bits", loss, size, budget)
    return allocation_of(tables, _walk(tables, _fronts(tables, *_price(loss, size, tables))))


def _fronts(tables: Whole, price: Fraction, known: int) -> list[list[State]]:
    """For k = 0..l the states worth keeping of the layers from k on, sizes up, losses down."""
    top, bottom = price.numerator, price.denominator
    relaxed, lightest = [0], [0]  # least priced cost, and least size, of the layers before k
    for losses, sizes in zip(tables.loss, tables.size, strict=True):
        priced = [bottom * a + top * s for a, s in zip(losses, sizes, strict=True)]
        relaxed.append(relaxed[-1] + min(priced))
        lightest.append(lightest[-1] + min(sizes))
    limit = bottom * known + top * tables.budget
    fronts: list[list[State]] = [[(0, 0)]]
    for k in reversed(range(len(tables.loss))):
        pairs = list(zip(tables.size[k], tables.loss[k], strict=True))
        room, cost = tables.budget - lightest[k], limit - relaxed[k]
        grown = ((s + more, a + worse) for s, a in fronts[-1] for more, worse in pairs)
        live = [(s, a) for s, a in grown if s <= room and bottom * a + top * s <= cost]
        fronts.append(_undominated(live))
        if len(fronts[-1]) > MAX_STATES:
            got, fix = f"a problem of more than {MAX_STATES} states", "Round sizes or losses."
            raise ValueError(complaint("allocate_bits", "loss", got, "a smaller one", fix))
    return fronts[::-1]


def _undominated(states: list[State]) -> list[State]:
    """Of equal or growing sizes only the states with less loss than all before."""
    front: list[State] = []
    for size, loss in sorted(states):
        if not front or loss < front[-1][1]:
            front.append((size, loss))
    return front


def _walk(tables: Whole, fronts: list[list[State]]) -> list[int]:
    """The smallest choice of each layer in turn from which the best total can be reached."""
    rest, target = tables.budget, fronts[0][-1][1]
    choice = []
    for losses, sizes, front in zip(tables.loss, tables.size, fronts[1:], strict=True):
        pairs = enumerate(zip(losses, sizes, strict=True))
        c = next(c for c, (a, s) in pairs if _least(front, rest - s) == target - a)
        choice.append(c)
        rest, target = rest - sizes[c], target - losses[c]
    return choice


def _least(front: list[State], room: int) -> int | None:
    """The smallest loss of a state that fits; None if none does."""
    fits = bisect_right(front, room, key=lambda state: state[0])
    return front[fits - 1][1] if fits else None


def _price(loss: Array, size: Array, tables: Whole) -> tuple[Fraction, int]:
    """A price of one unit of size near the best multiplier, and a loss that is reachable.

    The price is doubled until the cheapest choices fit, then bisected; the losses of choices
    that fit are reachable. If none fits, the smallest sizes do.
    """
    smallest = [row.index(min(row)) for row in tables.size]
    known = total_of(tables.loss, smallest)
    loss, size = loss.astype(np.float64), size.astype(np.float64)
    spread = float(np.ptp(size))
    first = float(np.ptp(loss)) / spread if spread > 0.0 else 1.0
    price, low, high, best = 0.0, 0.0, math.inf, 0.0
    for _ in range(TRIALS):
        with np.errstate(over="ignore"):
            picks = np.argmin(loss + price * size, axis=1).tolist()
        if total_of(tables.size, picks) <= tables.budget:
            high = best = price
            known = min(known, total_of(tables.loss, picks))
        else:
            low = price
        price = max(2.0 * low, first) if high == math.inf else (low + high) / 2.0
        if price > MAX_PRICE:
            break
    return Fraction(best) * (1 << tables.loss_shift) / (1 << tables.size_shift), known


def total_of(table: Rows, choice: list[int]) -> int:
    """The sum over the layers of what each choice costs."""
    return sum(row[c] for row, c in zip(table, choice, strict=True))


def allocation_of(tables: Whole, choice: list[int]) -> Allocation:
    """Return the choice with its exact sums."""
    loss = total_of(tables.loss, choice) / (1 << tables.loss_shift)
    size = total_of(tables.size, choice) / (1 << tables.size_shift)
    return Allocation(np.array(choice, dtype=np.int64), loss, size)


def check_problem(function: str, loss: Any, size: Any, budget: float) -> Whole:
    """Return the problem in integers.

    Raises
    ------
    TypeError, ValueError
        If it is not one, or no choice fits the budget.
    """
    check_array(function, "loss", loss, ndim=2)
    check_operand(function, "size", size, loss.shape, loss.dtype)
    limit = float(budget)
    if loss.size == 0 or not np.isfinite(limit):
        got = f"{limit} beside a table of shape {loss.shape}"
        raise ValueError(complaint(function, "budget", got, "finite, with at least one choice"))
    for name, table in (("loss", loss), ("size", size)):
        with np.errstate(over="ignore"):  # sums must not overflow either
            check_finite(function, name, table.astype(np.float64) * len(table))
    losses, loss_shift = _whole(loss.ravel().tolist())
    sizes, size_shift = _whole([*size.ravel().tolist(), limit])
    starts = range(0, loss.size, loss.shape[1])
    rows = [[flat[i : i + loss.shape[1]] for i in starts] for flat in (losses, sizes)]
    least = sum(min(row) for row in rows[1])
    if least > sizes[-1]:
        got = f"{limit}, below the smallest total size"
        fix = f"The smallest choices need {least / (1 << size_shift)}."
        raise ValueError(complaint(function, "budget", got, "one that can be met", fix))
    return Whole(rows[0], rows[1], sizes[-1], loss_shift, size_shift)


def _whole(values: list[float]) -> tuple[list[int], int]:
    """Floats as integers times 2^-shift."""
    ratios = [value.as_integer_ratio() for value in values]
    shift = max(bottom.bit_length() - 1 for _, bottom in ratios)
    return [top * ((1 << shift) // bottom) for top, bottom in ratios], shift
