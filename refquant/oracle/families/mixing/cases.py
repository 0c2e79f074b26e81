"""Inputs for QDrop's mix, AMixup and ASoftmax."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, double, dyadic
from refquant.oracle.families.mixing.cases_step import step_cases

Arrays = dict[str, Array]


def real(key: tuple[int | str, ...], shape: int | tuple[int, ...], point: int = 22) -> Array:
    """24-bit numbers of both signs below 2^(24 - point)."""
    return dyadic(("mixing", *key), shape, 24, point)


def cases() -> Iterator[Case]:
    """Yield the cases of the family."""
    yield from qdrop_cases()
    yield from amixup_cases()
    yield from asoftmax_cases()
    yield from asoftmax_decisions()
    yield from asoftmax_sizes()
    yield from step_cases()


def values() -> Arrays:
    """Few bits, and their nearest halves."""
    x = dyadic(("mixing", "x"), (3, 4), 5, 3)
    return {"x": x, "x_q": np.rint(2 * x) / 2}


def qdrop_cases() -> Iterator[Case]:
    """A mixed mask, none and all, special values that are not kept, any numbers."""
    mask = codes(("mixing", "mask"), (3, 4), 0, 1) > 0
    d_y = dyadic(("mixing", "d_y"), (3, 4), 4, 2) + 0.125
    for name, chosen in (("some", mask), ("none", mask & ~mask), ("all", mask | ~mask)):
        clauses = ("10.1", "D26") if name == "some" else ("P30", "D26")
        yield Case("qdrop_mix", "T8", f"{name} kept", values() | {"mask": chosen}, {}, clauses)
        yield Case("qdrop_mix_backward", "T8", f"{name} kept", {"mask": chosen, "d_y": d_y}, {},
                   (clauses[0],))  # fmt: skip
    long = codes(("mixing", "long mask"), (5, 7), 0, 1) > 0
    long[-1, -3:] = True
    x = dyadic(("mixing", "long"), (5, 7), 5, 3)
    words = "35 elements: more than a word of mask bits"
    yield Case("qdrop_mix", "T8", words, {"x": x, "x_q": np.rint(x), "mask": long}, {}, ("10.1",))
    yield Case("qdrop_mix_backward", "T8", words, {"mask": long, "d_y": x}, {}, ("10.1",))
    wild = {"x": np.array([[np.nan, np.inf, 1.0, 2.0]]), "x_q": np.array([[0.5, 3.0, np.nan, 2.0]]),
            "mask": np.array([[True, True, False, False]])}  # fmt: skip
    for where in ("not kept", "kept"):
        own = wild | {"mask": wild["mask"] == (where == "not kept")}
        yield Case("qdrop_mix", "T8", f"NaN and infinity where they are {where}", own, {},
                   ("10.1",))  # fmt: skip
    drawn = {name: real((name,), (2, 5)) for name in ("x", "x_q")}
    fine = {name: double(("mixing", name), (2, 2), 52) for name in ("x", "x_q")}
    words, both = "values that single precision rounds", mask[:2, :2]
    yield Case("qdrop_mix", "T53", words, fine | {"mask": both}, {}, ("10.1",))
    yield Case("qdrop_mix_backward", "T53", words, {"mask": both, "d_y": fine["x"]}, {},
               ("10.1",))  # fmt: skip
    yield Case("qdrop_mix", "REAL", "any numbers", drawn | {"mask": mask.reshape(2, 6)[:, :5]}, {},
               ("10.1",))  # fmt: skip
    yield Case("qdrop_mix_backward", "REAL", "any numbers",
               {"mask": mask.reshape(2, 6)[:, :5], "d_y": drawn["x"]}, {},
               ("10.1", "P30"))  # fmt: skip


def amixup_cases() -> Iterator[Case]:
    """Shares of 0, 1 and between, one for all and one per entry."""
    shares = codes(("mixing", "shares"), (3, 4), 0, 4) / 4.0
    d_y = dyadic(("mixing", "d_y"), (3, 4), 4, 2) + 0.125
    for name, share in (
        ("a quarter", np.array(0.25)),
        ("nothing", np.array(0.0)),
        ("everything", np.array(1.0)),
        ("a share per entry", shares),
    ):
        clauses = ("P85",) if share.ndim == 0 and share in (0, 1) else ("11", "D14")
        yield Case("amixup", "T8", f"{name} of x", values() | {"share": share}, {}, clauses)
        yield Case("amixup_backward", "T8", f"{name} of x", {"share": share, "d_y": d_y}, {},
                   (clauses[0],))  # fmt: skip
    wild = {"x": np.array([[np.nan, 1.0]]), "x_q": np.array([[0.5, np.inf]]),
            "share": np.array([[0.0, 1.0]])}  # fmt: skip
    yield Case("amixup", "T8", "NaN and infinity of share 0", wild, {}, ("P85",))
    wild = {"x": np.array([[np.inf, -np.inf, np.inf, np.nan, 2.0, np.inf]]),
            "x_q": np.array([[np.inf, -np.inf, 0.5, 1.0, -np.inf, -np.inf]]),
            "share": np.array(0.25)}  # fmt: skip
    yield Case("amixup", "T8", "NaN and infinities of shares between 0 and 1", wild, {},
               ("11", "P85"))  # fmt: skip
    drawn = {name: real((name,), (2, 5)) for name in ("x", "x_q")}
    share = np.array(np.float32(0.3))
    yield Case("amixup", "REAL", "any numbers", drawn | {"share": share}, {}, ("11",))
    yield Case("amixup_backward", "REAL", "any numbers", {"share": share, "d_y": drawn["x"]}, {},
               ("11",))  # fmt: skip


def few_bits(offsets: list[int], zero: int = 0) -> Arrays:
    """Two outputs of four weights around and beyond the levels of 2 bits; logits of few bits."""
    u = codes(("asoftmax", "u"), (2, 4), -14, 11) / 4.0
    s = np.array([0.5, 0.25])
    logits = dyadic(("asoftmax", "v", len(offsets)), (2, 4, len(offsets)), 4, 3)
    logits[0, 0] = 0.75  # all equal
    given = {"w": s[:, None] * u, "s": s, "zero_point": np.array([zero, zero]), "logits": logits}
    return given


def asoftmax_cases() -> Iterator[Case]:
    """Two and four candidates, hot and cold, equal logits, both ends, zero points."""
    d_w_hat = dyadic(("asoftmax", "d"), (2, 4), 3, 1)
    back = {"d_w_hat": np.where(d_w_hat == 0, 1.5, d_w_hat)}
    both = ("asoftmax", "asoftmax_backward")
    for name, offsets, attrs, zero in (
        ("two candidates", [0, 1], {}, 0),
        ("four candidates", [-1, 0, 1, 2], {"temperature": 0.5}, 0),
        ("two candidates, cold: nearly all on one", [0, 1], {"temperature": 0.0625, "bits": 3}, 0),
        ("three candidates out of order, affine", [2, 0, 1], {"grid": "affine"}, 2),
        ("two candidates, unsigned", [0, 1], {"grid": "unsigned"}, 0),
        ("two candidates, narrow", [0, 1], {"grid": "narrow", "temperature": 2.0}, 0),
    ):
        own = {"bits": 2, **attrs} | ({} if offsets == [0, 1] else {"offsets": offsets})
        given = few_bits(offsets, zero)
        clauses = ("11", "D14", "P84") if offsets == [0, 1] else ("11", "D14")
        yield Case(both[0], "T8", name, given, own, clauses)
        yield Case(both[1], "T8", name, given | back, own, clauses)
    channels = {**few_bits([0, 1]), "zero_point": np.array([1, 3])}
    yield Case(both[0], "T8", "a zero point for each channel", channels,
               {"bits": 2, "grid": "affine"}, ("11",))  # fmt: skip
    yield Case(both[1], "T8", "a zero point for each channel", channels | back,
               {"bits": 2, "grid": "affine"}, ("11",))  # fmt: skip
    below = {**few_bits([0, 1]), "w": np.array([[-0.75, -0.875, -0.625, 0.25]] * 2)}
    yield Case(both[1], "T8", "two candidates, narrow: levels below the lowest", below | back,
               {"bits": 2, "grid": "narrow"}, ("11",))  # fmt: skip
    high = {"w": np.array([[-202.5, -200.0, -3.0, 0.0, 53.0, 54.75, 55.0, 57.0]]) / 4,
            "s": np.array(0.25), "zero_point": np.array(200),
            "logits": dyadic(("asoftmax", "high"), (1, 8, 2), 4, 3)}  # fmt: skip
    yield Case(both[0], "T11", "a zero point above 127", high, {"bits": 8, "grid": "affine"},
               ("11",))  # fmt: skip
    beside = {"w": np.array([[1 - 2.0**-24, -(2.0**-24), -1 - 2.0**-23, 2 - 2.0**-23]]),
              "s": np.array(1.0), "zero_point": np.array(0),
              "logits": dyadic(("asoftmax", "beside"), (1, 4, 2), 4, 3)}  # fmt: skip
    yield Case(both[0], "T24", "weights just below the grid", beside, {"bits": 4}, ("11",))


def asoftmax_decisions() -> Iterator[Case]:
    """Special values, logits far apart, equal and nearly so, any numbers."""
    both = ("asoftmax", "asoftmax_backward")
    logits = [[1.0, 1000.0], [0.0, 0.0], [2.0, 1.0], [800.0, 799.0]]
    wild = {"w": np.array([[np.nan, np.inf, -np.inf, 0.0]]), "s": np.array(0.5),
            "zero_point": np.array(1), "logits": np.array([logits])}  # fmt: skip
    special = {"bits": 2, "grid": "affine"}
    yield Case(both[0], "T11", "NaN, infinities, logits that overflow", wild, special, ("1.4",))
    yield Case(both[1], "T11", "NaN, infinities, logits that overflow",
               wild | {"d_w_hat": np.ones((1, 4))}, special, ("11",))  # fmt: skip
    hair = {"w": np.array([[-0.75, -0.25, 0.125, -0.375]]), "s": np.array(0.5),
            "zero_point": np.array(0),
            "logits": np.array([[[0.0, 2.0**-60], [2.0**-60, 0.0]] * 2])}  # fmt: skip
    yield Case(both[0], "T24", "logits that differ by less than their rounded shares", hair,
               {"bits": 2, "temperature": 4.0}, ("11", "P84"))  # fmt: skip
    yield Case(both[0], "T8", "one candidate, equal logits, 3 bits",
               {**few_bits([0, 1]), "logits": np.zeros((2, 4, 1))}, {"bits": 3, "offsets": [1]},
               ("1.4", "P84"))  # fmt: skip
    drawn = {"w": real(("w",), (2, 3), 25), "s": np.array(np.float32(0.3)),
             "zero_point": np.array(0), "logits": real(("logits",), (2, 3, 3), 23)}  # fmt: skip
    attrs = {"bits": 3, "temperature": 0.7, "offsets": [-1, 0, 1]}
    yield Case(both[0], "REAL", "any numbers", drawn, attrs, ("11", "D14"))
    yield Case(both[1], "REAL", "any numbers", drawn | {"d_w_hat": real(("d",), (2, 3))}, attrs,
               ("11", "D14"))  # fmt: skip


def asoftmax_sizes() -> Iterator[Case]:
    """As many outputs as inputs; levels exactly at the ends."""
    square = {"w": codes(("asoftmax", "square"), (3, 3), -14, 11) / 8.0,
              "s": np.array([0.5, 0.25, 1.0]), "zero_point": np.array([1, 3, 0]),
              "logits": dyadic(("asoftmax", "square v"), (3, 3, 2), 4, 3)}  # fmt: skip
    slopes = {"d_w_hat": dyadic(("asoftmax", "square d"), (3, 3), 3, 1) + 0.25}
    for op, given in (("asoftmax", square), ("asoftmax_backward", square | slopes)):
        yield Case(op, "T8", "as many outputs as inputs, a step for each", given,
                   {"bits": 2, "grid": "affine"}, ("11",))  # fmt: skip
    ends = {"w": np.array([[-1.0, 0.5, -0.5, 0.0], [-0.5, 0.25, -0.75, 0.5]]),
            "s": np.array([0.5, 0.25]), "zero_point": np.array([0, 0]),
            "logits": np.zeros((2, 4, 2)),
            "d_w_hat": np.array([[1.0, -0.5, 1.5, 2.0], [0.5, 1.0, -2.0, -1.5]])}  # fmt: skip
    yield Case("asoftmax_backward", "T8", "equal shares: levels at the ends and beyond", ends,
               {"bits": 2, "offsets": [-1, 1]}, ("11", "D14"))  # fmt: skip
