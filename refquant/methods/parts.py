"""What a phase is made of: how a parameter moves, what the loss sums, mixes and penalises.

    Learn     how one parameter moves          Term      one summand of the loss
    Penalty   the regulariser of the           Mix       what is mixed into the inputs or
              rounding variables                         quantizers

Frozen dataclasses of plain values; a contradiction is refused when one is made, with the fix.
"""

import math
from dataclasses import dataclass, replace

from refquant._checks import check_in, check_number, complaint
from refquant._fields import published
from refquant.losses.fisher import DIVISOR, OFFSET
from refquant.losses.reconstruction import REDUCTIONS
from refquant.methods.canonical import added
from refquant.optim.schedules import BetaSchedule, check_milestones
from refquant.quantizers.lsq import SCALES

LOSSES = ("lp", "fisher_diag", "fisher_full", "kl", "cross_entropy")
LOSS_SITES = ("unit", "layers", "logits")
SITES_OF = {
    "lp": LOSS_SITES,
    "fisher_diag": ("unit",),
    "fisher_full": ("unit",),
    "kl": ("logits",),
    "cross_entropy": ("logits",),
}
NORMALIZERS = ("none", "power")
MIX_SITES = ("input", "quantizers")
MIX_RULES = ("bernoulli", "uniform", "anneal")
RATE_CURVES = ("constant", "cosine", "steps")
SCALES_SEEN = (
    "LSQ's paper: lsq_weight, lsq_activation; QDrop's fake_quant.py: qdrop; "
    "BRECQ, MQBench's QDrop, PD-Quant: none"
)


@dataclass(frozen=True, kw_only=True)
class Learn:
    """How one parameter is learnt.

    Attributes
    ----------
    lr : float
        Adam's learning rate at the phase's published number of steps.
    schedule : {"constant", "cosine", "steps"}
        Cosine falls to zero over the phase (methods.md 5.7); "steps" is multiplied by `factor`
        at each of the `milestones`.
    milestones : tuple of float
        Of "steps": rising shares of the phase, in (0, 1); PPQ tunes steps with 1/2 and 2/3.
    factor : float
        Of "steps", at each milestone.
    keep_travel : bool
        Scale `lr` by published steps / actual steps, so that a shorter run can move a parameter
        just as far; with Adam that distance is about lr * steps (methods.md 5.7, travel budget).
    relative : bool
        Multiply the rate by the mean absolute start value; for steps, whose unit is the data's.
    project : pair of float or None
        Closed interval the parameter is clipped to after every step.
    reflect : bool
        Clip the size of the parameter instead: a step that one update carries across 0 comes back
        as |s|, where clipping leaves it at the low end (QDrop and MQBench; methods.md 2.1).
    grad_scale : {"none", "lsq_weight", "lsq_activation", "qdrop"}
        Factor on the gradient by how many elements share the parameter, see `lsq_grad_scale`
        (methods.md 2.1, D34). None in BRECQ, MQBench and PD-Quant. Adam feels it only as a larger
        epsilon (P59).
    """

    lr: float
    schedule: str = "constant"
    keep_travel: bool = True
    relative: bool = False
    project: tuple[float, float] | None = None
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    reflect: bool = added(False, "QDrop's fake_quant.py, MQBench: True")
    grad_scale: str = added("none", SCALES_SEEN)

    def __post_init__(self) -> None:
        check_number("Learn", "lr", self.lr)
        check_in("Learn", "schedule", self.schedule, RATE_CURVES)
        check_in("Learn", "grad_scale", self.grad_scale, SCALES)
        if self.project is not None:
            low, high = self.project if len(self.project) == 2 else (1.0, 0.0)
            if not low <= high:
                expected = "(low, high) with low <= high"
                raise ValueError(complaint("Learn", "project", self.project, expected))
        if self.reflect and (self.project is None or self.project[0] <= 0.0):
            got, expected = f"True with project={self.project}", "an interval above 0"
            raise ValueError(complaint("Learn", "reflect", got, expected))
        if bool(self.milestones) != (self.schedule == "steps"):
            expected = "given with schedule='steps', and only there"
            raise ValueError(complaint("Learn", "milestones", self.milestones, expected))
        if self.factor != Learn.factor and self.schedule != "steps":
            got, fix = f"{self.factor} with schedule={self.schedule!r}", "Leave it out."
            raise ValueError(complaint("Learn", "factor", got, "the default", fix))
        check_milestones("Learn", self.milestones)
        if not 0.0 <= self.lr < math.inf:
            raise ValueError(complaint("Learn", "lr", self.lr, "a finite rate of at least 0"))

    def over(self, published: int, steps: int) -> "Learn":
        """Return how it is learnt in `steps` steps where `published` is what `lr` refers to."""
        return replace(self, lr=self.lr * (published / steps)) if self.keep_travel else self


