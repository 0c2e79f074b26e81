"""Inputs for the observers and the percentile range."""

from collections.abc import Iterator

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import double, dyadic


def cases() -> Iterator[Case]:
    """Yield the cases of the four operations."""
    yield from observer_cases()
    yield from percentile_cases()


def observer_cases() -> Iterator[Case]:
    """Yield the cases of the observers: the extremes lie in different batches."""
    eight = dyadic(("observer", "T8"), (4, 2, 3), 8, 4)
    eight[1, 0, 0], eight[2, 1, 2], eight[3, 0, 1] = 20.0, -30.0, -17.5
    for name, attrs in (("minmax", {}), ("ema", {"momentum": 0.75}), ("avg", {})):
        op, clauses = f"{name}_observer", ("3.1", "C13")
        for axis in (None, 0, 1):
            own = {**attrs, "axis": axis}
            says = f"four batches whose extremes lie apart, axis {axis}"
            yield Case(op, "T8", says, {"batches": eight}, own, clauses)
        positive = np.abs(dyadic(("observer", "positive"), (3, 5), 10, 6)) + 1.0
        says = "three batches of positive values: lo is above 0"
        yield Case(op, "T11", says, {"batches": positive}, attrs, clauses)
        says = "three batches of negative values: hi is below 0"
        yield Case(op, "T11", says, {"batches": -positive}, attrs, clauses)
        falling = np.array([[3.0, 2.0, 1.0, 0.0], [2.5, 1.0, 0.5, 0.25], [4.0, 3.5, 3.0, 2.0]])
        falling = falling[: 2 if name == "minmax" else 3]
        for sign, says in ((1.0, "falling values, 0 the first lower end"),
                           (-1.0, "rising values, 0 the first upper end")):  # fmt: skip
            says += " (0 does not mean unset)"
            yield Case(op, "T8", says, {"batches": sign * falling}, attrs, clauses)
    long = dyadic(("observer", "long"), (2, 131), 7, 4)
    long[0, 70], long[0, 130], long[1, 66], long[1, 129] = 16.0, -17.0, -20.0, 18.5
    for name, attrs in (("minmax", {}), ("ema", {"momentum": 0.75}), ("avg", {})):
        yield Case(f"{name}_observer", "T8", "131 values, the extremes behind the first 64",
                   {"batches": long}, attrs, ("3.1", "C13"))  # fmt: skip
    real = dyadic(("observer", "real"), (5, 2, 2), 24, 20)
    yield Case("ema_observer", "REAL", "the default momentum 0.9, which no float holds",
               {"batches": real}, {"axis": 0}, ("3.1",))  # fmt: skip
    yield Case(
        "avg_observer", "REAL", "a mean that is rounded", {"batches": real}, {"axis": 0}, ("3.1",)
    )

    yield Case(
        "minmax_observer", "T53", "values that single precision rounds",
        {"batches": double(("observer",), (2, 3), 53)}, {}, ("3.1",),
    )  # fmt: skip


def percentile_cases() -> Iterator[Case]:
    """Yield the cases of `percentile_range`: products on both sides of whole numbers."""
    for n, q, says in (
        (10, 0.9, "n q is whole but for the rounding of q"),
        (20, 0.95, "n q is whole but for the rounding of q"),
        (7, 0.75, "n q is cut to 5"),
        (8, 0.75, "n q is 6 exactly"),
        (10, 0.5, "n q is 5 exactly"),
    ):
        x = dyadic(("percentile", n), (n,), 11, 6)
        yield Case("percentile_range", "T11", f"{n} values, q = {q}, by order: {says}", {"x": x},
                   {"q": q}, ("3.1",))  # fmt: skip
    for n, q, says in (
        (8, 0.75, "a quarter behind a value"),
        (9, 0.75, "on a value"),
        (6, 0.9375, "between the last two values"),
    ):
        x = dyadic(("percentile", "line", n), (n,), 11, 6)
        attrs = {"q": q, "rule": "interpolated"}
        yield Case("percentile_range", "T11", f"{n} values, q = {q}, on a line: {says}", {"x": x},
                   attrs, ("3.1",))  # fmt: skip
    x = dyadic(("percentile", 131), (131,), 11, 6)
    yield Case("percentile_range", "T11", "131 values, q = 0.9, by order: n q is cut to 117",
               {"x": x}, {"q": 0.9}, ("3.1",))  # fmt: skip
    rows = dyadic(("percentile", "rows"), (3, 2, 4), 24, 20)
    for axis, rule in ((0, "interpolated"), (2, "interpolated"), (1, "ppq")):
        attrs = {"q": 0.9, "rule": rule, "axis": axis}
        yield Case(
            "percentile_range", "REAL", f"rows along axis {axis}, {rule}", {"x": rows}, attrs,
            ("3.1",),
        )  # fmt: skip
    for rule in ("ppq", "interpolated"):
        yield Case("percentile_range", "T8", f"q = 1: the extremes, {rule}",
                   {"x": np.array([[0.5, -1.0, 0.25], [-0.75, 2.0, 3.0]])},
                   {"rule": rule, "axis": 0, "q": 1.0}, ("3.1",))  # fmt: skip
