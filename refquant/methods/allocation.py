"""Bit allocation: a width for each layer, so that the measured losses are smallest within a budget.

Reference: Hubara et al., "Improving Post Training Neural Quantization: Layer-wise Calibration and
Integer Programming", arXiv:2006.10518, section 3.3, and its released code, CalibTIP (methods.md 8,
P51). The programme is in `refquant.optimal.bit_allocation`, what is measured in
`refquant.reconstruct.allocate`.

    paper     here      shape    meaning
    Delta L   increase  (l, c)   loss with one layer at one width, all others at the base width,
                                 less the loss with all at the base width; floored at 1e-6
    Delta P   size      (l, c)   weights x bits, or multiply-accumulates x bits^2
    D         share     number   size allowed, as a share of the same layers at 32 bits by the base

``qdrop+bit-allocation`` at 4 bits gives the layers between the first and the last any of the
widths, and no more bits in all than 4 for every weight.

Differs from: CalibTIP, which measures layers that AdaQuant has calibrated, by the task's loss. Here
they are rounded as the setting's weights start, before anything is learnt, and the loss is that of
the logits against the float network, so that no labels are asked for.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from refquant._checks import check_bits, check_in, check_int, complaint

LOSSES = ("kl", "mse")
COSTS = ("memory", "bit-operations")
SOLVERS = ("exact", "milp")


@dataclass(frozen=True, kw_only=True)
class BitAllocation:
    """How widths are shared out between the layers that have no width of their own (D7).

    Attributes
    ----------
    bits : tuple of int
        Widths to choose from, each 2..16, falling; the first is the base.
    share : float or None
        D. None takes what the run's bits would need: as much as one width for all.
    cost : {"memory", "bit-operations"}
        Bits of all weights; or bit-operations, both operands of a product at one width, which
        needs a quantizer for each layer's own input (placement="input").
    loss : {"kl", "mse"}
        Of the logits: KL of softmax against the float network's, or squared error.
    samples : int
        How many calibration inputs, from the first, it is measured on.
    solver : {"exact", "milp"}
        Dynamic programming in exact numbers, which settles ties; or scipy.optimize.milp.
    """

    bits: tuple[int, ...] = (8, 7, 6, 5, 4, 3, 2)
    share: float | None = None
    cost: str = "memory"
    loss: str = "kl"
    samples: int = 256
    solver: str = "exact"

    def __post_init__(self) -> None:
        for width in self.bits:
            check_bits("BitAllocation", "bits", width)
        if len(self.bits) < 2 or list(self.bits) != sorted({*self.bits}, reverse=True):
            expected = "two widths or more, falling"
            raise ValueError(complaint("BitAllocation", "bits", self.bits, expected))
        if self.share is not None and not 0.0 < self.share <= 1.0:
            raise ValueError(complaint("BitAllocation", "share", self.share, "a share in (0, 1]"))
        check_in("BitAllocation", "cost", self.cost, COSTS)
        check_in("BitAllocation", "loss", self.loss, LOSSES)
        check_int("BitAllocation", "samples", self.samples, 1)
        check_in("BitAllocation", "solver", self.solver, SOLVERS)

    @property
    def both_operands(self) -> bool:
        """Whether the width of a layer is that of its input too."""
        return self.cost == "bit-operations"

    @property
    def power(self) -> int:
        """q of methods.md 8: the cost of a width is width^q."""
        return 2 if self.both_operands else 1

    def cost_of(self, weights: int, activations: int) -> int:
        """Return what one weight costs at these bits."""
        return weights * activations if self.both_operands else weights


class LayerBits(NamedTuple):
    """What one layer was given.

    Attributes
    ----------
    layer : str
    bits : int
    size : float
        Its cost at this width.
    increase : tuple of float
        Measured losses above that of the base, width by width, as they came out.
    """

    layer: str
    bits: int
    size: float
    increase: tuple[float, ...]


class Allocated(NamedTuple):
    """What the programme decided.

    Attributes
    ----------
    widths : tuple of int
        Those to choose from, the base first.
    layers : tuple of LayerBits
        In running order; layers that keep a width of their own are not among them.
    budget, size : float
        Cost allowed, and that of the choice.
    loss : float
        The sum of its floored increases.
    """

    widths: tuple[int, ...]
    layers: tuple[LayerBits, ...]
    budget: float
    size: float
    loss: float

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            **self._asdict(),
            "widths": list(self.widths),
            "layers": [{**one._asdict(), "increase": list(one.increase)} for one in self.layers],
        }
