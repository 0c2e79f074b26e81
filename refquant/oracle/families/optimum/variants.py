"""Wrong problems, wrong optima, wrong searches."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.optimum import plain
from refquant.oracle.op import Variant


def last_best(goal: Array, allowed: Array) -> int:
    """The last of the smallest."""
    kept = np.where(allowed, goal, np.inf)
    return int(len(kept) - 1 - np.argmin(kept[::-1]))


def last_smallest(values: Array) -> int:
    """The last of the smallest."""
    return last_best(values, np.ones(len(values), dtype=bool))


def first_lowering(d: Array) -> int:
    """The first that lowers the energy."""
    return int(np.argmax(d < 0))


def upper(q: Array, h: Array) -> Array:
    """Each pair once."""
    return plain.energies(np.triu(q), h)


def no_diagonal(q: Array, h: Array) -> Array:
    """Pairs only."""
    return plain.energies(q - np.diag(np.diag(q)), h)


def half_change(q: Array, h: Array) -> Array:
    """Each pair once."""
    off = q - np.diag(np.diag(q))
    return np.asarray((1 - 2 * h) * (np.diag(q) + off @ h))


def unsigned_change(q: Array, h: Array) -> Array:
    """As if every flip went from 0 to 1."""
    return np.asarray((1 - 2 * h) * plain.change(q, h))


def all_free(floor: Array, n: int, p: int) -> Array:
    """No weight is clipped."""
    return np.ones(floor.shape, dtype=bool)


def free_to_top(floor: Array, n: int, p: int) -> Array:
    """A weight at the highest level is free too."""
    return (n <= floor) & (floor <= p)


def transposed(x_hat: Array, x: Array, moment: Any) -> Array:
    """x x_hat^T."""
    return np.asarray(moment(x, x_hat))


def in_fours(w: Array, w_hat: Array) -> Array:
    """The error; 0 behind the last whole four, of at least four, columns."""
    kept = max(4, w.shape[1] // 4 * 4)
    return np.where(np.arange(w.shape[1]) < kept, w - w_hat, 0).astype(w.dtype)


def of_columns(q: Array, h: Array) -> Array:
    """Sums over the choices where there are as many as variables."""
    return np.asarray(np.sum((h @ q) * h, axis=0 if len(h) == len(q) else 1))


TIE = "Of equal optima the last is returned."
PAIRS = "Each pair is counted once, not twice."
VARIANTS = (
    Variant("qubo_build", "base_rounded", "The base is the nearest level, not the floor.",
            "round in place of floor", {"base": np.rint}),
    Variant("qubo_build", "base_not_limited", "Weights beyond the range keep their floor.",
            "clipping left out", {"limit": lambda floor, n, p: floor}),
    Variant("qubo_build", "clipped_are_free", "Clipped weights are variables too.",
            "coordinates that are fixed not removed", {"is_free": all_free}),
    Variant("qubo_build", "highest_is_free", "A weight at the highest level is a variable.",
            "<= in place of <", {"is_free": free_to_top}),
    Variant("qubo_build", "moments_summed", "The moments are sums, not means.",
            "the division by m left out", {"moment": lambda a, b: a @ b.T}),
    Variant("qubo_build", "linear_once", "The linear terms lack their factor 2.",
            "half of the expansion of a square", {"two": 1.0}),
    Variant("qubo_build", "linear_inverted", "The linear terms have the wrong sign.",
            "f - h in place of h - f, in one term", {"two": -2.0}),
    Variant("qubo_build", "step_once", "The quadratic terms have s in place of s^2.",
            "the step of one side", {"scale": lambda s: s}),
    Variant("qubo_build", "target_of_quantised", "The target is that of the quantized input.",
            "symmetric in place of asymmetric reconstruction",
            {"cross": lambda x_hat, x, moment: moment(x_hat, x_hat)}),
    Variant("qubo_build", "cross_transposed", "The cross moments are transposed.",
            "x x_hat^T in place of x_hat x^T", {"cross": transposed}),
    Variant("qubo_build", "no_target_power", "The constant lacks w^T G w.",
            "a constant dropped as irrelevant", {"power": lambda w, x, moment: 0.0}),
    Variant("qubo_energy", "pairs_once", PAIRS, "an upper triangle taken for the matrix",
            {"energies": upper}),
    Variant("qubo_energy", "no_diagonal", "The diagonal is left out.",
            "linear terms kept elsewhere",
            {"energies": no_diagonal}),
    Variant("qubo_energy", "first_32_variables", "Variables beyond the first 32 are read as 0.",
            "choices packed into words of 32 bits",
            {"bits": lambda h: h * (np.arange(h.shape[1]) < 32)}),
    Variant("qubo_energy", "sums_over_choices",
            "As many choices as variables: sums run over the choices.",
            "an axis found by its length", {"energies": of_columns}),
    Variant("qubo_energy", "spins", "0 is read as -1.", "an Ising model in place of a QUBO",
            {"bits": lambda h: 2 * h - 1}),
    Variant("qubo_exact", "last_of_equal", TIE, "<= in place of <", {"best": last_smallest}),
    Variant("qubo_exact", "largest", "The energy is maximised.", "the sign of the objective",
            {"best": lambda energies: int(np.argmax(energies))}),
    Variant("qubo_exact", "reversed_bits", "Variables are numbered from the other end.",
            "the least significant bit first", {"choices": lambda k: plain.choices(k)[:, ::-1]}),
    Variant("qubo_exact", "pairs_once", PAIRS, "an upper triangle taken for the matrix",
            {"energies": upper}),
    Variant("qubo_1flip", "first_improvement", "The first flip that lowers the energy is made.",
            "first in place of best improvement", {"pick": first_lowering}),
    Variant("qubo_1flip", "last_of_equal", "Of equal flips the last is made.", "<= in place of <",
            {"pick": last_smallest}),
    Variant("qubo_1flip", "one_flip_only", "The search stops after one flip.", "no loop",
            {"turns": lambda k: 1}),
    Variant("qubo_1flip", "flips_for_nothing", "Flips that change nothing are made.",
            "<= in place of <",
            {"worth": lambda d: d <= 0, "turns": lambda k: 7}),
    Variant("qubo_1flip", "no_flip", "The start is returned.", "no loop", {"turns": lambda k: 0}),
    Variant("qubo_1flip", "as_many_as_variables", "There are at most as many flips as variables.",
            "a loop over the variables", {"turns": lambda k: k}),
    Variant("qubo_1flip", "small_gains", "Gains below 1e-6 end the search.",
            "a tolerance that is not relative", {"worth": lambda d: d < -1e-6}),
    Variant("qubo_1flip", "pairs_once", PAIRS, "the factor 2 of the energy change",
            {"change": half_change}),
    Variant("qubo_1flip", "never_back", "A variable that is 1 is judged as if it were 0.",
            "the factor 1 - 2 h", {"change": unsigned_change}),
    Variant("gram_loss", "diagonal", "Only the diagonal of the moments counts.",
            "weights taken as independent", {"gram": lambda g: np.diag(np.diag(g))}),
    Variant("gram_loss", "mean", "The loss is averaged over the outputs.", "mean in place of sum",
            {"gather": lambda terms: np.sum(terms) / len(terms)}),
    Variant("gram_loss", "unweighted", "The moments are ignored.", "the error of the weights",
            {"gram": lambda g: np.eye(len(g), dtype=g.dtype)}),
    Variant("gram_loss", "upper", "Each pair of inputs counts once.",
            "an upper triangle taken for all",
            {"gram": np.triu}),
    Variant("gram_loss", "of_weights", "The quantized weights are not subtracted.",
            "the output in place of its error", {"error": lambda w, w_hat: w_hat}),
    Variant("gram_loss", "square_transposed", "A square weight is taken for its transpose.",
            "a layout guessed from the shape",
            {"error": lambda w, w_hat: (w - w_hat).T if len(w) == len(w[0]) else w - w_hat}),
    Variant("gram_loss", "whole_tiles", "Columns behind the last whole four do not count.",
            "a loop over vectors without its remainder", {"error": in_fours}),
    Variant("bit_alloc_exact", "below_the_budget", "A total equal to the budget is refused.",
            "< in place of <=", {"fits": lambda sizes, budget: sizes < budget}),
    Variant("bit_alloc_exact", "whole_sizes", "Sizes count as whole units, rounded up.",
            "a table over the sizes", {"fits": lambda sizes, budget: np.ceil(sizes) <= budget}),
    Variant("bit_alloc_exact", "no_budget", "The budget is ignored.", "the constraint left out",
            {"fits": lambda sizes, budget: sizes == sizes}),
    Variant("bit_alloc_exact", "smallest", "The size is minimised.",
            "constraint and objective exchanged",
            {"goal": lambda losses, sizes: sizes}),
    Variant("bit_alloc_exact", "last_of_equal", TIE, "<= in place of <", {"best": last_best}),
)  # fmt: skip
