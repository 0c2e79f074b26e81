"""Inputs for the rounding problem of a row, its solvers, and bit allocation."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic

# Levels of 3 bits: below, at and above -4 and 3, and between.
LEVELS = np.array([-5.25, -4.0, -0.75, 0.5, 1.25, 3.0, 2.75])
STEP = np.asarray(float(np.float32(0.3)))
EITHER = np.array([[-1.0, 2.0, 0.0], [2.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
TIED = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def symmetric(key: str, k: int, bits: int = 5, point: int = 2) -> Array:
    """A symmetric matrix with a falling diagonal."""
    half = dyadic(("optimum", key), (k, k), bits, point)
    upper = np.triu(half, 1)
    return np.asarray(upper + upper.T - np.diag(np.abs(np.diag(half))))


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from _build()
    yield from _solve()
    yield from _gram()
    yield from _allocate()


def _build() -> Iterator[Case]:
    x, x_hat = (dyadic(("optimum", name), (7, 4), 3, 1) for name in ("x", "x_hat"))
    given = {"w": LEVELS * 0.5, "s": np.asarray(0.5), "zero_point": np.asarray(0), "x": x}
    affine = {**given, "zero_point": np.asarray(5)}
    for words, extra in (("one input", {}), ("a quantised input", {"x_hat": x_hat})):
        yield Case("qubo_build", "T8", f"{words}; weights beyond both ends", {**given, **extra},
                   {"bits": 3}, ("7", "P32"))  # fmt: skip
        yield Case("qubo_build", "T8", f"{words}; affine grid", {**affine, **extra},
                   {"bits": 3, "grid": "affine"}, ("7",))  # fmt: skip
        for kind in ("unsigned", "narrow"):
            yield Case("qubo_build", "T8", f"{words}; {kind} grid", {**given, **extra},
                       {"bits": 3, "grid": kind}, ("7",))  # fmt: skip
        high = {
            **given,
            "zero_point": np.asarray(200),
            "w": (LEVELS - [190, 200, 3, 0, 0, -55, -53]) / 2,
        }
        yield Case("qubo_build", "T11", f"{words}; a zero point above 127", {**high, **extra},
                   {"grid": "affine"}, ("7",))  # fmt: skip
        names = ("x", "x_hat") if extra else ("x",)
        long = {name: dyadic(("optimum", "long", name), (2, 131), 2, 1) for name in names}
        yield Case("qubo_build", "T8", f"{words}; 131 samples (more than two panels of 64)",
                   {**given, "w": LEVELS[3:5] * 0.5, **long}, {"bits": 3}, ("7",))  # fmt: skip
        real = {"w": dyadic(("optimum", "w"), (4,), 24, 23), "s": STEP,
                "zero_point": np.asarray(0),
                "x": dyadic(("optimum", "rx"), (4, 3), 24, 22)}  # fmt: skip
        more = {"x_hat": dyadic(("optimum", "rxh"), (4, 3), 24, 22)} if extra else {}
        yield Case(
            "qubo_build", "REAL", f"{words}; any numbers", {**real, **more}, {}, ("7", "P32")
        )


def _solve() -> Iterator[Case]:
    q = symmetric("q", 5)
    h = codes(("optimum", "h"), (6, 5), 0, 1)
    yield Case("qubo_energy", "T8", "six choices of five variables", {"q": q, "h": h}, {}, ("7",))
    real = symmetric("real", 4, 24, 22)
    few = np.zeros((35, 35))
    few[::8, ::8] = symmetric("many", 5)
    few[33:, 33:] = symmetric("last", 2)
    yield Case("qubo_energy", "T8", "35 variables, most of them without a term",
               {"q": few, "h": codes(("optimum", "h many"), (3, 35), 0, 1)}, {},
               ("7",))  # fmt: skip
    yield Case("qubo_energy", "T8", "as many choices as variables",
               {"q": q, "h": h[:5]}, {}, ("7",))  # fmt: skip
    yield Case("qubo_energy", "REAL", "any numbers", {"q": real, "h": h[:3, :4]}, {}, ("7",))
    yield Case("qubo_exact", "T8", "five variables: one of 32 choices is the best", {"q": q}, {},
               ("7",))  # fmt: skip
    yield Case("qubo_exact", "T8", "equal optima: the smallest choice", {"q": EITHER}, {},
               ("C7",))  # fmt: skip
    yield Case("qubo_exact", "T8", "all energies are 0", {"q": np.zeros((3, 3))}, {}, ("C7", "7"))
    for i, matrix in enumerate((q, -q)):
        yield Case("qubo_1flip", "T8", f"five variables, all {i} at the start",
                   {"q": matrix, "h0": np.full(5, i)},
                   {}, ("7", "P74"))  # fmt: skip
    hard = symmetric("hard", 7)
    yield Case("qubo_1flip", "T8", "seven variables from a mixed start",
               {"q": hard, "h0": np.array([0, 1, 0, 1, 0, 1, 0])}, {}, ("7", "P74"))  # fmt: skip
    equal = np.array([[-2.0, 2.0, 2.0], [2.0, -2.0, 2.0], [2.0, 2.0, -2.0]])
    yield Case("qubo_1flip", "T8", "equal gains: the lowest index",
               {"q": equal, "h0": np.zeros(3, int)},
               {}, ("C6",))  # fmt: skip
    yield Case("qubo_1flip", "T8", "flips that change nothing are not made",
               {"q": TIED, "h0": np.array([1, 1, 0])}, {}, ("C6", "P74"))  # fmt: skip

    back = np.diag([-3.0, -2.0, -2.0, -2.0])
    back[0, 1:] = back[1:, 0] = 0.75
    yield Case("qubo_1flip", "T8", "the best first flip is taken back",
               {"q": back, "h0": np.zeros(4, int)}, {}, ("7", "P74"))  # fmt: skip
    yield Case("qubo_1flip", "T24", "energies of a billionth",
               {"q": hard * 2.0**-32, "h0": np.array([1, 1, 0, 0, 1, 0, 1])}, {},
               ("7", "P74"))  # fmt: skip

    hair = np.diag([-1.0, -1.0 - 2.0**-40, -1.0 + 2.0**-40]) + 2 * (1 - np.eye(3))
    words = "one choice is better by less than single precision"
    yield Case("qubo_exact", "T53", words, {"q": hair}, {}, ("7",))
    yield Case("qubo_1flip", "T53", words, {"q": hair, "h0": np.zeros(3, int)}, {}, ("7", "P74"))


def _gram() -> Iterator[Case]:
    g = symmetric("gram", 4)
    w, w_hat = (dyadic(("optimum", f"gram {n}"), (3, 4), 4, 2) for n in ("w", "w_hat"))
    yield Case("gram_loss", "T8", "three rows of four columns", {"w": w, "w_hat": w_hat, "gram": g},
               {}, ("7", "P25"))  # fmt: skip
    for rows, d, words in (
        (3, 3, "as many rows as columns"),
        (2, 7, "seven columns (no multiple of 2 or 4)"),
        (2, 67, "67 columns (more than a panel of 64)"),
    ):
        given = {n: dyadic(("optimum", f"gram {d} {n}"), (rows, d), 3, 2) for n in ("w", "w_hat")}
        yield Case("gram_loss", "T8", words, {**given, "gram": symmetric(f"gram {d}", d, 4)}, {},
                   ("7", "P25"))  # fmt: skip
    real = {n: dyadic(("optimum", f"real {n}"), (2, 4), 24, 22) for n in ("w", "w_hat")}
    yield Case("gram_loss", "REAL", "any numbers", {**real, "gram": symmetric("g", 4, 24, 22)}, {},
               ("7", "P25"))  # fmt: skip


def _allocate() -> Iterator[Case]:
    loss = np.array([[0.0, 1.0, 4.0], [0.0, 0.5, 6.0], [0.0, 2.0, 2.5], [0.0, 0.25, 8.0]])
    size = np.array([[8.0, 4.0, 2.0], [16.0, 8.0, 4.0], [24.0, 12.0, 6.0], [8.0, 4.0, 2.0]])
    for budget, words in (
        (32.0, "the budget is met exactly"),
        (26.0, "a budget that forces few bits on most layers"),
    ):
        yield Case("bit_alloc_exact", "T8", words,
                   {"loss": loss, "size": size, "budget": np.asarray(budget)}, {},
                   ("8", "P51"))  # fmt: skip
    part = {"loss": loss, "size": size * 0.15625, "budget": np.asarray(4.0625)}
    yield Case("bit_alloc_exact", "T8", "sizes that are no whole numbers", part, {},
               ("8", "P51"))  # fmt: skip
    same = {"loss": np.array([[0.0, 1.0]] * 3), "size": np.array([[2.0, 1.0]] * 3)}
    yield Case("bit_alloc_exact", "T8", "equal losses: the smallest choice",
               {**same, "budget": np.asarray(5.0)}, {}, ("C7", "P51"))  # fmt: skip
    hair = {
        "loss": np.array([[0.0, 1.0], [0.0, 1.0 - 2.0**-40]]),
        "size": np.array([[3.0, 1.0]] * 2),
    }
    for budget, words in ((4.0, "losses differ by less than single precision"),
                          (4.0 - 2.0**-40, "the budget is missed by less than that")):  # fmt: skip
        yield Case("bit_alloc_exact", "T53", words, {**hair, "budget": np.asarray(budget)}, {},
                   ("8", "P51"))  # fmt: skip
    flat = {"loss": np.zeros((2, 3)), "size": size[:2], "budget": np.asarray(100.0)}
    yield Case("bit_alloc_exact", "T8", "no choice costs anything", flat, {}, ("C7", "8"))