@dataclass(frozen=True, kw_only=True)
class Term:
    """One summand of the loss.

    Attributes
    ----------
    kind : {"lp", "fisher_diag", "fisher_full", "kl", "cross_entropy"}
        Reconstruction error (methods.md 5.1), the same weighted by how much the network's loss
        feels each output (BRECQ, 5.2), prediction difference (PD-Quant, 5.3), or the loss of the
        task, which alone asks for labels (QAT-LSQ, 12).
    at : {"unit", "layers", "logits"}
        Measured at the unit's output, at the output of every layer in it (NWQ), or at the
        network's logits through the float rest of the network (PD-Quant). Fisher weights belong
        to the unit's output, "kl" and "cross_entropy" to the logits.
    p : float
        Exponent of "lp".
    reduction : {"channels", "mean"}
        Of "lp": summed over the channels and averaged over the rest (BRECQ, AIMET, AMCT), or
        averaged over everything (AdaQuant, PPQ, PyTorch; methods.md 5.1). Lambda is relative to
        it (P52).
    weight : float
        Factor of this term.
    temperature : float
        Of "kl".
    normalize : {"none", "power"}
        "power" divides an "lp" loss by that of the output 0, which for p = 2 is the power of the
        float output: layers of different scale then count alike. No published method does it.
    offset : float
        Of the Fisher kinds: what is added to the size of the gradient that weighs an error.
        BRECQ's released code adds 1; its paper has the gradient alone, 0 (methods.md 5.2).
    divisor : float
        Of "fisher_full": what the mean is divided by. 100 in BRECQ's released code, which nothing
        in the paper explains (methods.md 5.2).
    """

    kind: str = "lp"
    at: str = "unit"
    p: float = 2.0
    weight: float = 1.0
    temperature: float = 1.0
    normalize: str = "none"
    reduction: str = published(
        "channels", "channels: BRECQ, AIMET, AMCT; mean: AdaQuant, PPQ, PyTorch"
    )
    offset: float = added(OFFSET, "BRECQ's layer_recon.py: 1; its paper: 0")
    divisor: float = added(DIVISOR, "BRECQ's layer_recon.py: 100; its paper has none")

    def __post_init__(self) -> None:
        for name in ("p", "weight", "temperature", "offset", "divisor"):
            check_number("Term", name, getattr(self, name))
        check_in("Term", "kind", self.kind, LOSSES)
        check_in("Term", "at", self.at, LOSS_SITES)
        check_in("Term", "normalize", self.normalize, NORMALIZERS)
        check_in("Term", "reduction", self.reduction, REDUCTIONS)
        if not 1.0 <= self.p < math.inf:
            raise ValueError(complaint("Term", "p", self.p, "an exponent of at least 1"))
        if not 0.0 <= self.weight < math.inf:
            raise ValueError(complaint("Term", "weight", self.weight, "a factor of at least 0"))
        if not 0.0 < self.temperature < math.inf:
            raise ValueError(complaint("Term", "temperature", self.temperature, "more than 0"))
        if not 0.0 <= self.offset < math.inf:
            raise ValueError(complaint("Term", "offset", self.offset, "a weight of at least 0"))
        if not 0.0 < self.divisor < math.inf:
            raise ValueError(complaint("Term", "divisor", self.divisor, "more than 0"))
        self._check_kind()

    def _check_kind(self) -> None:
        sites = SITES_OF[self.kind]
        if self.at not in sites:
            fix = f"Use Term(kind={self.kind!r}, at={sites[0]!r})."
            expected = f"{sites[0]!r} for kind={self.kind!r}"
            raise ValueError(complaint("Term", "at", repr(self.at), expected, fix))
        unread = [
            name
            for name, kinds in READERS.items()
            if self.kind not in kinds and getattr(self, name) != getattr(Term, name)
        ]
        if unread:
            got, fix = (
                f"set with kind={self.kind!r}",
                f"Leave it out, or use kind={READERS[unread[0]][0]!r}.",
            )
            raise ValueError(complaint("Term", unread[0], got, "a field this kind reads", fix))


