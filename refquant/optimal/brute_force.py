"""The exact optimum of a QUBO, by looking at every choice.

Reference: methods, section 7, convention 7 (golden op 40). The Gray code is that of F. Gray, US
patent 2632058 (1953): from one choice to the next a single variable flips.

    paper   here    shape        meaning
    Q       q       (k, k)       symmetric
    h       h       (k,)         choice; h_0 is the most significant bit of its number
    --      low     2^l          all choices of the last l = min(k, 11) variables, in order
    --      high    2^(k-l)      choices of the first k - l, in Gray order

One vector holds the energies of all low choices under the present high choice; a flip of a high
variable adds one precomputed vector to it.

Exactness: float64 energies pick out the choices that rounding cannot tell from the best one, by
a bound on all errors so far; among those, exact integers decide. The result is the optimum of the
given floats and, among equals, the lexicographically smallest choice. It does not depend on the
arithmetic in force.

Edge cases: a variable whose row of Q is 0 (a dead input) changes nothing: it gets h = 0 and does
not count against the limit of 22. k = 0 gives the empty choice with energy 0. Many exact ties
cost time: each is evaluated in Python integers.
"""

import numpy as np

from refquant import numerics as nx
from refquant._checks import complaint
from refquant._types import Array
from refquant.optimal.exact_energy import integer_energy, rounded_energy, to_integers
from refquant.optimal.qubo import Choice, check_qubo

MAX_FREE = 22  # four million choices
LOW = 11


def brute_force(q: Array) -> Choice:
    """The lexicographically smallest minimiser of h^T Q h, golden op 40.

    Parameters
    ----------
    q : (k, k) array, float32 or float64
        Finite, symmetric; at most 22 rows that are not 0. float32 is widened.

    Returns
    -------
    Choice
        The energy is the exact one, rounded once.

    Raises
    ------
    TypeError, ValueError
        If `q` is not such an array.
    """
    wide = check_qubo("brute_force", q)
    alive = np.flatnonzero(wide.any(axis=1))
    if len(alive) > MAX_FREE:
        fix = "Use tabu_search and lower_bound."
        got = f"a problem of {len(alive)} variables"
        expected = f"at most {MAX_FREE} rows that are not 0"
        raise ValueError(complaint("brute_force", "q", got, expected, fix))
    small = wide[np.ix_(alive, alive)]
    whole = to_integers(small)
    best = min(  # the first of equal energies, and the numbers ascend
        (_bits(number, len(alive)) for number in _candidates(small)),
        key=lambda bits: integer_energy(whole, bits),
    )
    h = np.zeros(len(wide), dtype=np.int64)
    h[alive] = best
    return Choice(h, rounded_energy(whole, integer_energy(whole, best)))


def _candidates(q: Array) -> list[int]:
    """Ascending numbers of the choices whose computed energy may be the smallest."""
    low_bits = min(len(q), LOW)
    split = len(q) - low_bits
    energies = _energy_table(q[split:, split:])
    steps = [_linear_table(2.0 * q[flip, split:]) for flip in range(split)]
    margin = 2.0 * _error_bound(q, split)
    best, high = float(energies.min()), np.zeros(split)
    found = [_near(0, energies, best + margin)]
    for turn in range(1, 1 << split):
        flip = (turn & -turn).bit_length() - 1
        change = steps[flip] + _own_change(q, high, flip)
        energies = energies - change if high[flip] else energies + change
        high[flip] = 1.0 - high[flip]
        least = float(energies.min())
        if least <= best + margin:
            best = min(best, least)
            found.append(_near(_number(high) << low_bits, energies, best + margin))
    near = (numbers[values <= best + margin] for numbers, values in found)
    return sorted(np.concatenate(list(near)).tolist())


def _near(first: int, energies: Array, limit: float) -> tuple[Array, Array]:
    """Numbers and energies of a block's choices up to a limit; the block starts at `first`."""
    positions = np.flatnonzero(energies <= limit)
    return first + positions, energies[positions]


def _own_change(q: Array, high: Array, flip: int) -> float:
    """What flipping a high variable from 0 to 1 adds, beside its products with the low ones."""
    total = float(q[flip, flip])
    for j in np.flatnonzero(high):
        if j != flip:
            total += 2.0 * float(q[flip, j])
    return total


def _error_bound(q: Array, split: int) -> float:
    """Bound on the error of any energy: roundings met times unit roundoff times sum |Q|.

    An energy of the first block and a change are sums of at most k^2 terms each, and each of
    the 2^split flips adds one change and one rounding; doubled for the growth of the errors.
    """
    roundings = 2.0 * (len(q) * len(q) + 1.0) * (float(1 << split) + 1.0)
    return roundings * 2.0**-53 * float(nx.sum(np.abs(q)))


def _energy_table(q: Array) -> Array:
    """Energies of all choices, ascending: each new leading variable doubles the table."""
    energies = np.zeros(1)
    for i in reversed(range(len(q))):
        up = energies + (q[i, i] + _linear_table(2.0 * q[i, i + 1 :]))
        energies = np.concatenate([energies, up])
    return energies


def _linear_table(weights: Array) -> Array:
    """Sums of the weights over all choices, ascending."""
    sums = np.zeros(1)
    for weight in weights[::-1]:
        sums = np.concatenate([sums, sums + weight])
    return sums


def _number(high: Array) -> int:
    """The number whose most significant bit is the first entry."""
    return int("0" + "".join("1" if bit else "0" for bit in high), 2)


def _bits(number: int, size: int) -> Array:
    """The inverse of `_number`, int64."""
    return np.array([(number >> (size - 1 - i)) & 1 for i in range(size)], dtype=np.int64)
