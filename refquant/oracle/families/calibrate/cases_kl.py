"""Inputs for the two calibrators that compare histograms.

The largest magnitude is a power of two and many values lie on edges, except in the REAL cases. No
two candidates are so close that roundings could decide between them; where two are equal, every
share is a power of two.
"""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single

ODD = np.arange(-7.0, 8.0, 2.0) / 8  # one value in each of eight bins, but for the ends


def cases() -> Iterator[Case]:
    """Yield the cases of the two operations."""
    yield from amct_cases()
    yield from trt_cases()


def peaked(key: tuple[int | str, ...], n: int, tops: int = 1) -> Array:
    """Sixty-fourths that lie the closer together the closer to 0; the first ones are 1."""
    x, halvings = dyadic((*key, "x"), (n,), 6, 6), dyadic((*key, "h"), (n,), 2, 0)
    x = np.ldexp(x, -np.abs(halvings).astype(int))
    x[:tops] = 1.0
    return np.asarray(x)


def coarse(number: int) -> Array:
    """Thirty numbers, 128ths below 3/4 and a 1."""
    key = ("trt", 30, number, 4)
    x, halvings = dyadic((*key, "x"), (30,), 7, 7), dyadic((*key, "h"), (30,), 2, 0)
    whole = np.rint(np.ldexp(x, 7 - np.abs(halvings).astype(int)))
    x = np.rint(0.75 * whole) / 128
    x[0] = 1.0
    return np.asarray(x)


def amct_cases() -> Iterator[Case]:
    """Yield the cases of `kl_scale_amct`."""
    op, base = "kl_scale_amct", ("3.3", "D5")
    last, first, other = (peaked(("kl", 40, key), 40) for key in (9, 4, 58))
    second = peaked(("klb", 60, 0), 60)
    yield Case(op, "T8", "the last window, i = 19, is the best", {"w": last}, {},
               (*base, "C3", "P81"))  # fmt: skip
    yield Case(op, "T8", "window i = 1 is the best, all values turned round", {"w": -first}, {},
               (*base, "P81"))  # fmt: skip
    yield Case(op, "T8", "window i = 1 is the best, by little mass outside", {"w": second}, {},
               (*base, "C3"))  # fmt: skip
    rows = np.stack([last, np.zeros(40), other]) * np.array([[1.0], [1.0], [0.25]])
    yield Case(op, "T8", "rows, one of zeros", {"w": rows}, {"axis": 0}, (*base, "P81"))
    inside = np.where(last == 1.0, 1.0, last + 2.0**-10)  # off the edges, in the same bins
    real = single(0.6 * inside)
    yield Case(op, "REAL", "a threshold that is rounded", {"w": real}, {}, base)
    below = peaked(("kl edge", 3, 32, 2), 16)
    below[below != 1.0] -= 2.0**-40
    yield Case(op, "T53", "values below edges by less than single precision", {"w": below},
               {"bits": 3, "bins": 32, "searches": 10}, (*base, "C3"))  # fmt: skip
    many = np.append(np.full(258, 11 / 32), peaked(("kl bytes", 3), 24))
    yield Case(op, "T8", "258 values in one bin (more than a byte counts)", {"w": many},
               {"bits": 3, "bins": 32, "searches": 10}, base)  # fmt: skip
    yield from window_cases()
    even = np.append(ODD[:-1], 1.0)
    few = {"bins": 8, "searches": 2}
    for exponent, says in (
        (0, "two windows that diverge equally: the first"),
        (-16, "the smallest step that is kept"),
        (-17, "a step below the smallest: 1"),
    ):
        given = {"w": np.ldexp(even, exponent)}
        yield Case(op, "T8", says, given, few, (*base, "C2"))
    yield Case(op, "T8", "all values 0", {"w": np.zeros((2, 3))}, {}, (*base, "P81"))


def window_cases() -> Iterator[Case]:
    """Windows that lose to others by little: smoothing and clamped mass decide."""
    for tier, how, n, number in (
        ("T8", (3, 32, 10), 24, 104),
        ("T8", (2, 32, 12), 16, 26),
        ("T53", (4, 64, 12), 16, 71),
        ("T53", (4, 48, 8), 16, 104),
        ("T53", (3, 48, 12), 16, 242),
    ):
        bits, bins, searches = how
        x = peaked(("kl new", bits, bins, n, number), n)
        x[: n if number % 2 else 0 : 2] *= -1  # of an odd number every other one is turned round
        attrs = {"bits": bits, "bins": bins, "searches": searches}
        yield Case("kl_scale_amct", tier,
                   f"{bits} bits, {bins} bins: smoothing and clamped mass decide among {searches}",
                   {"w": x}, attrs, ("3.3", "D5", "P81"))  # fmt: skip
        if bits == 3 and tier == "T8":
            columns = np.stack([x, -0.5 * x], axis=1)
            yield Case("kl_scale_amct", tier,
                       f"{bits} bits, two columns: half the size and turned round, half the step",
                       {"w": columns}, {**attrs, "axis": 1}, ("3.3", "D5", "P81"))  # fmt: skip


def trt_cases() -> Iterator[Case]:
    """Yield the cases of `kl_scale_trt`."""
    op, base = "kl_scale_trt", ("3.3", "D5")
    low = codes(("trt", "low"), 72, -127, 127) / 512
    dense = np.concatenate([low, [127 / 512] * 4, [-1.0]])
    yield Case(op, "T8", "8 bits, a dense half: the range is clipped", {"x": dense}, {"bins": 512},
               (*base, "C3"))  # fmt: skip
    spread = peaked(("trt", 30, "8 bits"), 30)
    yield Case(op, "T8", "8 bits, spread values: all bins win", {"x": spread}, {}, (*base, "C3"))
    yield Case(op, "T8", "4 bits, the first range is empty", {"x": spread}, {"bits": 4},
               (*base, "C3"))  # fmt: skip
    for number, says in (
        (2, "all win, though many are empty"),
        (3, "88 win, by little"),
    ):
        few = {"x": coarse(number)}
        where = f"4 bits, 128 bins: {says}"
        yield Case(op, "T8", where, few, {"bits": 4, "bins": 128}, (*base, "C3"))
    small, rest = (codes((f"kl {name}", 3, 256, 2), n, *ends) for name, n, ends in (
        ("first", 20, (1, 15)), ("rest", 6, (16, 127))))  # fmt: skip
    given = {"x": np.append(np.append(small, rest) / 512, 1.0)}
    yield Case(op, "T8", "3 bits, 256 bins, most values in the first eight", given,
               {"bits": 3, "bins": 256}, (*base, "C3"))  # fmt: skip
    many = np.append(np.full(300, 41 / 256), coarse(3))
    yield Case(op, "T8", "4 bits, 128 bins, 300 values in one (more than a byte counts)",
               {"x": many}, {"bits": 4, "bins": 128}, (*base, "C3"))  # fmt: skip
    inside = coarse(3)
    inside[1:] += np.where(inside[1:] < 0, -1, 1) / 1024  # off the edges, in the same bins
    real = {"x": single(0.7 * inside)}
    yield Case(op, "REAL", "4 bits, a step that is rounded", real, {"bits": 4, "bins": 128}, base)
    for bits in (4, 8):
        zero = {"x": np.zeros((2, bits))}
        yield Case(op, "T8", f"{bits} bits, all values 0", zero, {"bits": bits}, (*base, "C4"))
