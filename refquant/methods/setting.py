"""A method is data: five frozen dataclasses say everything the one loop needs to know.

    Setting   what is quantized, how, and in which phases it is learnt
    Phase     one run of the optimiser over units: what is learnt, from which inputs, against what
    Term      one summand of the loss          Mix     what is mixed into the inputs or quantizers
    Learn     how one parameter moves          Penalty the regulariser of the rounding variables

All of them are hashable and print as they are written. `setting.to_json()` is canonical: equal
settings give equal text, and the text is what is hashed. `dataclasses.replace(PARENT, ...)` makes
one method from another, so that the difference in the source is the contribution of the paper.

Components (what `weights`, `activations` and `output` hold) live in `refquant.components`; each
declares the parameters it can learn, so there is no closed list of names here. A component may
also say which parameters are tied to another one, and cannot be learnt beside it.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from refquant._checks import check_in, check_kinds, complaint
from refquant.methods.allocation import BitAllocation
from refquant.methods.canonical import added, as_data
from refquant.methods.gram import Gram
from refquant.methods.moves import check_moves, check_norms, learnable
from refquant.methods.parts import Learn, Mix, Penalty, Term
from refquant.methods.phase import ROLES, Phase
from refquant.network.lower import PLACEMENTS

__all__ = ["ROLES", "Gram", "Learn", "Mix", "Penalty", "Phase", "Setting", "Term"]

ORDERS = ("unit-first", "phase-first")
SEATS = {"weights": "share_binary", "activations": "elementwise", "output": "at"}  # who has what


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A whole method.

    Attributes
    ----------
    name, reference : str
        As shown in tables; the reference is an arXiv id or a short citation.
    parents : tuple of str
        Names of the settings it was made from: what `replace` changed is what is new.
    weights, activations, output : component or None
        How weights and activations are quantized, and what stands behind the product. None
        leaves them real (`output`: the bias alone).
    placement : {"output", "input"}
        Activation quantizers on feature maps or on the patches of the next layer (D15).
    prepare : tuple of steps
        Functions from a network to a network, as frozen dataclasses with ``apply``.
    finish : tuple of steps
        Run after hardening, layer by layer, as frozen dataclasses with ``fit`` and ``writes``
        (`refquant.methods.finish`).
    phases : tuple of Phase
        Empty for a method that learns nothing.
    order : {"unit-first", "phase-first"}
        All phases on a unit before the next unit, or all units in a phase before the next phase.
    probabilities : component or None
        How activations behind a softmax, or what is like one, are quantized instead; None like
        the others.
    allocate : BitAllocation or None
        How widths are shared out between the layers; None gives all the same.
    """

    name: str
    reference: str
    parents: tuple[str, ...] = ()
    weights: Any = None
    activations: Any = None
    output: Any = None
    placement: str = "output"
    prepare: tuple[Any, ...] = ()
    finish: tuple[Any, ...] = ()
    phases: tuple[Phase, ...] = ()
    order: str = "unit-first"
    probabilities: Any = added(None, "RepQ-ViT: log-sqrt2")
    allocate: BitAllocation | None = added(None, "AdaQuant (CalibTIP): an integer programme")

    def __post_init__(self) -> None:
        check_kinds(f"Setting {self.name!r}", "phases", self.phases, Phase)
        check_in("Setting", "placement", self.placement, PLACEMENTS)
        self._check_placement()
        check_in("Setting", "order", self.order, ORDERS)
        self._check_seats()
        self._check_calibration()
        for phase in self.phases:
            check_moves(self, phase)
            self._check_solver(phase)
            for step in phase.begin:
                self._check_step("begin", step)
        self._check_prepare()
        self._check_finish()
        self._check_probabilities()
        self._check_allocate()
        self._check_floors()
        units = {(phase.unit, phase.merge) for phase in self.phases}
        if self.order == "unit-first" and len(units) > 1:
            got = "phases over different units in unit-first order"
            fix = "Use order='phase-first', or give all phases the same unit."
            raise ValueError(complaint(f"Setting {self.name!r}", "phases", got, "one unit", fix))
        if getattr(self.output, "fake_quant", False) and None in (self.weights, self.activations):
            got = "FreeBias(fake_quant=True) where weights or activations are real"
            fix = "Use FreeBias()."
            expected = "bits of both, whose sum the bias has"
            raise ValueError(complaint(f"Setting {self.name!r}", "output", got, expected, fix))
        if self.weights is None and self.activations is None:
            got = "a setting that quantizes neither weights nor activations"
            raise ValueError(complaint("Setting", "weights", got, "at least one of them"))

    def _check_seats(self) -> None:
        """Refuse a component for something else."""
        for seat, mark in SEATS.items():
            component = getattr(self, seat)
            if component is not None and not hasattr(component, mark):
                got, expected = type(component).__name__, f"a component for {seat}"
                fix = "refquant.components has them."
                raise TypeError(complaint(f"Setting {self.name!r}", seat, got, expected, fix))

    def _check_calibration(self) -> None:
        """Refuse to look for ranges of weights behind rounded activations that are real."""
        rule = getattr(self.weights, "calibration", None)
        if self.activations is None and "activations" in getattr(rule, "quantize", ()):
            got, where = f"{rule} beside real activations", f"Setting {self.name!r}"
            expected, fix = "a rule that rounds what the setting does", "Use ('weights',)."
            raise ValueError(complaint(where, "quantize", got, expected, fix))

    def _check_placement(self) -> None:
        allowed = getattr(self.activations, "placements", PLACEMENTS)
        if self.placement not in allowed:
            got = f"{self.placement!r} with {type(self.activations).__name__}"
            expected, fix = f"{allowed[0]!r}", f"Use placement={allowed[0]!r}."
            message = complaint(f"Setting {self.name!r}", "placement", got, expected, fix)
            raise ValueError(message)

    def _check_allocate(self) -> None:
        """Refuse widths for weights that are real, and for inputs that layers share."""
        if self.allocate is None:
            return
        where = f"Setting {self.name!r}"
        if self.weights is None:
            got, fix = "BitAllocation beside real weights", "Give weights a component."
            raise ValueError(complaint(where, "allocate", got, "None", fix))
        alone = self.placement == "input" and self.activations is not None
        if self.allocate.cost == "bit-operations" and not alone:
            got = "a width for both operands, of which inputs are real or shared between layers"
            fix = "Use placement='input' with activations, or cost='memory'."
            raise ValueError(complaint(where, "allocate", got, "a quantizer a layer", fix))

    def _check_probabilities(self) -> None:
        """Refuse levels for probabilities where activations are real."""
        if self.probabilities is None:
            return
        where, kind = f"Setting {self.name!r}", type(self.probabilities).__name__
        if self.activations is None:
            got, fix = f"{kind} beside real activations", "Give activations a component too."
            raise ValueError(complaint(where, "probabilities", got, "None", fix))
        if not hasattr(self.probabilities, "behind"):
            got, fix = f"{kind}, which does not say behind what", "Use LogSqrt2Activations()."
            expected = "a component for probabilities"
            raise ValueError(complaint(where, "probabilities", got, expected, fix))

    def _check_floors(self) -> None:
        """Refuse to learn a step that nothing keeps above 0."""
        parts = (self.weights, self.activations)
        steps = {name for part in parts for name in getattr(part, "positive", ())}
        for name, how in (entry for phase in self.phases for entry in phase.learn):
            low = 0.0 if how.project is None else how.project[0]
            if name in steps and how.lr > 0.0 and low <= 0.0:
                got = f"{name!r}, a step, with project={how.project}"
                fix, expected = "Use project=(1.19e-7, 1e5), as QDrop does.", "a step kept above 0"
                where = f"Setting {self.name!r}"
                raise ValueError(complaint(where, "a learnt parameter", got, expected, fix))

    def _check_solver(self, phase: Phase) -> None:
        learnt = [name for name, _ in phase.learn]
        if phase.solver == "gram" and "s_x" in learnt and self.placement != "input":
            got = "'s_x' by solver='gram', of a quantizer behind the loss of its layer"
            fix = "Use placement='input', or learn s_x in a phase with solver='minibatch'."
            where, expected = f"Setting {self.name!r}", "a step in front of the product"
            raise ValueError(complaint(where, "a learnt parameter", got, expected, fix))
        shared = {getattr(self.output, name, "channel") for name in ("xi", "eta")}
        if phase.solver == "gram" and shared != {"channel"}:
            got = f"{self.output} with solver='gram'"
            fix = "Use XiEta(), or solver='minibatch'."
            where, expected = f"Setting {self.name!r}", "xi and eta per channel"
            raise ValueError(complaint(where, "output", got, expected, fix))

    def _check_prepare(self) -> None:
        """Refuse a step of `prepare` that is none, and one that takes away what is learnt."""
        for step in self.prepare:
            if not callable(getattr(step, "apply", None)):
                where, kind = f"Setting {self.name!r}", type(step).__name__
                fix = "See refquant.methods.prepare and prepare_redistribution."
                raise TypeError(complaint(where, "prepare", kind, "a step with apply", fix))
        check_norms(self)

    def _check_finish(self) -> None:
        moved = {name for phase in self.phases for name, _ in (*phase.learn, *phase.drive)}
        fitted = set[str]()
        for step in self.finish:
            self._check_step("finish", step)
            for name in step.writes:
                if name in moved | fitted:
                    where, kind = f"Setting {self.name!r}", type(step).__name__
                    fix = f"Do not learn {name!r}." if name in moved else "Leave one step out."
                    got = f"{kind}, which overwrites {name!r}"
                    expected = "a step that keeps what was learnt or fitted"
                    raise ValueError(complaint(where, "finish", got, expected, fix))
            fitted |= {*step.writes}

    def _check_step(self, field: str, step: Any) -> None:
        """Refuse a step of `begin` or `finish` that is none, or lacks a component."""
        where, kind = f"Setting {self.name!r}", type(step).__name__
        if not callable(getattr(step, "fit", None)):
            fix = "See refquant.methods.finish for the steps there are."
            raise TypeError(complaint(where, field, kind, "a step with fit", fix))
        if getattr(step, "at", "") == "patches" and self.placement != "input":
            got = f"{kind}, which looks at the inputs of layers"
            expected = "a setting that quantizes there"
            raise ValueError(complaint(where, field, got, expected, step.hint))
        missing = sorted(set(step.needs) - set(self.learnable))
        if missing:
            got = f"{kind}, which needs {', '.join(missing)}"
            raise ValueError(complaint(where, field, got, "components that have them", step.hint))
        shared = getattr(step, "granularity", None)
        beside = {getattr(self.output, name, shared) for name in ("xi", "eta")}
        if shared is not None and beside != {shared}:
            got = f"{kind} per {shared}, beside {self.output}"
            fix = f"Use XiEta(xi={shared!r}, eta={shared!r}), or another granularity of the step."
            raise ValueError(complaint(where, field, got, "one granularity", fix))

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters its components declare."""
        parts = (self.weights, self.activations, self.output)
        return tuple(name for part in parts for name in learnable(part))

    @property
    def learnt(self) -> tuple[str, ...]:
        """Names of the parameters its phases learn, in order of first mention."""
        return tuple(dict.fromkeys(name for phase in self.phases for name, _ in phase.learn))

    @property
    def fitted(self) -> tuple[str, ...]:
        """Names of the parameters its finishing steps write."""
        return tuple(dict.fromkeys(name for step in self.finish for name in step.writes))

    @property
    def asks_for_labels(self) -> bool:
        """Whether some term compares with labels rather than with the float network."""
        return any(term.kind == "cross_entropy" for phase in self.phases for term in phase.terms)

    def taking(self, steps: int | None) -> "Setting":
        """Return the setting as it runs with so many steps a phase; None: as published."""
        return replace(self, phases=tuple(phase.taking(steps) for phase in self.phases))

    def to_json(self, indent: int | None = None) -> str:
        """Return the setting as canonical JSON: equal settings, equal text."""
        return json.dumps(as_data(self), indent=indent, sort_keys=False, allow_nan=False)
