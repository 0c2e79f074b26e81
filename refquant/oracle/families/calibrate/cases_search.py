"""Inputs for the step searches, the alternating fit and the first steps of LSQ.

Values are such that no decision is in doubt: the best candidate is clear, and so are the codes.
"""

from collections.abc import Iterator

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic, single


def cases() -> Iterator[Case]:
    """Yield the cases of the four operations."""
    yield from search_cases()
    yield from fit_cases()
    yield from moment_cases()


def search_cases() -> Iterator[Case]:
    """Yield the cases of `mse_search`: every list of candidates on every grid it is for."""
    base = ("3.2", "P82")
    for search, grid, bits, clauses in (
        ("shrink80", "signed", 3, base),
        ("shrink80", "affine", 2, (*base, "C17")),
        ("mq80", "affine", 3, (*base, "C17")),
        ("mq95", "signed", 2, base),
        ("omse", "narrow", 3, (*base, "C22")),
        ("omse", "affine", 3, (*base, "C17")),
        ("grid100_1d", "signed", 3, base),
        ("grid100_1d", "unsigned", 2, (*base, "C22")),
        ("grid100_2d", "affine", 2, base),
        ("fro", "signed", 3, base),
        ("ifmr", "signed", 3, base),
        ("ifmr", "affine", 3, base),
    ):
        each = 3 if search == "grid100_2d" else 5  # hundreds of candidates; one row has one sign
        x = dyadic(("search", search, grid, bits), (2, each), 24, 22)
        x[1] = np.abs(x[1]) + 0.5 if search in ("mq80", "shrink80") else x[1] * 0.375 - 0.125
        x = single(np.abs(x) if grid == "unsigned" else x)
        attrs = {"id": search, "grid": grid, "bits": bits, "axis": 0}
        where = f"{search}, {bits} bits, {grid}: two rows, a step for each"
        yield Case("mse_search", "REAL", where, {"x": x}, attrs, clauses)
    yield from list_cases()
    x = dyadic(("search", "one"), (7,), 24, 20)
    for divisor, says in (("p", "3, not 7/2"), ("amct", "each side has its own")):
        attrs = {"id": "fro", "bits": 3, "divisor": divisor}
        yield Case("mse_search", "REAL", f"divisor {divisor} ({says})", {"x": x}, attrs,
                   ("3.2", "D3"))  # fmt: skip
        yield Case("mse_search", "REAL", f"divisor {divisor}, the lower end larger",
                   {"x": -np.abs(x)}, attrs, ("3.2", "D3"))  # fmt: skip
    attrs = {"id": "grid100_1d", "bits": 3, "p": 2.0}
    yield Case("mse_search", "REAL", "the exponent is given: 2 in place of 2.4", {"x": x}, attrs,
               ("3.2", "D3"))  # fmt: skip
    x = single([[-1.5, -0.5, 0.01], [1.5, 0.5, -0.01]])
    attrs = {"id": "grid100_2d", "grid": "affine", "bits": 2, "axis": 0}
    yield Case("mse_search", "REAL", "the last zero point, and the first one", {"x": x}, attrs,
               ("3.2", "P82"))  # fmt: skip
    attrs = {"id": "grid100_2d", "grid": "affine", "bits": 2, "p": 2.0}
    yield Case("mse_search", "T8", "all steps and zero points are equal: the first",
               {"x": np.array([2.0**-30, -(2.0**-30)])}, attrs, ("3.2", "C22"))  # fmt: skip
    zero = {"x": np.zeros((2, 3))}
    attrs = {"id": "mq80", "bits": 4}
    yield Case("mse_search", "T8", "all values 0: the smallest step", zero, attrs, ("3.2", "C22"))


