"""The dialect of AQuant's border: every reading the paper leaves open is a named field.

References: Li et al., "Efficient Adaptive Activation Rounding for Post-Training Quantization",
arXiv:2208.11945 (its three versions construct the border differently); methods, 13.3 and 13.4.

    field                  default       why this default
    degree                 2             AQ eq.8; 1 drops b2: AQ T4, MobileNetV2, MNasNet
    bound                  "sigmoid"     AQ appendix; "clip" is the letter of AQ eq.7 (D23)
    scale                  "outer"       "the output value is scaled by 2.5" (D16)
    kappa                  2.5           AQ appendix
    fuse                   "bound_fuse"  AQ 4.2 bounds each element before eq.9 (D16)
    fusion_weights         "learned"     AQ eq.9: found by gradient descent; "fixed" keeps them 1
    border_mask            "closed"      the gradient of a clip; "open" keeps it alive (D16)
    gate                   "literal"     the straight-through rule as printed (D17)
    mask                   "rounded"     BRECQ and QDrop, AQuant's base (D2)
    detach_border_input    False         what automatic differentiation does (D39)

The saturation point of the outer sigmoid, |P| = ln((kappa + 1) / (kappa - 1)), ln(7/3) for 2.5,
is computed in decimal arithmetic and rounded towards 0, so that ``|P| <= saturation`` is
true exactly where 0 <= 1/2 + kappa (sigma(P) - 1/2) <= 1, in float32 as in float64.

Edge cases: kappa <= 1 never saturates. Fields a choice makes idle (kappa under bound="clip",
border_mask under an inner scale without fusion) are ignored.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property

from refquant._checks import check_in, complaint
from refquant._fields import published

DEGREES = (1, 2)
BOUNDS = ("sigmoid", "clip")
SCALES = ("outer", "inner")
FUSES = ("none", "bound_fuse", "fuse_bound", "centred")
FUSION_WEIGHTS = ("learned", "fixed")
BORDER_MASKS = ("closed", "open")
GATES = ("literal", "support")
MASKS = ("rounded", "unrounded")


@dataclass(frozen=True, kw_only=True)
class BorderOptions:
    """How P becomes a border, and what its gradient passes through.

    Parameters
    ----------
    degree : {2, 1}
        P = b2 u^2 + b1 u + b0, or without b2.
    bound : {"sigmoid", "clip"}
        E = clip(1/2 + kappa (sigma(P) - 1/2), 0, 1), or clip(1/2 + P, 0, 1).
    scale : {"outer", "inner"}
        Where kappa multiplies: "inner" is E = sigma(kappa P), which needs no clip.
    kappa : float
        Scale of the sigmoid, positive.
    fuse : {"none", "bound_fuse", "fuse_bound", "centred"}
        B = E; B = clip(mean_j w_j E_j, 0, 1) (AQ eq.9); B = bound(mean_j w_j P_j);
        B = clip(1/2 + mean_j w_j (E_j - 1/2), 0, 1). The mean is over the K taps of a channel.
    fusion_weights : {"learned", "fixed"}
        Whether the w_j are parameters, or all 1.
    border_mask : {"closed", "open"}
        Whether the clips of the border block the gradient outside [0, 1], or never do. The
        clips of the forward pass stay.
    gate : {"literal", "support"}
        "support" gives the border no gradient where it has no effect, outside n < u < p.
    mask : {"rounded", "unrounded"}
        Clip mask of the levels: n <= v <= p or n <= u <= p.
    detach_border_input : bool
        Treat the border as independent of x and s in the backward pass.

    Raises
    ------
    ValueError
        If a field is not one of its values, or kappa is not positive and finite.
    """

    degree: int = published(2, "2: AQ eq.8; 1: AQ T4, MobileNetV2, MNasNet")
    bound: str = published("sigmoid", "sigmoid: AQ appendix; clip: AQ eq.7 (D23)")
    scale: str = published("outer", "outer: AQ appendix; inner: another reading (D16)")
    kappa: float = published(2.5, "AQ appendix: 2.5")
    fuse: str = published("bound_fuse", "bound_fuse: AQ 4.2, eq.9; the others: D16")
    fusion_weights: str = published("learned", "learned: AQ eq.9; fixed: all 1")
    border_mask: str = published("closed", "closed: as a clip; open: D16")
    gate: str = published("literal", "literal: AQ as printed; support: recommended (D17)")
    mask: str = published("rounded", "rounded: BRECQ, QDrop (D2)")
    detach_border_input: bool = published(False, "False: automatic differentiation (D39)")

    def __post_init__(self) -> None:
        """Refuse values outside the table."""
        check_in("BorderOptions", "degree", self.degree, DEGREES)
        check_in("BorderOptions", "bound", self.bound, BOUNDS)
        check_in("BorderOptions", "scale", self.scale, SCALES)
        check_in("BorderOptions", "fuse", self.fuse, FUSES)
        check_in("BorderOptions", "fusion_weights", self.fusion_weights, FUSION_WEIGHTS)
        check_in("BorderOptions", "border_mask", self.border_mask, BORDER_MASKS)
        check_in("BorderOptions", "gate", self.gate, GATES)
        check_in("BorderOptions", "mask", self.mask, MASKS)
        check_in("BorderOptions", "detach_border_input", self.detach_border_input, (False, True))
        if not 0.0 < self.kappa < math.inf:
            expected = "a positive finite number"
            raise ValueError(complaint("BorderOptions", "kappa", self.kappa, expected))

    @property
    def slope_at_zero(self) -> float:
        """dE/dP at P = 0: kappa / 4 for either sigmoid, 1 for the clip (P68)."""
        return 1.0 if self.bound == "clip" else self.kappa / 4.0

    @cached_property
    def saturation(self) -> float:
        """The largest |P| at which E has not been clipped; infinite if it never is."""
        if self.bound == "clip":
            return 0.5
        if self.scale == "inner" or self.kappa <= 1.0:
            return math.inf
        with localcontext() as context:
            context.prec = 40
            edge = ((Decimal(self.kappa) + 1) / (Decimal(self.kappa) - 1)).ln()
        near = float(edge)
        return near if Decimal(near) <= edge else math.nextafter(near, 0.0)

    def fuses(self, taps: int) -> bool:
        """Whether taps share a border: with one tap fusion is the identity (P67)."""
        return self.fuse != "none" and taps > 1
