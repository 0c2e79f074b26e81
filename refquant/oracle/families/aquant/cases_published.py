"""AQuant as published, a sigmoid of outer scale, bounded and then fused: what other cases ask of
the clip, asked of a backend that declares this dialect and is held to nothing else.

P = 0 gives the border 1/2, P = -1 and P = 1 lie beyond the clip and give 0 and 1, so that these
decide ties and whole numbers exactly; what lies between decides no quarter.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic
from refquant.oracle.families.aquant.cases_border import blocks, many, square
from refquant.oracle.families.aquant.cases_quant import Arrays, few_bits, gradient, weights

ENDS = {"n": -2, "p": 1}


def published_cases() -> Iterator[Case]:
    """Yield cases of the border's fusion and of the quantizer, forward and backward."""
    for purpose, given in fused():
        yield Case("border_fuse", "T8", f"as published: {purpose}", given, {},
                   ("13.3", "D16", "P71"))  # fmt: skip
        yield Case("border_fuse_backward", "T8", f"as published: {purpose}",
                   given | {"d_border": of_border(given)}, {}, ("13.4", "D16", "P71"))  # fmt: skip
    for purpose, given, attrs in quantized():
        yield Case("aquant_quant", "T8", f"as published: {purpose}", given, attrs,
                   ("13.3", "D16", "P70"))  # fmt: skip
        d = {"d_x_hat": gradient(given["x"].shape)}
        yield Case("aquant_quant_backward", "T8", f"as published: {purpose}", given | d, attrs,
                   ("13.4", "D16", "D23"))  # fmt: skip


def fused() -> Iterator[tuple[str, Arrays]]:
    """Purpose, values of P and fusion weights."""
    p, fusion = blocks("published", (2, 2, 4, 2))
    yield "borders of four taps, some clipped, some means too", {"p": p, "fusion": fusion}
    yield "all sizes equal, far beyond both ends", square("published")
    yield "36 taps (more than a warp)", many("published")


def of_border(given: Arrays) -> Array:
    """A gradient of the fused border, of few bits, nowhere 0."""
    images, channels, _, windows = given["p"].shape
    return dyadic(("published", "d", windows), (images, channels, 1, windows), 3, 1) + 0.0625


def quantized() -> Iterator[tuple[str, Arrays, dict[str, Any]]]:
    """Purpose, inputs and attributes that are no dialect."""
    four = few_bits((1, 2, 4, 3)) | weights(2, 4)
    yield "quarters from below n to above p, a padded row", four, {}
    yield "levels -4 to 3", four, {"n": -4, "p": 3}
    yield "levels -3 to 3, one fewer than 2^3", four, {"n": -3, "p": 3}
    yield "a = 0.5: mixed, then clipped", four, {"a": 0.5}
    yield "36 taps (more than a warp)", few_bits((1, 1, 36, 1)), {}
    u = np.arange(-9, 7) / 4.0
    for border, coefficient in ((0, -1.0), (1, 1.0)):
        b0 = np.full((1, 1), coefficient)
        given = {"x": 0.5 * u[None, None, :], "s": np.array(0.5), "b0": b0, "b1": 0 * b0}
        yield f"border {border}, beyond the clip, at every quarter", given, ENDS
    x = np.array([[[np.nan, 1.25, -0.0, np.inf], [0.75, np.inf, -np.inf, 1.5],
                   [-0.25, np.nan, 100.0, -np.inf]]])  # fmt: skip
    b0, b1 = np.array([[0.0, 0.25, -0.25]]), np.array([[0.125, 0.25, 0.0625]])
    yield "NaN, infinities and -0.0", {"x": x, "s": np.array(0.5), "b0": b0, "b1": b1}, ENDS
