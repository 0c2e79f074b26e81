"""A deployed network as data: nodes, integer weights, scales; everything known before it runs.

    HardLayer      what a finished quantization hands over per linear layer
    IntegerLayer   the same, folded, narrowed and bounded
    EdgeCoder      step, zero point and code limits of one quantize node
    Plan           the network with these in place of its float weights

Built by `refquant.deploy.deploy`; run by `run_fake` and `run_integer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from refquant._types import Array
from refquant.network import Network
from refquant.network.graph import read_only


class HardLayer(NamedTuple):
    """Hardened weights of one linear layer.

    Attributes
    ----------
    codes : array of integers, shaped like the weight
        Levels in u-space: code minus zero point.
    step : (c_out,) or () array
        Step that dequantizes them (s'_w where the two are decoupled); 0 for a dead channel.
    xi, eta : (), (c_out,) or (c_out, h, w) array or None
        Scale and shift of the output, of the layer, its channels or its pixels.
    """

    codes: Array
    step: Array
    xi: Array | None = None
    eta: Array | None = None


class IntegerLayer(NamedTuple):
    """One linear layer as it is deployed.

    Attributes
    ----------
    codes : int8, int16 or int32 array, shaped like the weight
        Levels in u-space, in the smallest dtype.
    step : (c_out,) float64 array
        Step that dequantizes them.
    scale, offset : (c_out,) float64 arrays, (c_out, h, w) where xi or eta is per pixel
        st and bt of eq. 9. Behind an input in real numbers, whose product already contains the
        weight step, `scale` is xi alone.
    groups : int
    source : str or None
        The quantize node whose codes it reads; None for an input in real numbers.
    bound : (c_out,) int64 array
        What no accumulator exceeds: sum |w| * max |x - z|; 0 where there is no source.
    loose : int
        The same without looking at single weights: fan-in * max |w| * max |x - z|.
    """

    codes: Array
    step: Array
    scale: Array
    offset: Array
    groups: int
    source: str | None
    bound: Array
    loose: int


class EdgeCoder(NamedTuple):
    """A quantize node: its component, and the integers and steps the epilogues need.

    Attributes
    ----------
    component : Any
        With ``codes(x, params)``, giving integers in code space.
    params : mapping of str to array
        The node's own parameters, floats as float64.
    step : float
    zero_point : int
    limits : (int, int)
        Lowest and highest code, zero point included.
    offset : float
        Real value of the level 0, which products add to their bias (LSQ+).
    """

    component: Any
    params: Mapping[str, Array]
    step: float
    zero_point: int
    limits: tuple[int, int]
    offset: float = 0.0

    @property
    def largest(self) -> int:
        """max |x_int - z|."""
        return max(abs(end - self.zero_point) for end in self.limits)


@dataclass(frozen=True, eq=False)
class Plan:
    """A network ready to run in integers. Immutable; pickles.

    Attributes
    ----------
    network : Network
        The nodes, with the parameters that stay real numbers; no weights, no biases.
    layers : mapping of layer name to IntegerLayer
        In running order.
    coders : mapping of quantize-node name to EdgeCoder
        In running order.
    """

    network: Network
    layers: Mapping[str, IntegerLayer]
    coders: Mapping[str, EdgeCoder]

    def __post_init__(self) -> None:
        layers = {name: _frozen(layer) for name, layer in self.layers.items()}
        object.__setattr__(self, "layers", MappingProxyType(layers))
        object.__setattr__(self, "coders", MappingProxyType(dict(self.coders)))

    def describe(self) -> str:
        """Return a table: weights, accumulator widths and multipliers of every layer."""
        from refquant.deploy.describe import describe  # describe reads this module

        return describe(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "layers": dict(self.layers), "coders": dict(self.coders)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()  # pickling drops mapping proxies and read-only flags


def _frozen(layer: IntegerLayer) -> IntegerLayer:
    """`layer` with read-only arrays."""
    return layer._replace(
        codes=read_only(layer.codes),
        step=read_only(layer.step),
        scale=read_only(layer.scale),
        offset=read_only(layer.offset),
        bound=read_only(layer.bound),
    )
