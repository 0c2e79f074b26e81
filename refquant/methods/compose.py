"""``a+b``: the pipeline of one method, and what another one adds to it.

    from a    everything: preparation, quantizers, placement, phases, steps, learning rates
    from b    only what its file lists in an `Adds`: AdaQTransform its xi and eta, a closed form
              its finishing step, a redistribution of ranges its preparing step, the border in
              closed form the step that starts each unit, an equal footing for a comparison its
              penalty and rates, log-sqrt2 its quantizer of probabilities, bit allocation how
              layers come by their widths, sequential MSE how weights come by their range

Learnt additions join *every* phase of a. A phase learns weights, or the steps of activations, or
both; xi and eta stand behind the product of both, so there is no phase that has nothing to do with
them ("keep that method's pipeline and add xi, eta only", methods.md 15.5).

Additions apply from left to right. What two of them would both set is refused, and so is one that
has to be learnt behind a method that learns nothing.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from refquant._checks import complaint
from refquant.calibrate.sequential import SequentialMse
from refquant.components.output_transform import both
from refquant.methods.allocation import BitAllocation
from refquant.methods.parts import Learn, Penalty, Term
from refquant.methods.phase import Phase
from refquant.methods.setting import Setting

PHASE_FIELDS = ("learn", "begin", "penalty", "relearn", "normalize")


@dataclass(frozen=True, kw_only=True)
class Adds:
    """What a method adds to another one.

    Attributes
    ----------
    reference : str
        ArXiv id or short citation, appended to that of the other method.
    output : component or None
        What stands behind the product; beside a bias that the other method learns, both.
    learn : tuple of (parameter, Learn)
        Joins every phase.
    prepare, finish : tuple of steps
        Appended to those of the other method.
    begin : tuple of steps
        Start every unit, in every phase that quantizes activations.
    penalty : Penalty or None
        Takes the place of the penalty of every phase that has one.
    relearn : tuple of (parameter, Learn)
        Takes the place of how a phase learns the parameter, in every phase that learns it.
    normalize : {"none", "power"} or None
        Takes the place of what every "lp" term is divided by (`Term`).
    probabilities : component or None
        Quantizes the edges behind a softmax (`Setting`).
    allocate : BitAllocation or None
        Shares out widths between layers.
    calibration : SequentialMse or None
        Takes the place of how the range of weights is found.
    """

    reference: str
    output: Any = None
    learn: tuple[tuple[str, Learn], ...] = ()
    prepare: tuple[Any, ...] = ()
    finish: tuple[Any, ...] = ()
    begin: tuple[Any, ...] = ()
    penalty: Penalty | None = None
    relearn: tuple[tuple[str, Learn], ...] = ()
    normalize: Literal["none", "power"] | None = None
    probabilities: Any = None
    allocate: BitAllocation | None = None
    calibration: SequentialMse | None = None

    @property
    def in_phases(self) -> tuple[str, ...]:
        """Names of the fields that need a phase to join."""
        return tuple(name for name in PHASE_FIELDS if getattr(self, name))


def compose(base: Setting, name: str, adds: Adds) -> Setting:
    """Return `base` with the addition called `name`.

    Parameters
    ----------
    base : Setting
        A method, or a composition.
    name : str
        As it shall stand behind the plus.
    adds : Adds

    Returns
    -------
    Setting
        Called ``base.name + "+" + name``.

    Raises
    ------
    ValueError
        If both set the output, a parameter or the same step, or nothing is left to learn what is
        added; the message says what to do.
    """
    whole = f"{base.name}+{name}"
    _check_overlap(whole, base, adds)
    _check_phases(name, base, adds)
    _check_weights(name, base, adds)
    return replace(
        base,
        name=whole,
        reference=f"{base.reference}; {adds.reference}",
        parents=(base.name, name),
        weights=_calibrated(base.weights, adds),
        output=both(base.output, adds.output),
        prepare=(*base.prepare, *adds.prepare),
        finish=(*base.finish, *adds.finish),
        probabilities=base.probabilities or adds.probabilities,
        allocate=base.allocate or adds.allocate,
        phases=tuple(_joined(phase, adds) for phase in base.phases),
    )


def _calibrated(component: Any, adds: Adds) -> Any:
    return replace(component, calibration=adds.calibration) if adds.calibration else component


def _joined(phase: Phase, adds: Adds) -> Phase:
    rounds, anew = "activations" in phase.quantize, dict(adds.relearn)
    return replace(
        phase,
        learn=(*((name, anew.get(name, how)) for name, how in phase.learn), *adds.learn),
        begin=(*phase.begin, *(adds.begin if rounds else ())),
        penalty=adds.penalty if adds.penalty and phase.penalty else phase.penalty,
        terms=tuple(_normalized(term, adds) for term in phase.terms),
    )


def _normalized(term: Term, adds: Adds) -> Term:
    if adds.normalize is None or term.kind != "lp":
        return term
    return replace(term, normalize=adds.normalize)


def _check_phases(name: str, base: Setting, adds: Adds) -> None:
    """Refuse what no phase of the method could take up."""
    pair = f"{name!r} behind {base.name!r}"
    rounding = [phase for phase in base.phases if "activations" in phase.quantize]
    if adds.penalty and not any(phase.penalty for phase in base.phases):
        fix = f"Use {base.name!r} as it is."
        raise ValueError(complaint("resolve", "method", pair, "a method with a penalty", fix))
    if adds.in_phases and not base.phases:
        first, other = ("aquant", "nearest-border") if adds.begin else ("qdrop", f"{base.name}+ols")
        fix = f"Start with a method that learns, as '{first}+{name}', or use '{other}'."
        got = f"{pair}, which learns nothing"
        raise ValueError(complaint("resolve", "method", got, "a phase to learn it in", fix))
    summed = [phase for phase in base.phases if any(t.kind == "lp" for t in phase.terms)]
    if adds.normalize and not any(phase.solver == "minibatch" for phase in summed):
        got, fix = f"{pair}, whose loss has one scale", f"Use {base.name!r} as it is."
        expected = "a sum of errors over several layers"
        raise ValueError(complaint("resolve", "method", got, expected, fix))
    if adds.begin and not rounding:
        got, fix = f"{pair}, which learns with real activations", f"Write 'aquant+{name}'."
        expected = "a phase that rounds activations"
        raise ValueError(complaint("resolve", "method", got, expected, fix))


def _check_weights(name: str, base: Setting, adds: Adds) -> None:
    """Refuse a calibration of weights that have none: real ones, and AdaQuant's range."""
    if adds.calibration and not hasattr(base.weights, "calibration"):
        got, fix = f"{name!r} behind {base.name!r}", f"Write 'nearest+{name}'."
        expected = "a method whose weights have a step that is calibrated"
        raise ValueError(complaint("resolve", "method", got, expected, fix))


def _check_overlap(whole: str, base: Setting, adds: Adds) -> None:
    twice: list[str] = []
    if (base.output or adds.output) and both(base.output, adds.output) is None:
        twice.append("the output component")
    if base.probabilities is not None and adds.probabilities is not None:
        twice.append("the component of probabilities")
    if base.allocate is not None and adds.allocate is not None:
        twice.append("the widths of layers")
    rule = getattr(base.weights, "calibration", None)
    if adds.calibration and isinstance(rule, SequentialMse):
        twice.append("the calibration of weights")
    taken = {name for phase in base.phases for name, _ in (*phase.learn, *phase.drive)}
    twice += [name for name, _ in adds.learn if name in taken]
    steps = (*base.prepare, *base.finish, *(s for phase in base.phases for s in phase.begin))
    twice += [
        type(step).__name__ for step in (*adds.prepare, *adds.finish, *adds.begin) if step in steps
    ]
    if twice:
        got = f"{whole!r}, in which both sides of the last plus set {', '.join(twice)}"
        fix = f"Leave one of them out, as in {base.name!r}."
        raise ValueError(complaint("resolve", "method", got, "parts that do not overlap", fix))
