"""Optimal answers of the oracle: their names, and goldens derived by hand."""

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.optimum.ops import OPS

BY_NAME = {op.name: op for op in OPS}
# Nearest is not best: two weights with f = 1/4 and 3/8 whose inputs are always equal.
TWO = {"w": np.array([0.25, 0.375]), "s": np.asarray(1.0), "zero_point": np.asarray(0)}


def golden(name, inputs, attrs=None):
    """Return the values of the outputs, built and agreed upon by all three."""
    built = build(BY_NAME[name], Case(name, "T24", "by hand", inputs, attrs or {}))
    return {key: item.value.tolist() for key, item in built.outputs.items()}


def test_names_are_those_of_the_table():
    """methods 21, ops 38 to 42 and 70."""
    assert [op.name for op in OPS] == [
        "qubo_build",
        "qubo_energy",
        "qubo_exact",
        "qubo_1flip",
        "gram_loss",
        "bit_alloc_exact",
    ]


def test_problem_by_hand():
    """G = all 1, G f = 5/8: Q = G - 2 diag(5/8), constant (5/8)^2."""
    found = golden("qubo_build", {**TWO, "x": np.ones((2, 1))})
    assert found["q"] == [[-0.25, 1.0], [1.0, -0.25]]
    assert found["constant"] == 25 / 64
    assert (found["base"], found["free"]) == ([0, 0], [True, True])


def test_clipped_weights_and_another_target_by_hand():
    """2 bits, signed: -2..1. w = 1.5 rests at 1, w = -0.5 has base -1 and is free; x_hat = 2 x.

    L(h) = (2 (1 - 1 + h) - (1.5 - 0.5))^2 = (2 h - 1)^2 = 4 h - 4 h + 1: Q = 0, constant 1.
    """
    inputs = {**TWO, "w": np.array([1.5, -0.5]), "x": np.ones((2, 1)), "x_hat": 2 * np.ones((2, 1))}
    found = golden("qubo_build", inputs, {"bits": 2})
    assert found == {"q": [[0.0]], "constant": 1.0, "base": [1, -1], "free": [False, True]}


def test_optimum_and_search_by_hand():
    """-1/4 for one of the two up, 2 - 1/2 for both: one goes up, the last by convention 7."""
    q = np.array([[-0.25, 1.0], [1.0, -0.25]])
    choices = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert golden("qubo_energy", {"q": q, "h": choices})["energy"] == [0, -0.25, -0.25, 1.5]
    assert golden("qubo_exact", {"q": q}) == {"h": [0, 1], "energy": -0.25}
    # from nothing: equal gains, the lowest index; from both up: the first goes back
    for start, end in (([0, 0], [1, 0]), ([1, 1], [0, 1])):
        found = golden("qubo_1flip", {"q": q, "h0": np.array(start)})
        assert found == {"h": end, "energy": -0.25}


def test_loss_by_hand():
    """Errors (1, -1) and (0, 2), G = ((2, 1), (1, 3)): 2 - 2 + 3 = 3 and 12."""
    w, w_hat = np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[0.0, 1.0], [3.0, 0.0]])
    gram = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert golden("gram_loss", {"w": w, "w_hat": w_hat, "gram": gram})["loss"] == 15.0


@pytest.mark.parametrize(
    ("budget", "choice", "loss", "size"),
    [(16, [0, 0], 0, 16), (12, [0, 1], 2, 12), (10, [1, 0], 3, 10), (6, [1, 1], 5, 6)],
)
def test_allocation_by_hand(budget, choice, loss, size):
    """Sizes 8 or 2, and 8 or 4; losses 3 and 2 for the smaller ones."""
    tables = {
        "loss": np.array([[0.0, 3.0], [0.0, 2.0]]),
        "size": np.array([[8.0, 2.0], [8.0, 4.0]]),
    }
    found = golden("bit_alloc_exact", {**tables, "budget": np.asarray(float(budget))})
    assert found == {"choice": choice, "total_loss": loss, "total_size": size}
