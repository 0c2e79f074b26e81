"""A method is data: five frozen dataclasses say everything the one loop needs to know.

    Setting   what is quantized, how, and in which phases it is learnt
    Phase     one run of the optimiser over units: what is learnt, from which inputs, against what
    Term      one summand of the loss          Mix     what is mixed into the inputs or quantizers
    Learn     how one parameter moves          Penalty the regulariser of the rounding variables

All of them are hashable and print as they are written. `setting.to_json()` is canonical: equal
settings give equal text, and the text is what is hashed. `dataclasses.replace(PARENT, ...)` makes
one method from another, so that the difference in the source is the contribution of the paper.

Components (what `weights`, `activations` and `output` hold) live in `refquant.components`; each
declares the parameters it can learn, so there is no closed list of names here.
"""

import json
from dataclasses import dataclass
from typing import Any

from refquant._checks import check_in, check_int, complaint
from refquant.methods.canonical import as_data
from refquant.network.lower import PLACEMENTS
from refquant.network.units import GRANULARITIES
from refquant.optim.schedules import BetaSchedule

ROLES = ("weights", "activations")
SOURCES = ("float", "quantized")
ORDERS = ("unit-first", "phase-first")
SAMPLINGS = ("permutation", "with_replacement")
SOLVERS = ("minibatch",)
LOSSES = ("lp", "fisher_diag", "fisher_full", "kl")
LOSS_SITES = ("unit", "layers", "logits")
MIX_SITES = ("input", "quantizers")
MIX_RULES = ("bernoulli", "uniform", "anneal")
RATE_CURVES = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class Learn:
    """How one parameter is learnt.

    Attributes
    ----------
    lr : float
        Adam's learning rate at the phase's published number of steps.
    schedule : {"constant", "cosine"}
        Cosine falls to zero over the phase (methods.md 5.7).
    keep_travel : bool
        Scale `lr` by published steps / actual steps, so that a shorter run can move a parameter
        just as far; with Adam that distance is about lr * steps (methods.md 5.7, travel budget).
    relative : bool
        Multiply the rate by the mean absolute start value; for steps, whose unit is the data's.
    project : pair of float or None
        Closed interval the parameter is clipped to after every step.
    """

    lr: float
    schedule: str = "constant"
    keep_travel: bool = True
    relative: bool = False
    project: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_in("Learn", "schedule", self.schedule, RATE_CURVES)
        if not self.lr >= 0.0:
            raise ValueError(complaint("Learn", "lr", self.lr, "a rate of at least 0"))
        if self.project is not None and not self.project[0] <= self.project[1]:
            expected = "(low, high) with low <= high"
            raise ValueError(complaint("Learn", "project", self.project, expected))


