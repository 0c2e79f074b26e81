"""AQuant: activations rounded at a border that each activation computes for itself.

Reference: Li et al., "Efficient Adaptive Activation Rounding for Post-Training Quantization",
arXiv:2208.11945, AQ eq.8 to 10 (methods.md 13). The arithmetic is in `refquant.quantizers.aquant`;
this file binds it to the parameters of an edge that carries patches.

    paper      here         shape     meaning
    s_x        s_x          ()        step
    b0 b1 b2   b0 b1 b2     (c, k)    coefficients of the border; b2 only for degree 2
    alpha_j    fusion       (c, k)    fusion weights, where they are learnt
    alpha      a            ()        rounding schedule: 0 leaves values real, 1 rounds them
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from refquant._checks import check_bits, complaint
from refquant._types import Array
from refquant.components.activations import NearestActivations, Params
from refquant.components.border_run import (
    border_codes,
    border_rule,
    named,
    present,
    pull_border,
    pull_border_params,
    run_border,
)
from refquant.components.choices import DECIDED_OTHERWISE, Choices
from refquant.components.seen import Seen
from refquant.kernels.border_product import RoundedProductCache, convolve, pull
from refquant.layers.geometry import Geometry
from refquant.quantizers.border import BorderParams, init_border
from refquant.quantizers.border_closed_form import (
    NO_ERROR,
    ErrorPolynomial,
    border_shared_closed,
    border_start,
)
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.border_regression import regress_error
from refquant.quantizers.border_storage import store_border

BORDER = ("b0", "b1", "b2", "fusion")


@dataclass(frozen=True, kw_only=True)
class BorderActivations(NearestActivations):
    """Adaptive rounding of activations; fields of `NearestActivations` give grid and step.

    Attributes
    ----------
    options : BorderOptions
        Every reading of the border that the paper leaves open.
    border_bits : int or None
        Keep each tensor of coefficients as integers of so many bits, 2..16, with one step (AQ 5.3:
        16 after training, 8 with training); None keeps real numbers. Learning goes straight
        through the rounding.
    """

    options: BorderOptions = BorderOptions()
    border_bits: int | None = None
    choices: ClassVar[Choices] = DECIDED_OTHERWISE  # the clip mask is a field of the options
    switches: ClassVar[tuple[str, ...]] = ("a",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.border_bits is not None:
            check_bits("BorderActivations", "border_bits", self.border_bits)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn or drive, as the options leave them."""
        gone = set()
        if self.options.degree == 1:
            gone.add("b2")
        if self.options.fuse == "none" or self.options.fusion_weights == "fixed":
            gone.add("fusion")
        return ("s_x", *(name for name in BORDER if name not in gone), "a")

    @property
    def elementwise(self) -> bool:
        """False: a value is rounded by its place in the patch."""
        return False

    def start(self, x: Array, taps: int = 1) -> Params:
        """Return the calibrated step, a border of 1/2 everywhere, and a = 1.

        `x` are patches (n, c * taps, ...): row ``channel * taps + tap``.
        """
        if x.shape[1] % taps:
            got = f"of shape {x.shape}"
            raise ValueError(
                complaint("BorderActivations.start", "x", got, f"a multiple of {taps} rows")
            )
        border = init_border(x.shape[1] // taps, taps, self.options, x.dtype)
        return {**super().start(x), **present(border), "a": np.ones((), x.dtype)}

    def forward(self, x: Array, params: Params) -> tuple[Array, Any]:
        """Return ``s_x * clip(u + a * (border_round(u) - u), n, p)`` and a cache."""
        a = float(params["a"])
        return run_border(x, self.qparams(params), self.border(params), self.options, a)

    def backward(self, d_x_hat: Array, cache: Any) -> tuple[Array, Params]:
        """Return dL/dx and the gradients of step and border (methods.md 13.4)."""
        return pull_border(d_x_hat, cache)

    def parameter_gradients(self, d_x_hat: Array, cache: Any) -> Params:
        """Return the gradients of step and border alone, where nobody wants dL/dx."""
        return pull_border_params(d_x_hat, cache)

    def quantized_product(
        self, x: Array, w: Array, geometry: Geometry, params: Params
    ) -> tuple[Array, RoundedProductCache] | None:
        """Return the convolution of a map, its patches rounded, and a cache.

        None where no kernel does that at once: in pinned arithmetic, or a reading of the border
        or values that the kernel does not model.
        """
        border, a = self.border(params), float(params["a"])
        rule = border_rule(x, self.qparams(params), border, self.options, a)
        return None if rule is None else convolve(x, w, geometry, rule)

    def pull_quantized_product(
        self, d_y: Array, cache: RoundedProductCache, wanted: bool
    ) -> tuple[Array | None, Params]:
        """Return dL/dx, if it is wanted, and the gradients of ``w``, step and border."""
        found, d_w = pull(d_y, cache, wanted)
        return found.x, {"w": d_w, **named(found, d_y)}

    def codes(self, x: Array, params: Params) -> Array:
        """Return int64 codes in code space: what is deployed, whatever `a` was."""
        return border_codes(x, self.qparams(params), self.border(params), self.options)

    def closed_form(self, seen: Seen, error_degree: int) -> Params:
        """Return b0, b1 and b2 of the best shared border of one layer (methods.md 13.2).

        `error_degree` is that of the polynomial that stands for the noise of the input; 0 leaves
        the noise out.
        """
        taps = seen.own["b0"].shape[1]
        error = self._noise(seen, error_degree) if error_degree else NO_ERROR
        closed = border_shared_closed(seen.w, seen.w_hat, taps, seen.groups, error)
        started = border_start(closed, self.options)._asdict()
        return {name: started[name] for name in ("b0", "b1", "b2") if started[name] is not None}

    def border(self, params: Params) -> BorderParams:
        """Return the coefficients as they are used: as they come back from storage, if stored."""
        border = BorderParams(params["b0"], params["b1"], params.get("b2"), params.get("fusion"))
        return border if self.border_bits is None else store_border(border, self.border_bits)

    def _noise(self, seen: Seen, degree: int) -> ErrorPolynomial:
        """The noise e = (x' - x) / s of each position as a polynomial in u = x' / s.

        Regressed where a border has an effect, n < u < p (P08).
        """
        step, shape = seen.own["s_x"], seen.own["b0"].shape
        low, high = self._grid.limits(int(seen.own["zero_point"]))
        u, clean = (_by_position(x / step, shape) for x in (seen.given, seen.wanted))
        live = ((u > low) & (u < high)).astype(u.dtype)
        return regress_error(u, u - clean, min(degree, self.options.degree), live)


def _by_position(x: Array, shape: tuple[int, ...]) -> Array:
    """Patches (n, c k, ...) as (c, k, samples)."""
    rows = x.reshape(len(x), x.shape[1], -1)
    return np.moveaxis(rows, 0, 1).reshape(*shape, -1)
