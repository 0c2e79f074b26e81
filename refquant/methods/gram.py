"""The Gram solver as data: how the quadratic of one layer is solved, and where it applies.

Reference: methods.md 7 (P25, P33) and 10; the squared output error of a layer is a quadratic form
in its weights, whose matrix is that of the second moments of its inputs. They are summed once, over
all calibration inputs, and no step looks at a sample again.

    start      where the rounding comes from                            cost
    descent    `steps` of full-batch Adam on AdaRound's objective       c_out d^2 a step
    plane      nearest plane: one weight after another, each rounded    d^3 + c_out d^2 once
               against what the errors before it left (Babai 1986)
    nearest    to nearest                                               --

What does not apply: an activation function inside the loss, a loss over a block or the network,
p other than 2, learnt borders or weight steps, values mixed other than by independent choices. All
of these are refused with the fix; ``solver="minibatch"`` runs them.
"""

from dataclasses import dataclass
from typing import Any

from refquant._checks import check_in, check_int, complaint
from refquant.methods.parts import Term

STARTS = ("descent", "plane", "nearest")
FINISHES = ("none", "flips", "tabu")
LEARNT = ("alpha", "s_x", "xi", "eta")


@dataclass(frozen=True, kw_only=True)
class Gram:
    """Options of ``solver="gram"``.

    Attributes
    ----------
    start : {"descent", "plane", "nearest"}
        See the module. Only the descent takes steps and reads the penalty.
    finish : {"flips", "tabu", "none"}
        Search by single flips behind the start, row by row: until none helps, or tabu search.
    tabu : int
        Steps of the tabu search.
    ridge : float
        Added to the diagonal of the second moments, as a share of its mean: it pulls weights
        towards their float values where the samples say little about them.
    rounds : int
        Alternations between codes, step of the activations, and xi and eta, where any of these
        is learnt. The descent is run in the last one.
    samples : int or None
        Calibration inputs, from the first, that the moments are summed over; None: all.
    scout : int
        The same for the line search, and for the rounds before the last (QDrop finds ranges on
        256 inputs).
    points, span : int, float
        Of the line search for s_x: so many factors, odd, from 1 - span to 1 + span; the span is
        halved in every round.
    """

    start: str = "descent"
    finish: str = "flips"
    tabu: int = 2000
    ridge: float = 0.0
    rounds: int = 3
    samples: int | None = None
    scout: int = 256
    points: int = 9
    span: float = 0.2

    def __post_init__(self) -> None:
        check_in("Gram", "start", self.start, STARTS)
        check_in("Gram", "finish", self.finish, FINISHES)
        check_int("Gram", "tabu", self.tabu, 1)
        check_int("Gram", "rounds", self.rounds, 1)
        check_int("Gram", "points", self.points, 1)
        check_int("Gram", "scout", self.scout, 1)
        if self.samples is not None:
            check_int("Gram", "samples", self.samples, 1)
        if self.points % 2 == 0:
            fix = "The middle point is the present step."
            raise ValueError(complaint("Gram", "points", self.points, "an odd number", fix))
        if not 0.0 <= self.ridge < float("inf"):
            raise ValueError(complaint("Gram", "ridge", self.ridge, "a share of at least 0"))
        if not 0.0 < self.span < 1.0:
            raise ValueError(complaint("Gram", "span", self.span, "a share in (0, 1)"))


def check_quadratic(phase: Any) -> None:
    """Refuse a phase of the Gram solver whose loss is no quadratic form in the weights.

    Raises
    ------
    ValueError
        With the reason and what to change.
    """
    (term, *more) = phase.terms
    plain = term == Term(at="layers", weight=term.weight, reduction=term.reduction)
    if phase.unit != "layer":
        _refuse("unit", phase.unit, "'layer': across layers the loss is no quadratic form")
    if more or not plain:
        fix = "Write terms=(Term(at='layers'),): the squared error before any activation function."
        _refuse("terms", phase.terms, "one squared error at the layer", fix)
    names = [name for name, _ in phase.learn]
    if "alpha" not in names or not set(names) <= set(LEARNT):
        _refuse("learn", tuple(names), "alpha, and of s_x, xi and eta what you like")
    if phase.drive:
        _refuse("drive", phase.drive, "empty: the quadratic stays the same over the steps")
    for mix in phase.mix:
        if mix.rule != "bernoulli":
            fix = "Only for independent choices is the expected loss a quadratic form."
            _refuse("mix", mix, "rule='bernoulli'", fix)
    if phase.penalty is not None and phase.gram.start != "descent":
        fix = "Leave the penalty out, or use Gram(start='descent')."
        _refuse("penalty", "set where nothing descends", "None", fix)


def _refuse(field: str, got: object, expected: str, fix: str = "") -> None:
    fix = fix or "Use solver='minibatch' where this is wanted."
    raise ValueError(complaint("Phase(solver='gram')", field, got, expected, fix))
