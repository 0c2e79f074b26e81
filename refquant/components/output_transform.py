"""What may be learnt behind a product: scale and shift, a bias, or a batch norm not folded.

Reference: "Adaptive Quantization Transformation", AT eq. 7, 8 and 10 (methods.md 15.1, 15.6). The
arithmetic is in `refquant.quantizers.transform`; networks run it in their output nodes, deployment
folds it.

    component    paper        here          shape            neutral          eq.
    XiEta        xi           xi            see below        1                8
                 eta          eta           see below        0                8
    FreeBias     b'           bias          (c_out,)         the layer's own  7
    XiEtaBias    all three    all three     as there         as there         7 and 8
    NormAffine   gamma, beta  gamma, beta   (c_out,)         as trained       10

    granularity   shape              folds into
    channel       (c_out,)           one multiplier and offset a channel, as without it (eq. 9)
    layer         ()                 the same
    pixel         (c_out, h, w)      a multiplier a position; the float epilogue carries it
    network       (c_out,)           the last layer's; no other layer has any

An output component has ``start(place)``, the parameters of one layer at their neutral values, and
``at``, which says whose node they are: the layer's "output", or the "batch_norm" behind it. A layer
without a batch norm starts nothing of NormAffine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import MAX_BITS, check_in
from refquant._fields import published
from refquant._types import Array
from refquant.quantizers.adaquant import adaquant_forward, adaquant_init
from refquant.quantizers.transform import GRANULARITIES, transform_shape

Params = dict[str, Array]


class Place(NamedTuple):
    """Where an output component stands.

    Attributes
    ----------
    y : Array
        The layer's float output for a sample or more, (n, c_out, ...).
    bias : Array or None
    last : bool
        Whether it is the last linear layer of the network.
    norm : mapping of str to array
        Parameters of the batch norm right behind it; empty where there is none.
    """

    y: Array
    bias: Array | None
    last: bool
    norm: Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class XiEta:
    """Scale xi and shift eta of the output of a layer, AT eq. 8.

    Attributes
    ----------
    xi, eta : {"channel", "layer", "pixel", "network"}
        What shares one number, see the module's table.
    """

    xi: str = "channel"
    eta: str = "channel"
    at = "output"

    def __post_init__(self) -> None:
        check_in("XiEta", "xi", self.xi, GRANULARITIES)
        check_in("XiEta", "eta", self.eta, GRANULARITIES)

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("xi", "eta")

    def start(self, place: Place) -> Params:
        """Return the neutral transform of a layer; less where only the network's last has one."""
        neutral = {"xi": (self.xi, 1.0), "eta": (self.eta, 0.0)}
        return {
            name: np.full(transform_shape(granularity, place.y.shape), value, place.y.dtype)
            for name, (granularity, value) in neutral.items()
            if place.last or granularity != "network"
        }


@dataclass(frozen=True, kw_only=True)
class FreeBias:
    """A bias b' that is learnt, AT eq. 7; a layer without one gets one.

    Attributes
    ----------
    fake_quant : bool
        Whether networks add b' rounded, with as many bits as weight and input have together, 16 at
        most, in the range from its smallest to its largest entry and 0 (AdaQuant's released code,
        methods.md 8). The gradient passes straight through.
    """

    fake_quant: bool = published(False, "CalibTIP: True")
    at = "output"

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("bias",)

    def start(self, place: Place) -> Params:
        """Return the layer's own bias."""
        none = np.zeros(place.y.shape[1], place.y.dtype)
        return {"bias": none if place.bias is None else place.bias}


@dataclass(frozen=True, kw_only=True)
class XiEtaBias(XiEta):
    """Scale xi and shift eta beside a bias b' that is learnt too: y = xi y0 + b' + eta.

    For xi and eta on top of a method that learns its biases. Both shift alike: the one adds what
    the other leaves.

    Attributes
    ----------
    fake_quant : bool
        As for `FreeBias`; eta is added as it is.
    """

    fake_quant: bool = published(False, "CalibTIP: True")

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return (*super().learnable, *FreeBias().learnable)

    def start(self, place: Place) -> Params:
        """Return the neutral transform of a layer, and its own bias."""
        return {**super().start(place), **FreeBias().start(place)}


def both(first: Any, second: Any) -> Any:
    """Return the output component that has the parameters of both; None if there is none."""
    if first is None or second is None:
        return first or second
    if isinstance(first, FreeBias) and type(second) is XiEta:
        return XiEtaBias(xi=second.xi, eta=second.eta, fake_quant=first.fake_quant)
    return None


def rounded_bias(bias: Array, bits: int) -> Array:
    """Return a bias as AdaQuant's quantizer rounds it in its own range (methods.md 2.3 and 8)."""
    span, minimum = adaquant_init(bias)
    return adaquant_forward(bias, span, minimum, min(bits, MAX_BITS))[0]


@dataclass(frozen=True, kw_only=True)
class NormAffine:
    """Scale and shift of a batch norm that is not folded, its statistics frozen, AT eq. 10.

    Deployment folds them (`refquant.optimal.batch_norm_map`), the bias of the layer scaled with the
    product (D19).
    """

    at = "batch_norm"

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("gamma", "beta")

    def start(self, place: Place) -> Params:
        """Return both as the network has them; nothing where no batch norm follows."""
        return {name: place.norm[name] for name in self.learnable if place.norm}
