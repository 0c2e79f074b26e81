"""Closed forms as steps of a setting: layer by layer, as data.

Each is a frozen dataclass with

    at                    -> "product", "patches", "inputs" or "expected", where it looks
    writes                -> names of the parameters it sets
    needs, hint           -> those of them that a component must declare, and which one does
    fit(seen)             -> {parameter: array} of one layer
    keep                  -> "always", or "better": where the error of the block falls; optional
    explain(network)      -> the layers it acts on, where it looks for a pattern; optional

and stands in a setting's `finish`, to run once everything is rounded for good, or in a phase's
`begin`, to start a unit; one runs before all phases (`refquant.methods.sequential`). The loop
walks the layers in running order, with those before already fitted, so a fit also answers what
reaches the layer (`refquant.reconstruct.fit`):

    at        given by the quantized network                  wanted              writes to
    product   y0, product of codes and quantized input        y, float output     the layer
    patches   x', input of the layer before it is quantized   x, float patches    its quantizer
    inputs    xh, quantized input of the product              x, float patches    the layer
    expected  E, the mean of the input by its batch norm      E                   the layer

Codes and steps stay as they are. Like `prepare`, a step is printed, hashed and compared with its
setting.

References: methods.md 15.3 (P44), 8 (P50; Nagel et al., arXiv:1906.04721) and 13.2 (the border).
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int
from refquant._fields import published
from refquant._types import Array
from refquant.components.seen import Seen
from refquant.network import Network, linear_nodes
from refquant.network.normals import normal_behind
from refquant.optimal.bias_correction import correct_bias_analytic, shifted
from refquant.optimal.least_squares import fit_transform
from refquant.quantizers.transform import output_transform_forward

KEEP = ("always", "better")


@dataclass(frozen=True, kw_only=True)
class FitTransform:
    """The xi and eta of each channel that bring ``xi y0 + b + eta`` closest to y.

    Attributes
    ----------
    granularity : {"channel", "layer", "pixel"}
        What shares one pair, as in the setting's XiEta.
    """

    granularity: str = "channel"
    at = "product"
    hint = "Use output=XiEta()."

    def __post_init__(self) -> None:
        check_in("FitTransform", "granularity", self.granularity, ("channel", "layer", "pixel"))

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("xi", "eta")

    @property
    def needs(self) -> tuple[str, ...]:
        """Names a component must declare."""
        return self.writes

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return ordinary least squares xi and eta (methods.md 15.3)."""
        bias = seen.own.get("bias")
        found = fit_transform(seen.wanted, seen.given, bias, self.granularity)
        return {"xi": found.xi, "eta": found.eta}


@dataclass(frozen=True, kw_only=True)
class CorrectBias:
    """Empirical bias correction: b <- b + mean(y - y_hat) of each channel.

    Attributes
    ----------
    keep : {"always", "better"}
        Whether a layer's correction stays whatever it does (the paper, AIMET), or where it lowers
        the squared error of the layer's block, those behind not yet corrected (PPQ; methods.md 8).
    """

    keep: str = published("always", "always: the paper, AIMET; better: PPQ")
    at = "product"
    hint = ""

    def __post_init__(self) -> None:
        check_in("CorrectBias", "keep", self.keep, KEEP)

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("bias",)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names a component must declare: none, every layer may have a bias."""
        return ()

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return the corrected bias (methods.md 8); a layer without one gets one."""
        y, y0, own, channels = seen.wanted, seen.given, seen.own, seen.given.shape[1]
        bias = own.get("bias", np.zeros(channels, y0.dtype))
        xi = own.get("xi", np.ones(channels, y0.dtype))
        eta = own.get("eta", np.zeros(channels, y0.dtype))

        def error(rows: slice) -> Array:
            """Return y - y_hat of some samples."""
            y_hat, _ = output_transform_forward(y0[rows], bias, xi, eta)
            return y[rows].astype(np.float64) - y_hat.astype(np.float64)

        return {"bias": shifted(bias, error, y.shape)}


@dataclass(frozen=True, kw_only=True)
class CorrectBiasAnalytic:
    """Analytic bias correction: b <- b - (What - W) E, E the mean input by the batch norm before.

    It looks at no data. Where no batch norm says what the input is, or more than a ReLU, averages
    and reshaping stand between, the layer stays as it is (`refquant.network.normals`); the notes of
    the result list the others. Behind an xi and an eta the mean of ``xi What E + b + eta`` counts.

    Differs from: AIMET, which corrects the layers without a batch norm empirically; write
    ``nearest+bias-correction`` for that. Clipped and quantized inputs are taken to have the mean of
    real ones, and padding is not counted.
    """

    at = "expected"
    hint = ""

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets."""
        return ("bias",)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names a component must declare: none, every layer may have a bias."""
        return ()

    def explain(self, network: Network) -> tuple[str, ...]:
        """Return the layers of a lowered network whose expected input is known."""
        return tuple(n for n in linear_nodes(network) if normal_behind(network, n) is not None)

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return the corrected bias (methods.md 8); a layer without one gets one."""
        own, w, channels = seen.own, seen.w, len(seen.w)
        bias = own.get("bias", np.zeros(channels, w.dtype))
        xi, eta = (_one_a_channel(own[k], channels) if k in own else None for k in ("xi", "eta"))
        w_hat = seen.w_hat if xi is None else seen.w_hat * xi.reshape(-1, *[1] * (w.ndim - 1))
        bias = bias if eta is None else bias - eta
        mean = seen.wanted
        return {"bias": correct_bias_analytic(bias, w, w_hat, mean, seen.groups)}


def _one_a_channel(value: Array, channels: int) -> Array:
    """The mean over positions of a value of the layer, its channels or its pixels."""
    if value.ndim > 1:
        value = nx.mean(value.reshape(channels, -1), axis=1)
    return np.array(np.broadcast_to(value, (channels,)))


@dataclass(frozen=True, kw_only=True)
class FitBorder:
    """The border that a layer's weights, their errors and the noise of its input dictate.

    methods.md 13.2, beyond the paper. For the clip it is b*, for the sigmoid (4 / kappa) b*, equal
    in value and slope at 1/2; fusion weights stay as they are.

    Attributes
    ----------
    error_degree : {0, 1, 2}
        Of the polynomial in u that stands for the noise, regressed where the border matters; 0
        counts the errors of the weights alone. A linear border takes 1 at most.
    samples : int
        How many calibration inputs, from the first, the noise is regressed on.
    """

    error_degree: int = 2
    samples: int = 256
    at = "patches"
    hint = "Use placement='input' and activations=BorderActivations()."

    def __post_init__(self) -> None:
        check_in("FitBorder", "error_degree", self.error_degree, (0, 1, 2))
        check_int("FitBorder", "samples", self.samples, 1)

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the parameters it sets; b2 where the border has one."""
        return ("b0", "b1", "b2")

    @property
    def needs(self) -> tuple[str, ...]:
        """Names a component must declare."""
        return ("b0", "b1")

    def fit(self, seen: Seen) -> dict[str, Array]:
        """Return the coefficients of the closed form."""
        found: dict[str, Array] = seen.quantizer.closed_form(seen, self.error_degree)
        return found
