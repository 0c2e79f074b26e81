"""refquant as a backend: its own operations in fast or pinned arithmetic, held to the goldens."""

from dataclasses import dataclass
from typing import Literal

from refquant import numerics as nx
from refquant.oracle.op import Arrays, Attrs, Inputs
from refquant.oracle.registry import ops


@dataclass(frozen=True)
class Itself:
    """The library in one of its arithmetics.

    Attributes
    ----------
    mode : {"fast", "pinned"}
    """

    mode: Literal["fast", "pinned"] = "fast"
    dtype: str = "float64"
    profile: str = "any"

    @property
    def name(self) -> str:
        """refquant and the arithmetic."""
        return f"refquant, {self.mode}"

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Arrays:
        """Return what the library computes."""
        slices = 3 if self.mode == "pinned" else None  # two are less than double precision
        with nx.arithmetic(self.mode, slices):
            return ops()[op].reference(inputs, attrs)


FAST, PINNED = Itself("fast"), Itself("pinned")
