"""Steps that change the float network before (or after) quantization, as data.

Each is a frozen dataclass with ``apply(network, x) -> network``; a setting lists them, so they are
printed, hashed and compared like every other choice. One that quantizes to find out what to do has
fields `weight_bits`, `act_bits` or `last_bits`, which a run replaces with its own.
"""

from dataclasses import dataclass

from refquant._types import Array
from refquant.network import Network, fold


@dataclass(frozen=True)
class FoldBatchNorm:
    """Absorb every batch norm into the layer before it (methods.md 4.2)."""

    def apply(self, network: Network, x: Array) -> Network:
        """Return the folded network; one without batch norm is returned unchanged."""
        return fold(network)