def list_cases() -> Iterator[Case]:
    """Rows that lie on the levels of the first or last candidate, and of the ones beyond."""
    for search, grid, (inside, beyond) in (
        ("shrink80", "affine", (0.21, 0.2)),
        ("mq80", "affine", (0.21, 0.2)),
        ("mq95", "affine", (0.06, 0.05)),
        ("omse", "affine", (0.11, 0.1)),
        ("omse", "signed", (0.51, 0.5)),
        ("ifmr", "signed", (1.3, 1.31)),
        ("ifmr", "unsigned", (0.7, 0.69)),
    ):
        signed = grid == "signed"
        levels = np.array([0, 1, -1, 1, -1, 0, 1, -1] if signed else [0, 1, 2, 3, 3, 2, 1, 3])
        steps = np.array([inside, beyond]) / (1.5 if signed else 3)
        x = single(np.column_stack([[1.0, 1.0], steps[:, None] * levels]))
        attrs = {"id": search, "grid": grid, "bits": 2, "axis": 0, "p": 0.5}
        yield Case("mse_search", "REAL",
                   f"{search}, {grid}: levels of the last candidate, and of the one beyond",
                   {"x": x}, attrs, ("3.2", "P82"))  # fmt: skip
    x = dyadic(("search", "sides"), (3, 3), 24, 23)
    x = np.stack([np.abs(x[0]) + 0.25, -np.abs(x[1]) - 0.25, x[2] * [1, -1, 1]], axis=1)
    for search, grid, own in (  # without what would be a tie, or the same for all candidates
        ("grid100_1d", "affine", [0, 1]),
        ("grid100_1d", "signed", [0, 1, 2]),
        ("fro", "narrow", [0, 1, 2]),
        ("ifmr", "affine", [0, 2]),
        ("mq80", "unsigned", [0, 2]),
    ):
        attrs = {"id": search, "grid": grid, "bits": 3, "axis": 1}
        yield Case("mse_search", "REAL", f"{search}, {grid}: one side alone, and both, last axis",
                   {"x": single(x[:, own])}, attrs, ("3.2", "C22"))  # fmt: skip
    x = single(np.append(np.abs(x.ravel()[:4]) + 0.1, -0.004))
    yield Case("mse_search", "REAL", "a zero point above 127", {"x": -x},
               {"id": "ifmr", "grid": "affine", "bits": 8}, ("3.2", "C22"))  # fmt: skip


def fit_cases() -> Iterator[Case]:
    """Yield the cases of `lloyd_scale`."""
    w = dyadic(("lloyd", "w"), (2, 3, 2), 24, 23)
    clauses = ("3.2", "C19", "P45")
    for purpose, s0, attrs in (
        ("two updates", 0.40625, {"bits": 3, "iters": 2}),
        ("a fixed point before the last update", 0.40625, {"bits": 2, "iters": 9}),
        ("no update: the error of the first step", 0.40625, {"bits": 3, "iters": 0}),
        ("all codes 0: the step stays", 100.0, {"bits": 3, "iters": 3}),
        ("rows, a step for each", [0.40625, 0.8125], {"bits": 3, "iters": 4, "axis": 0}),
        ("a narrow grid, rows along the last axis", [0.40625, 0.8125],
         {"bits": 2, "iters": 1, "axis": 2, "grid": "narrow"}),
        ("an unsigned grid: negative weights have the code 0", 0.40625,
         {"bits": 2, "grid": "unsigned"}),
        ("an affine grid without a zero point", 0.1875, {"bits": 3, "iters": 2, "grid": "affine"}),
    ):  # fmt: skip
        yield Case("lloyd_scale", "REAL", purpose, {"w": w, "s0": np.array(s0)}, attrs, clauses)
    rows = np.stack([w.ravel(), [0.0] * 12, [0.5, -1.0, 1.5, 0.0, -2.0, 1.0] * 2])
    yield Case("lloyd_scale", "REAL", "a row that moves, rows that stop at once",
               {"w": rows, "s0": np.array([0.40625, 0.5, 0.5])},
               {"bits": 3, "iters": 4, "axis": 0}, clauses)  # fmt: skip
    yield Case("lloyd_scale", "REAL", "131 values (more than two panels of 64)",
               {"w": dyadic(("lloyd", "long"), (131,), 24, 23), "s0": np.array(0.3125)},
               {"bits": 3, "iters": 2}, clauses)  # fmt: skip
    yield Case("lloyd_scale", "REAL", "16 bits: sums of squared codes beyond 32 bits",
               {"w": np.array([32767.0, -32768.0, 32700.0]) / 2**15 + 2.0**-20,
                "s0": np.array(2.0**-15)}, {"bits": 16, "iters": 2}, clauses)  # fmt: skip


