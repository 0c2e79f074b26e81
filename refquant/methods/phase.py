"""A phase: one pass of the optimiser over the units of a network, as data.

What contradicts itself is refused when the phase is made, with the fix in the message: a run that
learns what cannot move, or mixes what is equal, would only look like the method it names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from refquant._checks import check_in, check_int, check_kinds, complaint
from refquant._fields import published
from refquant.methods.gram import Gram, check_quadratic
from refquant.methods.parts import Learn, Mix, Penalty, Term
from refquant.network.units import GRANULARITIES

ROLES = ("weights", "activations")
SOURCES = ("float", "quantized")
SAMPLINGS = ("permutation", "with_replacement", "epochs", "blocks", "cycle", "full")
SOLVERS = ("minibatch", "gram")
TUPLES: Mapping[str, type] = {  # fields, and what they hold; the rest is checked one by one
    "learn": tuple,
    "drive": tuple,
    "terms": Term,
    "mix": Mix,
    "quantize": str,
    "harden": str,
    "merge": object,
    "begin": object,
}
SAMPLED_BY = (
    "permutation: BRECQ, AIMET; with_replacement: QDrop, PD-Quant; epochs: PyTorch; "
    "blocks: MQBench; cycle: PPQ; full: onnxsim"
)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One pass of the optimiser over the units of a network.

    Attributes
    ----------
    learn : tuple of (parameter, Learn)
        What moves; everything else is returned unchanged.
    unit : {"layer", "block", "network"}
    merge : tuple of int
        Of blocks: how many neighbours, in running order, are reconstructed as one; (1, 2) leaves
        the first alone, joins the next two, and leaves the rest as they are (MRECG).
    quantize : tuple of {"weights", "activations"}
        What is quantized while this phase runs, in the unit and in its prefix.
    source : {"quantized", "float"}
        Whether the unit's inputs come from the quantized prefix (D30) or the float network.
    mix : tuple of Mix
    begin : tuple of steps
        Closed forms that start a unit before anything of it is learnt (`refquant.methods.finish`).
    drive : tuple of (parameter, schedule)
        Parameters that follow a schedule instead of a gradient (AQuant's rounding schedule).
    terms : tuple of Term
    penalty : Penalty or None
    steps, batch : int
        Published values; a run may override the number of steps.
    sampling : {"permutation", "with_replacement", "epochs", "blocks", "cycle", "full"}
        How a batch is drawn from the calibration images, see
        `refquant.reconstruct.batches.batch_indices`.
    solver : {"minibatch", "gram"}
        Adam on batches, the papers' literal loop; or the layer's quadratic form, which draws
        nothing and reads neither `batch` nor `sampling` (`refquant.methods.gram`).
    gram : Gram
        Options of the Gram solver.
    harden : tuple of {"weights"}
        What is rounded for good when the unit is finished. Activations are rounded whenever they
        are read: there is nothing of theirs to harden.
    keep_best : bool
        Return the start if its hardened loss on the calibration set is lower.
    """

    learn: tuple[tuple[str, Learn], ...]
    unit: str = "layer"
    merge: tuple[int, ...] = ()
    quantize: tuple[str, ...] = ROLES
    source: str = published(
        "quantized", "quantized: AdaRound, BRECQ; float: AdaQuant, onnxsim (D30)"
    )
    mix: tuple[Mix, ...] = ()
    begin: tuple[Any, ...] = ()
    drive: tuple[tuple[str, Any], ...] = ()
    terms: tuple[Term, ...] = (Term(),)
    penalty: Penalty | None = None
    steps: int = 20_000
    batch: int = 32
    sampling: str = published("permutation", SAMPLED_BY)
    solver: str = "minibatch"
    gram: Gram = Gram()
    harden: tuple[str, ...] = ("weights",)
    keep_best: bool = published(False, "PPQ: True")

    def __post_init__(self) -> None:
        self._check_kinds()
        check_in("Phase", "unit", self.unit, GRANULARITIES)
        check_in("Phase", "source", self.source, SOURCES)
        check_in("Phase", "sampling", self.sampling, SAMPLINGS)
        check_in("Phase", "solver", self.solver, SOLVERS)
        for role in self.quantize:
            check_in("Phase", "quantize", role, ROLES)
        if not self.quantize:
            raise ValueError(complaint("Phase", "quantize", "empty", f"one of {ROLES}, or both"))
        for role in self.harden:
            check_in("Phase", "harden", role, ROLES[:1])
        check_int("Phase", "steps", self.steps, 1)
        check_int("Phase", "batch", self.batch, 1)
        for size in self.merge:
            check_int("Phase", "merge", size, 1)
        if self.merge and self.unit != "block":
            fix = "Use unit='block', or leave merge out."
            raise ValueError(complaint("Phase", "merge", f"set for {self.unit}s", "blocks", fix))
        self._check_learn()
        self._check_penalty()
        self._check_mix()
        self._check_begin()
        if self.solver == "gram":
            check_quadratic(self)
        elif self.gram != Gram():
            got, fix = f"set with solver={self.solver!r}", "Leave it out, or use solver='gram'."
            raise ValueError(complaint("Phase", "gram", got, "the default", fix))

    def taking(self, steps: int | None) -> "Phase":
        """Return the phase as it runs in so many steps, where it takes steps at all.

        Learning rates are those of this number of steps (methods.md 5.7, travel budget).
        """
        direct = self.solver == "gram" and self.gram.start != "descent"
        count = 1 if direct else steps or self.steps
        learn = tuple((name, how.over(self.steps, count)) for name, how in self.learn)
        return replace(self, steps=count, learn=learn)

    def _check_kinds(self) -> None:
        for name, kind in TUPLES.items():
            check_kinds("Phase", name, getattr(self, name), kind)
        for name in ("learn", "drive"):
            if odd := [entry for entry in getattr(self, name) if len(entry) != 2]:
                raise TypeError(
                    complaint("Phase", name, odd[0], "pairs of a name and how it moves")
                )
        if not isinstance(self.penalty, Penalty | None):
            got = type(self.penalty).__name__
            raise TypeError(complaint("Phase", "penalty", got, "a Penalty or None"))
        if not isinstance(self.gram, Gram):
            raise TypeError(complaint("Phase", "gram", type(self.gram).__name__, "a Gram"))

    def _check_learn(self) -> None:
        for name, how in self.learn:
            if not isinstance(how, Learn):
                got, fix = f"{type(how).__name__} for {name!r}", f"Write ({name!r}, Learn(lr=...))."
                raise TypeError(complaint("Phase", "learn", got, "a Learn", fix))
        for name, schedule in self.drive:
            if not callable(getattr(schedule, "at", None)):
                got, expected = f"{type(schedule).__name__} for {name!r}", "a schedule with at"
                fix = "See refquant.optim.schedules."
                raise TypeError(complaint("Phase", "drive", got, expected, fix))
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
        scaled = [name for name, how in self.learn if how.grad_scale != "none"]
        if scaled and self.solver == "gram":
            got, fix = f"set for {scaled} with solver='gram'", "Leave it out."
            raise ValueError(complaint("Phase", "grad_scale", got, "a loss over batches", fix))

    def _check_penalty(self) -> None:
        learns_alpha = "alpha" in dict(self.learn)
        if self.penalty is not None and not learns_alpha:
            fix = "Learn alpha, or drop the penalty."
            got = "set without alpha among the learnt parameters"
            raise ValueError(complaint("Phase", "penalty", got, "None", fix))
        if learns_alpha and "weights" not in self.quantize:
            got, fix = "alpha, of real weights", "Add 'weights' to quantize, or drop alpha."
            raise ValueError(complaint("Phase", "learn", got, "a parameter in use", fix))

    def _check_mix(self) -> None:
        at = [mix.at for mix in self.mix]
        if at.count("quantizers") > 1:
            got, fix = f"{at.count('quantizers')} of them", "Keep one of them."
            raise ValueError(complaint("Phase", "mix at the quantizers", got, "at most one", fix))
        if "quantizers" in at and "activations" not in self.quantize:
            got = "set while activations are real"
            fix = "Add 'activations' to quantize, or drop the mix at the quantizers."
            raise ValueError(complaint("Phase", "mix", got, "a mix of two different values", fix))
        if "input" in at and self.source == "float":
            got, fix = "set at inputs that are float already", "Use source='quantized'."
            raise ValueError(complaint("Phase", "mix", got, "a mix of two different values", fix))
        if "input" in at and self.unit == "network":
            got, fix = "set at the input of the network, which is real", "Mix at the quantizers."
            raise ValueError(complaint("Phase", "mix", got, "a mix of two different values", fix))

    def _check_begin(self) -> None:
        for step in self.begin:
            if getattr(step, "at", "") == "patches" and "activations" not in self.quantize:
                got = f"{type(step).__name__}, while activations are real"
                fix = "Add 'activations' to quantize, or drop the step."
                raise ValueError(complaint("Phase", "begin", got, "a parameter in use", fix))