@dataclass(frozen=True, kw_only=True)
class Term:
    """One summand of the loss.

    Attributes
    ----------
    kind : {"lp", "fisher_diag", "fisher_full", "kl"}
    at : {"unit", "layers", "logits"}
        Measured at the unit's output, at the output of every layer in it (NWQ), or at the
        network's logits through the float rest of the network (PD-Quant).
    p : float
        Exponent of "lp".
    weight : float
        Factor of this term.
    temperature : float
        Of "kl".
    """

    kind: str = "lp"
    at: str = "unit"
    p: float = 2.0
    weight: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_in("Term", "kind", self.kind, LOSSES)
        check_in("Term", "at", self.at, LOSS_SITES)
        if not self.p >= 1.0:
            raise ValueError(complaint("Term", "p", self.p, "an exponent of at least 1"))


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Quantized values mixed with real ones: ``keep * quantized + (1 - keep) * real``.

    Attributes
    ----------
    at : {"input", "quantizers"}
        At the unit's inputs (QDrop, AQuant) or at every activation quantizer in it (QDrop).
    rule : {"bernoulli", "uniform", "anneal"}
        Elementwise 0/1 masks, elementwise uniform weights (POS), one falling scalar (AMixup).
    keep : float
        Probability of keeping the *quantized* value (D26: QDrop calls it drop probability).
    hold : float
        Of "anneal": share of the steps, at the end, in which only the quantized value is left
        (methods.md 11: a last part without mixing; its length is not published).
    """

    at: str
    rule: str = "bernoulli"
    keep: float = 0.5
    hold: float = 0.2

    def __post_init__(self) -> None:
        check_in("Mix", "at", self.at, MIX_SITES)
        check_in("Mix", "rule", self.rule, MIX_RULES)
        _check_share("Mix", "keep", self.keep)
        _check_share("Mix", "hold", self.hold)


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
        if not self.lam >= 0.0:
            raise ValueError(complaint("Penalty", "lam", self.lam, "a weight of at least 0"))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One pass of the optimiser over the units of a network.

    Attributes
    ----------
    learn : tuple of (parameter, Learn)
        What moves; everything else is returned unchanged.
    unit : {"layer", "block", "network"}
    quantize : tuple of {"weights", "activations"}
        What is quantized while this phase runs, in the unit and in its prefix.
    source : {"quantized", "float"}
        Whether the unit's inputs come from the quantized prefix (D30) or the float network.
    mix : tuple of Mix
    drive : tuple of (parameter, schedule)
        Parameters that follow a schedule instead of a gradient (AQuant's rounding schedule).
    terms : tuple of Term
    penalty : Penalty or None
    steps, batch : int
        Published values; a run may override the number of steps.
    sampling : {"permutation", "with_replacement"}
        How a batch is drawn from the calibration images.
    solver : {"minibatch"}
    harden : tuple of {"weights", "activations"}
        What is rounded for good when the unit is finished.
    keep_best : bool
        Return the start if its hardened loss on the calibration set is lower.
    """

    learn: tuple[tuple[str, Learn], ...]
    unit: str = "layer"
    quantize: tuple[str, ...] = ROLES
    source: str = "quantized"
    mix: tuple[Mix, ...] = ()
    drive: tuple[tuple[str, Any], ...] = ()
    terms: tuple[Term, ...] = (Term(),)
    penalty: Penalty | None = None
    steps: int = 20_000
    batch: int = 32
    sampling: str = "permutation"
    solver: str = "minibatch"
    harden: tuple[str, ...] = ("weights",)
    keep_best: bool = False

    def __post_init__(self) -> None:
        check_in("Phase", "unit", self.unit, GRANULARITIES)
        check_in("Phase", "source", self.source, SOURCES)
        check_in("Phase", "sampling", self.sampling, SAMPLINGS)
        check_in("Phase", "solver", self.solver, SOLVERS)
        for role in (*self.quantize, *self.harden):
            check_in("Phase", "quantize and harden", role, ROLES)
        check_int("Phase", "steps", self.steps, 1)
        check_int("Phase", "batch", self.batch, 1)
        self._check_learn()

    def _check_learn(self) -> None:
        names = [name for name, _ in (*self.learn, *self.drive)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            fix = "A parameter is learnt once, or driven by a schedule, not both."
            raise ValueError(complaint("Phase", "learn", f"{twice} twice", "each name once", fix))
        if not self.learn:
            fix = "A method that learns nothing has no phases: phases=()."
            raise ValueError(complaint("Phase", "learn", "empty", "at least one parameter", fix))
        if not self.terms:
            raise ValueError(complaint("Phase", "terms", "empty", "at least one loss term"))
        if self.penalty is not None and "alpha" not in names:
            fix = "Learn alpha, or drop the penalty."
            got = "set without alpha among the learnt parameters"
            raise ValueError(complaint("Phase", "penalty", got, "None", fix))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A whole method.

    Attributes
    ----------
    name, reference : str
        As shown in tables; the reference is an arXiv id or a short citation.
    weights, activations, output : component or None
        How weights and activations are quantized, and what stands behind the product. None
        leaves them real (`output`: the bias alone).
    placement : {"output", "input"}
        Activation quantizers on feature maps or on the patches of the next layer (D15).
    prepare, finish : tuple of steps
        Functions from a network to a network, as frozen dataclasses with ``apply``.
    phases : tuple of Phase
        Empty for a method that learns nothing.
    order : {"unit-first", "phase-first"}
        All phases on a unit before the next unit, or all units in a phase before the next phase.
    """

    name: str
    reference: str
    weights: Any = None
    activations: Any = None
    output: Any = None
    placement: str = "output"
    prepare: tuple[Any, ...] = ()
    finish: tuple[Any, ...] = ()
    phases: tuple[Phase, ...] = ()
    order: str = "unit-first"

    def __post_init__(self) -> None:
        check_in("Setting", "placement", self.placement, PLACEMENTS)
        check_in("Setting", "order", self.order, ORDERS)
        for phase in self.phases:
            self._check_names(phase)
        if self.order == "unit-first" and len({phase.unit for phase in self.phases}) > 1:
            got = "phases over different units in unit-first order"
            fix = "Use order='phase-first', or give all phases the same unit."
            raise ValueError(complaint(f"Setting {self.name!r}", "phases", got, "one unit", fix))
        if self.weights is None and self.activations is None:
            got = "a setting that quantizes neither weights nor activations"
            raise ValueError(complaint("Setting", "weights", got, "at least one of them"))

    def _check_names(self, phase: Phase) -> None:
        where, what = f"Setting {self.name!r}", "a learnt parameter"
        real = () if "activations" in phase.quantize else _learnable(self.activations)
        for name, _ in (*phase.learn, *phase.drive):
            check_in(where, what, name, self.learnable)
            if name in real:
                got, fix = f"{name!r}, of real activations", "Add 'activations' to quantize."
                raise ValueError(complaint(where, what, got, "a parameter in use", fix))

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters its components declare."""
        parts = (self.weights, self.activations, self.output)
        return tuple(name for part in parts for name in _learnable(part))

    @property
    def learnt(self) -> tuple[str, ...]:
        """Names of the parameters its phases learn, in order of first mention."""
        return tuple(dict.fromkeys(name for phase in self.phases for name, _ in phase.learn))

    def to_json(self, indent: int | None = None) -> str:
        """Return the setting as canonical JSON: equal settings, equal text."""
        return json.dumps(as_data(self), indent=indent, sort_keys=False, allow_nan=False)


def _learnable(component: Any) -> tuple[str, ...]:
    return () if component is None else tuple(component.learnable)


def _check_share(function: str, argument: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(complaint(function, argument, value, "a share in [0, 1]"))
