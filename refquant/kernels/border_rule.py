"""What the border's kernels read of one quantizer, made ready once.

paper          here      shape       meaning
s              step      --          step
n, p           low high  --          ends of u-space
alpha          a         --          rounding schedule: 0 leaves values real, 1 rounds them
alpha_j / K    weights   (c, 1, K)   weight of a row in the border of its channel
b_j / 2        halves    (f, 1)      coefficients of P / 2, f = c K rows
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions

COARSE = 2.0**-12  # of a step: a resolution above this would show


class Ends(NamedTuple):
    """The smallest and the largest of the numbers in units of the step; NaN if one of them is."""

    low: float
    high: float


def ends_of(u: Array) -> Ends:
    """Return the ends of what a map holds and of the zeros around it."""
    return Ends(float(u.min(initial=0.0)), float(u.max(initial=0.0)))


@dataclass(frozen=True)
class BorderRule:
    """One quantizer: step, ends of u-space, weight of the rounding, border.

    Parameters in the dtype of x, the step exact in it.
    """

    step: float
    low: float
    high: float
    a: float
    params: BorderParams
    options: BorderOptions

    @cached_property
    def taps(self) -> int:
        """Rows of patches that share a border, K."""
        taps = self.params.b0.shape[1]
        return taps if self.options.fuses(taps) else 1

    @cached_property
    def weights(self) -> Array:
        """alpha_j / K as (c, 1, K)."""
        found = self.params.fusion
        ones = np.ones_like(self.params.b0) if found is None else found
        return np.asarray(ones.reshape(-1, 1, self.taps) / ones.dtype.type(self.taps))

    @cached_property
    def halves(self) -> list[Array]:
        """(b0, b1, b2) / 2 as columns (f, 1), without b2 for degree 1; halving is exact."""
        return [0.5 * b.reshape(-1, 1) for b in self.params[:3] if b is not None]

    @cached_property
    def edge(self) -> float:
        """The largest |P| / 2 that has not saturated, exact in the dtype of x."""
        edge = self.options.saturation / 2.0
        near = np.asarray(edge, self.params.b0.dtype)
        return float(near if near <= edge else np.nextafter(near, near.dtype.type(0)))

    @cached_property
    def resolution(self) -> float:
        """The distance of neighbouring numbers from two steps beyond the ends of u-space on."""
        reach = self.params.b0.dtype.type(max(-self.low, self.high) + 2.0)
        return float(np.spacing(reach))

    def holds(self, ends: Ends) -> bool:
        """Return whether the kernel computes the levels of every u between these ends."""
        reach, size = max(-ends.low, ends.high), 0.0
        for norm in self.norms[::-1]:
            size = size * reach + norm  # at least |P / 2|
        return size < self.largest

    @cached_property
    def norms(self) -> list[float]:
        """Those of `halves`."""
        return [_norm(half) for half in self.halves]

    @cached_property
    def largest(self) -> float:
        """What |P / 2| must stay below so that its square is finite.

        0 where nothing is computed: the grid is too long, or a weight is not finite.
        """
        able = self.resolution <= COARSE and math.isfinite(_norm(self.weights))
        return math.sqrt(np.finfo(self.params.b0.dtype).max) / 4.0 if able else 0.0


def _norm(x: Array) -> float:
    wide = x.astype(np.float64)  # where no square of a float32 is 0 but that of 0
    return math.sqrt(np.vdot(wide, wide))


def covers(options: BorderOptions) -> bool:
    """Return whether the kernel computes this reading of the border."""
    outer = options.bound == "sigmoid" and options.scale == "outer" and options.kappa > 1.0
    return outer and options.fuse != "fuse_bound" and options.border_mask == "closed"
