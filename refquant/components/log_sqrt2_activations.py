"""Activations behind a softmax on levels that are powers of sqrt(2), as RepQ-ViT has them.

Reference: Li et al., "RepQ-ViT", arXiv:2212.08254, section 3.4 (methods.md 2.6 and 16, P64). The
arithmetic is in `refquant.quantizers.log_sqrt2`.

    paper   here    shape   meaning
    d       scale   ()      the largest level, a quantile of the calibration values

A setting holds it as `probabilities`: it takes the place of `activations` on edges that an
operation of `SOFTMAX_LIKE` writes, whose values are in [0, 1]. Where a network has none, nothing
changes, and the result's notes say so.

Nothing is learnt here; for methods that learn what lies before it, Gx = Gy y / x, the convention
of `log_sqrt2_slope`.

Not modelled: integer products. The contract defines none for these levels, so deployment refuses,
and runs them in real numbers.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from refquant._checks import check_bits, check_int
from refquant._types import Array
from refquant.quantizers.log_sqrt2 import (
    SHARES,
    check_shares,
    choose_scale,
    log_sqrt2,
    log_sqrt2_slope,
)

Params = dict[str, Array]
SOFTMAX_LIKE = ("softmax", "sigmoid")  # operations with values in [0, 1], most of them small


class LogSqrt2Cache(NamedTuple):
    """What `forward` leaves for `backward`: its arguments."""

    x: Array
    scale: Array


@dataclass(frozen=True, kw_only=True)
class LogSqrt2Activations:
    """Log-sqrt2 rounding of values that are nowhere negative, one largest level per tensor.

    Attributes
    ----------
    bits : int
        2..16.
    samples : int
        How many calibration inputs, from the first, the largest level is chosen on.
    shares : tuple of float
        Quantiles that compete for it by squared error (RepQ-ViT: 0.999, 0.9999, 0.99999).
    """

    bits: int = 8
    samples: int = 256
    shares: tuple[float, ...] = SHARES
    behind: ClassVar[tuple[str, ...]] = SOFTMAX_LIKE
    uniform: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_bits("LogSqrt2Activations", "bits", self.bits)
        check_int("LogSqrt2Activations", "samples", self.samples, 1)
        check_shares("LogSqrt2Activations", self.shares)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Nothing: the largest level is chosen by its error."""
        return ()

    @property
    def elementwise(self) -> bool:
        """Whether each value is rounded by itself, 0 to 0."""
        return True

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the largest level of the values `x`; `taps` make no difference."""
        return {"scale": choose_scale(x[: self.samples], self.bits, self.shares)}

    def forward(self, x: Array, params: Params) -> tuple[Array, LogSqrt2Cache]:
        """Return the quantize-dequantized values and what the backward needs."""
        scale = params["scale"].astype(x.dtype)
        return log_sqrt2(x, scale, self.bits).y, LogSqrt2Cache(x, scale)

    def backward(self, d_x_hat: Array, cache: LogSqrt2Cache) -> tuple[Array, Params]:
        """Return dL/dx; there is nothing to learn."""
        return d_x_hat * log_sqrt2_slope(cache.x, cache.scale, self.bits), {}

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes, 0 for the largest level; that of zeros is 2^bits - 1."""
        return log_sqrt2(x, params["scale"].astype(x.dtype), self.bits).codes