def moment_cases() -> Iterator[Case]:
    """Yield the cases of `lsq_init` and `lsqplus_init`."""
    x = dyadic(("moments", "x"), (2, 4, 3), 24, 20)
    exact = np.array([1.0, 3.0, -1.0, -3.0])  # mean 0, mean of magnitudes 2, deviation sqrt(5)
    for grid, bits in (("signed", 2), ("unsigned", 4), ("affine", 4), ("narrow", 3)):
        attrs = {"grid": grid, "bits": bits, "axis": 1}
        yield Case(
            "lsq_init", "REAL", f"{grid}, {bits} bits, rows", {"x": x}, attrs, ("3.4", "2.1")
        )
    long = dyadic(("moments", "long"), (131,), 7, 4)
    for op in ("lsq_init", "lsqplus_init"):
        yield Case(op, "T8", "131 values (more than two panels of 64)", {"x": long}, {},
                   ("3.4",))  # fmt: skip
    square = dyadic(("moments", "square"), (3, 3), 24, 20)
    for axis in (0, 1):
        yield Case("lsq_init", "REAL", f"a square matrix, rows along axis {axis}", {"x": square},
                   {"axis": axis, "bits": 3}, ("3.4",))  # fmt: skip
    empty = np.array([[0.0, 0.0], [1.0, -3.0], [0.0, -0.0]])
    yield Case("lsq_init", "T8", "rows of zeros have the smallest step", {"x": empty},
               {"axis": 0}, ("3.4",))  # fmt: skip
    attrs = {"bits": 2}
    yield Case("lsq_init", "T8", "one value, p = 1", {"x": np.array([-1.5])}, attrs, ("3.4",))
    skew = np.array([1.0, 3.0])  # mean 2, deviation 1: reach 5; turned round, on the other side
    for divisor in ("paper", "mqbench"):
        attrs = {"divisor": divisor, "bits": 3}
        yield Case("lsqplus_init", "T8", f"{divisor}: mean 2, deviation 1, both exact", {"x": skew},
                   attrs, ("3.4", "D6", "C5"))  # fmt: skip
        yield Case("lsqplus_init", "T8", f"{divisor}: mean -2, the lower end is the farther one",
                   {"x": -skew}, attrs, ("3.4", "D6", "C5"))  # fmt: skip
        own = {**attrs, "axis": 0}
        yield Case("lsqplus_init", "REAL", f"{divisor}: rows, each with its moments", {"x": x}, own,
                   ("3.4", "D6", "C5"))  # fmt: skip
    yield Case("lsqplus_init", "REAL", "weights, rows along the last axis", {"x": square},
               {"axis": 1, "bits": 4}, ("3.4",))  # fmt: skip
    yield Case("lsqplus_init", "REAL", "activations, p = 1: magnitudes of errors, not squares",
               {"x": square[0]}, {"of": "activations", "bits": 3, "steps": 12, "p": 1.0},
               ("3.4",))  # fmt: skip
    activations = dyadic(("moments", "activations"), (2, 6), 24, 22)
    for steps, says in ((1, "one candidate: the whole range"), (80, "80 candidates")):
        attrs = {"of": "activations", "bits": 2, "steps": steps, "axis": 0}
        yield Case("lsqplus_init", "REAL", f"activations, {says}", {"x": activations}, attrs,
                   ("3.4",))  # fmt: skip
    levels = single(np.array([0.0, 1.0, 0.95 / 3, 0.95 / 3, 1.9 / 3, 1.9 / 3, 0.95, 0.95]))
    attrs = {"of": "activations", "bits": 2, "steps": 6, "p": 1.0, "divisor": "mqbench"}
    yield Case("lsqplus_init", "REAL", "activations: the last candidate is the best",
               {"x": levels}, attrs, ("3.4", "D6"))  # fmt: skip
    yield Case("lsq_init", "T8", "values of both signs, whose mean is 0", {"x": exact}, {"bits": 2},
               ("2.1",))  # fmt: skip
