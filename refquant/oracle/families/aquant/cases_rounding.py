"""Inputs for the schedule, A-rounding and SQuant."""

import itertools
from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes
from refquant.oracle.families.aquant.cases_border import real

# Channels of two: one whose errors cancel, beside two whose do not; sums that ask for two flips.
CANCELLING = np.array([[1.5, 0.5], [0.625, 1.0], [2.625, -1.0]])
SEVERAL = np.array([[0.625, 1.0], [1.0, 2.625], [-0.375, 0.0], [1.0, 4.625], [0.125, -1.0],
                    [0.5625, 3.0], [3.0, 0.6875]])  # fmt: skip


def rounding_cases() -> Iterator[Case]:
    """Yield the cases of the three ops."""
    yield from schedule_cases()
    yield from vector_cases()
    yield from squant_cases()


def schedule_cases() -> Iterator[Case]:
    """All steps of a run; holds of nothing, of a quarter, and of shares that no float holds."""
    for total, hold in ((8, 0.25), (4, 0.0), (16, 0.5)):
        yield Case("round_schedule", "T8", f"all {total} steps, hold {hold}",
                   {"t": np.arange(1, total + 1)}, {"total": total, "hold": hold},
                   ("13.3", "D10"))  # fmt: skip
    for total, hold in ((10, 0.2), (20000, 0.2), (7, 0.3)):
        steps = np.unique(np.linspace(1, total, 15).astype(int))
        yield Case("round_schedule", "REAL", f"{total} steps, hold {hold}, which no float holds",
                   {"t": steps}, {"total": total, "hold": hold}, ("D10",))  # fmt: skip


def vector_cases() -> Iterator[Case]:
    """Sums at ties, equal residuals, nothing to flip, one tap, clipping, special values."""
    for name, shape, ends, key in (
        ("eighths, vectors of 4: many equal residuals", (3, 3, 4), (-8, 7), 163),
        ("eighths, one tap: channels alone", (3, 7, 1), (-8, 7), 6),
        ("eighths beyond both ends", (3, 3, 4), (0, 1), 68),
        ("eighths, vectors of 9 taps", (2, 2, 9), (-8, 7), 0),
        ("eighths on one bit: the clip refuses offers", (2, 4, 2), (0, 1), 133),
        ("eighths on one bit: sums that are whole", (2, 4, 2), (0, 1), 63),
        ("eighths on one bit: a channel whose errors cancel", (2, 4, 2), (0, 1), 273),
    ):
        u = codes(("vectors", key), shape, -16, 24) / 8.0
        attrs = {} if ends == (-8, 7) else {"n": ends[0], "p": ends[1]}
        own = {1: ("P77",), 9: ("P36",)}.get(shape[2], ("D18",) if attrs else ("P36", "C18"))
        yield Case("a_rounding", "T8", name, {"u": u}, attrs, ("14", "P37", "P38", "P39", *own))
    equal = np.array([
        [[0.375, 0.375, 0.375, 0.375], [0.625, 0.625, 0.625, 0.625]],
        [[0.25, 0.25, 1.25, -0.75], [0.5, 1.5, 2.5, -0.5]],
        [[0.375, 0.25, 0.375, 0.0], [1.0, 2.0, -3.0, 0.0]],
    ])  # fmt: skip
    yield Case("a_rounding", "T8", "equal residuals, sums at ties, whole numbers", {"u": equal},
               {}, ("14", "P78", "C18"))  # fmt: skip
    yield Case("a_rounding", "T8", "one tap, whole numbers and halves",
               {"u": np.array([[[0.5], [1.5], [2.5], [-0.5], [3.0]], [[1.0], [2.0], [0.0], [-1.0],
                                                                      [5.0]]])},
               {}, ("P77", "P78"))  # fmt: skip
    yield Case("a_rounding", "T8", "a channel whose errors cancel, beside two whose do not",
               {"u": np.stack([CANCELLING, 2 - CANCELLING])}, {}, ("14", "P37", "D18"))  # fmt: skip
    yield Case("a_rounding", "T8", "a vector that takes several offers",
               {"u": np.stack([SEVERAL, -SEVERAL])}, {}, ("14", "P38", "P39"))  # fmt: skip
    for name, shape in (("channels of 36", (1, 2, 36)), ("36 channels", (1, 36, 2))):
        yield Case("a_rounding", "T8", f"eighths, {name} (more than a warp)",
                   {"u": codes(("vectors", name), shape, -16, 24) / 8.0}, {},
                   ("14", "P37", "P38"))  # fmt: skip
    special = np.array([[[np.nan, 0.375, 0.375, np.inf], [-np.inf, 0.625, -0.0, 0.625]]])
    yield Case("a_rounding", "T8", "NaN and infinities take no part", {"u": special},
               {"n": -2, "p": 1}, ("14", "D18"))  # fmt: skip
    hair = np.array([0.5, 0.25, 0.25, -0.25]) + np.array([1, 1, -1, 1]) * 2.0**-40
    yield Case("a_rounding", "T53", "ties and equal residuals broken by a hair",
               {"u": np.stack([[hair, -hair], [1 + hair[::-1], 2 - hair]])}, {},
               ("14", "P78"))  # fmt: skip
    yield Case("a_rounding", "REAL", "any fractions", {"u": real(("vectors",), (2, 3, 5), 4.0)}, {},
               ("14", "P36", "P38"))  # fmt: skip


