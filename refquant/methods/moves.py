"""Whether what a phase moves can move: its names of parameters, against the setting's components.

A name that neither gradient nor schedule reaches would keep its value without a word, and a run
look like the method it names. So each of these is refused when the setting is made:

    a name                      that
    of no component             nobody declares
    of a real component         the phase leaves out of `quantize`
    tied                        follows another one
    of two stages               a component never learns beside another one
    of a switch, learnt         has no gradient, as AQuant's a and ASoftmax's tau
    of no switch, driven        a schedule would overwrite with one number for all entries
    of a batch norm             a preparing step has folded away
    behind what passes nothing  would need a gradient through it, as through A-rounding
"""

from typing import Any

from refquant._checks import check_in, complaint
from refquant.methods.phase import ROLES, Phase
from refquant.methods.prepare import FoldBatchNorm

WHAT = "a learnt parameter"


def learnable(component: Any) -> tuple[str, ...]:
    """Return the names that a component declares; none where there is none."""
    return () if component is None else tuple(component.learnable)


def check_moves(setting: Any, phase: Phase) -> None:
    """Refuse a phase of a setting that learns or drives what cannot move.

    Raises
    ------
    ValueError
        With the name, and what to change.
    """
    where, parts = f"Setting {setting.name!r}", [getattr(setting, role) for role in ROLES]
    for name, _ in (*phase.learn, *phase.drive):
        for part in parts:
            _check_tied(where, name, part)
        _check_declared(where, name, setting)
        _check_in_use(where, name, setting, phase)
    _check_switches(where, phase, {name for part in parts for name in _switches(part)})
    _check_stages(where, phase, setting.weights)
    _check_scales(where, phase, setting.output)
    _check_passes(where, phase, setting.activations)


def check_norms(setting: Any) -> None:
    """Refuse to learn batch norms that the setting folds."""
    folds = any(isinstance(step, FoldBatchNorm) for step in setting.prepare)
    if folds and getattr(setting.output, "at", "") == "batch_norm":
        got, fix = f"{type(setting.output).__name__} behind FoldBatchNorm", "Use prepare=()."
        where, expected = f"Setting {setting.name!r}", "batch norms to learn"
        raise ValueError(complaint(where, "output", got, expected, fix))


def _check_declared(where: str, name: str, setting: Any) -> None:
    absent = [role for role in ROLES if getattr(setting, role) is None]
    if name not in setting.learnable and absent:
        got = f"{name!r}, where {absent[0]} are real"
        fix = f"Give the setting a component for {absent[0]}, or do not learn {name!r}."
        expected = f"one of {', '.join(map(repr, setting.learnable))}"
        raise ValueError(complaint(where, WHAT, got, expected, fix))
    check_in(where, WHAT, name, setting.learnable)


def _check_in_use(where: str, name: str, setting: Any, phase: Phase) -> None:
    for role in ROLES:
        if role not in phase.quantize and name in learnable(getattr(setting, role)):
            got = f"{name!r}, of real {role}"
            fix = f"Add {role!r} to quantize, or do not learn {name!r}."
            raise ValueError(complaint(where, WHAT, got, "a parameter in use", fix))


def _check_tied(where: str, name: str, component: Any) -> None:
    """Refuse to learn a parameter that the component ties to another one."""
    for tied, to, fix in getattr(component, "tied", ()):
        if name == tied:
            got = f"{name!r}, which is tied to {to!r}"
            raise ValueError(complaint(where, WHAT, got, "one that is free", fix))


def _switches(component: Any) -> tuple[str, ...]:
    return getattr(component, "switches", ())


def _check_switches(where: str, phase: Phase, switches: set[str]) -> None:
    """Refuse a gradient for what has none, and a schedule for what has one."""
    for name, _ in phase.learn:
        if name in switches:
            got, fix = f"{name!r}, which has no gradient", "Let `drive` move it by a schedule."
            raise ValueError(complaint(where, WHAT, got, "a parameter of the loss", fix))
    for name, _ in phase.drive:
        if name not in switches:
            fix = f"Put {name!r} into `learn`, whose rates may follow a schedule."
            listed = ", ".join(sorted(map(repr, switches)))
            expected = f"one of {listed}" if listed else "empty: nothing here is a switch"
            raise ValueError(complaint(where, "drive", repr(name), expected, fix))


def _check_stages(where: str, phase: Phase, weights: Any) -> None:
    """Refuse to learn in one phase what belongs to two."""
    stages = getattr(weights, "stages", ())
    together = [name for name, _ in phase.learn if name in stages]
    if len(together) > 1:
        got, fix = f"{' and '.join(together)} in one phase", "Write a phase for each."
        raise ValueError(complaint(where, WHAT, got, f"one of {' and '.join(stages)}", fix))


def _check_scales(where: str, phase: Phase, output: Any) -> None:
    for name, how in phase.learn:
        if how.grad_scale != "none" and name in learnable(output):
            got, fix = f"set for {name!r}, which no quantizer has", "Leave it out."
            raise ValueError(complaint(where, "grad_scale", got, "'none'", fix))


def _check_passes(where: str, phase: Phase, activations: Any) -> None:
    """Refuse a unit of several layers whose quantizers pass no gradient."""
    rounds = "activations" in phase.quantize and phase.unit != "layer"
    if rounds and not getattr(activations, "passes", True):
        got = f"{phase.unit}s whose {type(activations).__name__} pass no gradient"
        raise ValueError(complaint(where, "unit", got, "layers", "Use unit='layer', or no phases."))