# The kinds that read a field; with any other kind its value must be the default.
READERS = {
    **dict.fromkeys(("p", "normalize", "reduction"), ("lp",)),
    "temperature": ("kl",),
    "offset": ("fisher_diag", "fisher_full"),
    "divisor": ("fisher_full",),
}


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Quantized values mixed with real ones: ``keep * quantized + (1 - keep) * real``.

    Attributes
    ----------
    at : {"input", "quantizers"}
        At the unit's inputs (QDrop, AQuant) or at every activation quantizer in it (QDrop).
    rule : {"bernoulli", "uniform", "anneal"}
        Elementwise 0/1 masks, elementwise uniform weights (POS), or a share of real values that
        falls from 1 to 0 (AMixup).
    keep : float
        Of "bernoulli": probability of keeping the *quantized* value (D26: QDrop calls it drop
        probability).
    hold : float
        Of "anneal": share of the steps, at the end, in which only the quantized value is left
        (methods.md 11: a last part without mixing; its length is not published).
    elementwise : bool
        Of "anneal": whether each element is real with that probability, instead of all mixed by
        that share (methods.md 11: both are readings of NWQ's abstract).
    """

    at: str
    rule: str = "bernoulli"
    keep: float = published(0.5, "QDrop, PD-Quant: 0.5 (D26)")
    hold: float = 0.2
    elementwise: bool = added(False, "NWQ: not published, methods.md 11")

    def __post_init__(self) -> None:
        check_in("Mix", "at", self.at, MIX_SITES)
        check_in("Mix", "rule", self.rule, MIX_RULES)
        _check_share("Mix", "keep", self.keep)
        _check_share("Mix", "hold", self.hold)
        check_in("Mix", "elementwise", self.elementwise, (False, True))
        if self.elementwise and self.rule != "anneal":
            got, fix = f"True with rule={self.rule!r}", "Leave it out: masks are elementwise."
            raise ValueError(complaint("Mix", "elementwise", got, "rule='anneal'", fix))
        for name, rule in (("keep", "bernoulli"), ("hold", "anneal")):
            if self.rule != rule and getattr(self, name) != getattr(Mix, name):
                got = f"{getattr(self, name)} with rule={self.rule!r}"
                fix = f"Leave it out, or use rule={rule!r}."
                raise ValueError(complaint("Mix", name, got, "a field this rule reads", fix))


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """The regulariser that drives rounding variables to 0 or 1 (methods.md 5.4).

    Attributes
    ----------
    lam : float
        Its weight lambda; the penalty is a sum over weights, not a mean.
    beta : BetaSchedule
        Curve, ends, warm-up share and number of the first step.
    """

    lam: float = 0.01
    beta: BetaSchedule = BetaSchedule()

    def __post_init__(self) -> None:
        if not 0.0 <= check_number("Penalty", "lam", self.lam) < math.inf:
            raise ValueError(complaint("Penalty", "lam", self.lam, "a finite weight of at least 0"))
        if min(self.beta.start, self.beta.end) < 1.0:
            got, fix = f"from {self.beta.start} to {self.beta.end}", "Below 1 h = 1/2 is a cusp."
            raise ValueError(complaint("Penalty", "beta", got, "exponents of at least 1", fix))


def _check_share(function: str, argument: str, value: float) -> None:
    if not 0.0 <= check_number(function, argument, value) <= 1.0:
        raise ValueError(complaint(function, argument, value, "a share in [0, 1]"))
