"""Inputs for the schedules and for Adam."""

from collections.abc import Iterator

import numpy as np

from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic

QUARTER = {"total": 16, "warm_up": 0.25}  # the warm-up ends at step 4, exactly
DYADIC = {"beta1": 0.875, "beta2": 0.984375, "eps": 2.0**-10, "lr": 0.0625}


def cases() -> Iterator[Case]:
    """Yield the cases of the three ops."""
    yield from _beta()
    for total, lr in ((8, 1.0), (20000, 4e-5)):
        t = np.array([0, 1, total // 4, total // 2, total - 1])
        yield Case("cosine_lr", "T8", f"first, middle and last of {total} steps", {"t": t},
                   {"total": total, "lr": lr}, ("5.7",))  # fmt: skip
    yield from _adam()


def _beta() -> Iterator[Case]:
    for curve in ("linear", "cosine"):
        for first in (1, 0):
            for arrive in ("total", "last"):
                t = np.array([first, 3, 4, 5, 7, 10, 15, 15 + first])
                attrs = {**QUARTER, "curve": curve, "first_step": first, "arrive": arrive}
                yield Case("beta_schedule", "T8",
                           f"{curve} from step {first}, b1 at {arrive}: edge of the warm-up, end",
                           {"t": t}, attrs, ("5.5", "D9", "P24"))  # fmt: skip
        for after in ("hold", "continue"):
            yield Case("beta_schedule", "T8", f"{curve}: steps beyond the last, {after}",
                       {"t": np.array([3, 15, 16, 17, 20])},
                       {**QUARTER, "curve": curve, "after": after},
                       ("5.5", "D9"))  # fmt: skip
    yield Case("beta_schedule", "T8", "a warm-up of two steps and a half",
               {"t": np.array([1, 2, 3, 10])}, {"total": 10, "warm_up": 0.25},
               ("5.5",))  # fmt: skip
    yield Case("beta_schedule", "T24", "20000 steps, the edge of the warm-up",
               {"t": np.array([1, 3999, 4001, 12000, 19999, 20000])}, {},
               ("5.5", "P24"))  # fmt: skip
    yield Case("beta_schedule", "T8", "no warm-up, other ends",
               {"t": np.array([1, 2, 4, 8])},
               {"total": 8, "warm_up": 0.0, "start": 16.0, "end": 4.0}, ("5.5",))  # fmt: skip

    short = {"total": 4, "first_step": 0, "arrive": "last", "start": 16.0, "end": 4.0}
    for curve in ("linear", "cosine"):
        for after in ("refuse", "continue"):
            steps = np.array([0, 2, 3] if after == "refuse" else [3, 4, 6])
            yield Case("beta_schedule", "T8",
                       f"{curve}: b1 is due at the end of the warm-up, {after}", {"t": steps},
                       {**short, "warm_up": 0.75, "curve": curve, "after": after},
                       ("5.5", "D9"))  # fmt: skip
    yield Case("beta_schedule", "T8", "b1 is due before the end of the warm-up",
               {"t": np.array([2, 3, 4, 5])}, {**short, "warm_up": 0.875, "after": "continue"},
               ("5.5", "D9"))  # fmt: skip
    for curve in ("linear", "cosine"):
        yield Case("beta_schedule", "T24", f"{curve}: ten million steps",
                   {"t": np.array([1, 40000, 200001, 1000000, 9999999])},
                   {"total": 10000000, "warm_up": 0.125, "curve": curve}, ("5.5",))  # fmt: skip


def _adam() -> Iterator[Case]:
    g = np.array([1.0, -0.5, 0.25, 0.0, -2.0, 2.0**-6])
    zero, x = np.zeros(6), np.array([0.5, -1.0, 2.0, 0.25, 0.0, 1.0])
    yield Case("adam_step", "T8", "the first step",
               {"x": x, "d_x": g, "m": zero, "v": zero, "t": np.asarray(1)},
               DYADIC, ("5.7", "P59"))  # fmt: skip
    m, v = g[::-1] / 2, np.array([0.25, 1.0, 0.0625, 0.5, 4.0, 2.0**-8])
    given = {"x": x, "d_x": g, "m": m, "v": v}
    yield Case("adam_step", "T8", "a later step, all constants dyadic",
               {**given, "t": np.asarray(3)}, DYADIC, ("5.7",))  # fmt: skip
    yield Case("adam_step", "T8", "step 20 with the constants of the paper",
               {**given, "t": np.asarray(20)}, {}, ("5.7",))  # fmt: skip
    yield Case("adam_step", "T8", "step 150: beta2^t leaves much to correct",
               {**given, "t": np.asarray(150)}, {"beta2": 0.9999, "lr": 0.5}, ("5.7",))  # fmt: skip
    for t, attrs, words in (
        (65543, {"beta2": 1.0 - 2.0**-14, "lr": 0.5},
         "step 65543: a counter of 16 bits is at 7, where beta2^t is still near 1"),
        (65600, {}, "step 65600 with the constants of the paper: nothing is left to correct"),
    ):  # fmt: skip
        yield Case("adam_step", "T24", words, {**given, "t": np.asarray(t)}, attrs, ("5.7",))
    tiny = {"x": x, "d_x": g * 2.0**-20, "m": m * 2.0**-20, "v": v * 2.0**-40, "t": np.asarray(7)}
    yield Case("adam_step", "T8", "gradients a million times smaller", tiny,
               {**DYADIC, "eps": 2.0**-26}, ("P59", "5.7"))  # fmt: skip
    yield Case("adam_step", "REAL", "any state, two axes", {
        "x": dyadic(("adam", "x"), (3, 5), 24, 22), "d_x": dyadic(("adam", "g"), (3, 5), 24, 25),
        "m": dyadic(("adam", "m"), (3, 5), 24, 26),
        "v": np.abs(dyadic(("adam", "v"), (3, 5), 24, 28)), "t": np.asarray(11),
    }, {"lr": 0.003}, ("5.7",))  # fmt: skip
