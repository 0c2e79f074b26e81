"""Steps that run once everything is rounded for good: closed forms, layer by layer, as data.

Each is a frozen dataclass with

    writes                -> names of the parameters it sets
    needs                 -> those of them that an output component must have started
    fit(y, y0, own)       -> {parameter: array} of one layer

where y is the layer's float output and y0 the product of its codes with its quantized input, both
on the whole calibration set, and `own` holds the layer's parameters: bias, xi and eta if present.
The loop walks the layers in running order and makes y0 with the layers before already fitted, so
a fit also repairs what reaches the layer (`refquant.reconstruct.finish`). Codes, steps and borders
stay as they are. Like `prepare`, a step is printed, hashed and compared with its setting.

Reference: methods.md 15.3 (P44) and 8 (P50).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from refquant._types import Array
from refquant.optimal.bias_correction import correct_bias
from refquant.optimal.least_squares import fit_transform
from refquant.quantizers.transform import output_transform_forward


@dataclass(frozen=True, kw_only=True)
class FitTransform:
    """The xi and eta of each channel that bring ``xi y0 + b + eta`` closest to y."""

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("xi", "eta")

    @property
    def needs(self) -> tuple[str, ...]:
        """Names an output component must have."""
        return self.writes

    def fit(self, y: Array, y0: Array, own: Mapping[str, Array]) -> dict[str, Array]:
        """Return ordinary least squares xi and eta (methods.md 15.3)."""
        found = fit_transform(y, y0, own.get("bias"))
        return {"xi": found.xi, "eta": found.eta}


@dataclass(frozen=True, kw_only=True)
class CorrectBias:
    """Empirical bias correction: b <- b + mean(y - y_hat) of each channel."""

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("bias",)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names an output component must have: none, every layer may have a bias."""
        return ()

    def fit(self, y: Array, y0: Array, own: Mapping[str, Array]) -> dict[str, Array]:
        """Return the corrected bias (methods.md 8); a layer without one gets one."""
        channels = y0.shape[1]
        bias = own.get("bias", np.zeros(channels, y0.dtype))
        xi = own.get("xi", np.ones(channels, y0.dtype))
        eta = own.get("eta", np.zeros(channels, y0.dtype))
        y_hat, _ = output_transform_forward(y0, bias, xi, eta)
        return {"bias": correct_bias(y, y_hat, bias)}