def filters(key: int, shape: tuple[int, int, int]) -> Array:
    """Eighths of a step of 3 bits, with ends between the levels; another step for each filter."""
    low = codes(("squant", key, "low"), shape[0], -24, -8) / 8.0
    u = codes(("squant", key), shape, 0, 56) / 8.0 + low[:, None, None]
    u[:, 0, 0], u[:, -1, -1] = low, low + 7
    return np.asarray(u * np.ldexp(1.0, np.arange(-3, shape[0] - 3))[:, None, None])


def squant_cases() -> Iterator[Case]:
    """All four pairs of stages, steps that are and are not powers of two, filters of zeros."""
    names = "both stages", "kernels alone", "channels alone", "no stage: nearest levels"
    pairs = itertools.product((True, False), repeat=2)
    for words, (kernel, channel) in zip(names, pairs, strict=True):
        attrs = {name: False for name, on in (("kernel", kernel), ("channel", channel)) if not on}
        w = filters(7, (2, 3, 4)) if kernel and not channel else filters(176, (3, 3, 3))
        yield Case("squant_weight", "T8", words, {"w": w}, {"bits": 3, **attrs},
                   ("14", "P36", "P38"))  # fmt: skip
    flat = np.zeros((3, 2, 3))
    flat[1] = [[0.25, 0.5, 0.75], [0.25, 0.25, 0.25]]
    flat[2] = -flat[1]
    yield Case("squant_weight", "T8", "a filter of zeros, filters of one sign, 2 bits",
               {"w": flat}, {"bits": 2}, ("14", "D18"))  # fmt: skip
    whole = np.array([[-4.0, 11.0]] * 5)  # ends of 4 bits, without an error
    both = np.stack([[*SEVERAL, whole[0]], [*(2 - CANCELLING), *whole]])
    yield Case("squant_weight", "T8", "4 bits, filters that take several offers or pass one over",
               {"w": both / 8}, {"bits": 4}, ("14", "P38"))  # fmt: skip
    low = np.array([-1.5, -2.5, -0.5])
    ties = codes(("squant", "ties"), (3, 2, 3), 0, 250) + low[:, None, None]
    ties[:, 0, 0], ties[:, -1, -1] = low, low + 255
    yield Case("squant_weight", "T11", "8 bits, both ends at ties", {"w": ties / 64}, {"bits": 8},
               ("14", "D18"))  # fmt: skip
    yield Case("squant_weight", "REAL", "any weights, 3 bits",
               {"w": real(("squant", "real"), (2, 3, 5), 1.0)}, {"bits": 3},
               ("14", "D18"))  # fmt: skip
    fine = real(("squant", "matrix"), (3, 6, 1), 0.25)
    fine[:, :2, 0] = [-0.5, 127 / 256]  # steps of 1/256: else both ends have the same residual
    yield Case("squant_weight", "T24", "a matrix, 8 bits", {"w": fine}, {"bits": 8}, ("14", "P38"))
