"""The fake-quantized network in plain floats: weights as their codes say, quantizers in place.

Up to rounding it is the deployed network; unlike that it has real values on every edge to look at,
and it exists where weights are real, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from refquant._types import Array
from refquant.components.weights import dequantized
from refquant.network import Network, replace_params
from refquant.network.run import evaluate

CHUNK = 128  # samples in one pass


class Rounded(Protocol):
    """What is read of a layer of a result."""

    @property
    def codes(self) -> Array:
        """Integers in code space."""

    @property
    def zero_point(self) -> Array:
        """Code of zero."""

    @property
    def s_w(self) -> Array:
        """Dequantization step, (c_out,) or ()."""

    @property
    def s_w_in(self) -> Array | None:
        """Step that decided the codes where it is another one, likewise."""


def hard_network(prepared: Network, layers: Mapping[str, Rounded]) -> Network:
    """Return `prepared` with the weights of `layers` dequantized from their codes."""
    return replace_params(
        prepared,
        {
            (f"{name}.product", "w"): dequantized(layer.codes - layer.zero_point, layer.s_w)
            for name, layer in layers.items()
        },
    )


def values_of(
    network: Network, x: Array, edges: Sequence[str], samples: int = CHUNK
) -> Iterator[dict[str, Array]]:
    """Yield the values of `edges` for inputs `x`, so many samples at a time."""
    kind = np.result_type(*(v for v in network.params.values() if v.dtype.kind == "f"))
    for begin in range(0, len(x), samples):
        yield evaluate(network, {"input": x[begin : begin + samples].astype(kind)}, edges)
