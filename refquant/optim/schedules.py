"""Schedules: numbers that change with the step, for rates, regulariser and rounding.

methods.md 5.5 to 5.7. Every function takes the step number t of its own formula; counting from
another number than the one stated is refused, since it shifts the whole schedule by a step.

    paper      here                meaning
    t          t                   step number
    Tm         total               number of steps
    lr0        rate                learning rate at the start
    w          warm_up, hold       share of the steps before the change begins, 0.2
    b0, b1     start, end          exponent of AdaRound's regulariser, 20 to 2
    rel        progress            clip((t - w Tm) / (Tm - w Tm), 0, 1)
    a          --                  weight of the rounding, methods.md 13.3

Corners are exact: at t = Tm, progress is 1 and beta is b1; at t = w Tm, it is 0 and beta is b0.
That is why the divisor is written Tm - w Tm and not (1 - w) Tm, which may round differently.
Numbers are Python floats; the cosine is `nx.cos`.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._checks import check_in, check_int, complaint
from refquant._fields import published


def _check_share(function: str, argument: str, share: float) -> None:
    if not 0.0 <= share < 1.0:
        raise ValueError(complaint(function, argument, share, "a number in [0, 1)"))


@dataclass(frozen=True, kw_only=True)
class BetaSchedule:
    """The dialect of a beta schedule (decision D9).

    Parameters
    ----------
    curve : {"linear", "cosine"}
        BRECQ, QDrop, PD-Quant and MQBench are linear (although BRECQ's docstring says cosine);
        AIMET and AMCT are cosine.
    start, end : float
        Exponents b0 and b1.
    warm_up : float
        Share of the steps with the regulariser off, in [0, 1).
    first_step : {1, 0}
        Number of the first step: 1 in BRECQ and QDrop, 0 in AIMET and AMCT. Counted from 0 the
        last step is total - 1 and ends just short of b1.
    arrive : {"total", "last"}
        The step number at which b1 is reached: Tm in all but onnxsim, whose divisor ends at its
        last step, Tm - 1.
    after : {"refuse", "hold", "continue"}
        What a step number beyond the last one gives: an error (AIMET and PyTorch assert), b1
        (BRECQ, QDrop, MQBench, Brevitas), or the curve as it goes on (PPQ, whose cosine rises
        again). No run takes such a step; code that is called with its own counter may.
    """

    curve: str = published("linear", "linear: BRECQ, QDrop, MQBench; cosine: AIMET, AMCT")
    start: float = 20.0
    end: float = 2.0
    warm_up: float = 0.2
    first_step: int = published(1, "1: BRECQ, QDrop; 0: AIMET, AMCT")
    arrive: str = published("total", "last: onnxsim; total: all others")
    after: str = published("refuse", "refuse: AIMET, PyTorch; hold: BRECQ, QDrop; continue: PPQ")

    def __post_init__(self) -> None:
        """Refuse fields outside their ranges."""
        check_in("BetaSchedule", "curve", self.curve, ("linear", "cosine"))
        check_in("BetaSchedule", "first_step", self.first_step, (0, 1))
        check_in("BetaSchedule", "arrive", self.arrive, ("total", "last"))
        check_in("BetaSchedule", "after", self.after, ("refuse", "hold", "continue"))
        _check_share("BetaSchedule", "warm_up", self.warm_up)
        for name in ("start", "end"):
            if not math.isfinite(getattr(self, name)):
                got = getattr(self, name)
                raise ValueError(complaint("BetaSchedule", name, got, "a finite number"))


DEFAULT_BETA = BetaSchedule()  # decision D9


class Beta(NamedTuple):
    """The regulariser at one step."""

    beta: float  # its exponent
    on: bool  # False in the warm-up: leave the regulariser out


def beta_schedule(t: int, total: int, schedule: BetaSchedule = DEFAULT_BETA) -> Beta:
    """Return the exponent of AdaRound's regulariser, methods.md 5.5.

    Parameters
    ----------
    t : int
        Step number, from ``schedule.first_step`` on: 1..total or 0..total - 1; beyond it as
        ``schedule.after`` says.
    total : int
        Number of steps.
    schedule : BetaSchedule
        The dialect; by default linear from 20 to 2, counted from 1.

    Returns
    -------
    Beta
        (start, False) for t < warm_up * total; then start to end, True.
    """
    s = schedule
    _check_step("beta_schedule", t, total, s.first_step, beyond=s.after != "refuse")
    if t < s.warm_up * total:
        return Beta(float(s.start), False)
    end = total if s.arrive == "total" else s.first_step + total - 1
    progress = _progress(t, total, s.warm_up, end)
    progress = min(1.0, progress) if s.after == "hold" else progress
    left = 1.0 - progress if s.curve == "linear" else _half_cosine(progress)
    return Beta(s.end + (s.start - s.end) * left, True)


def cosine_lr(t: int, total: int, rate: float) -> float:
    """Return rate * (1 + cos(pi t / total)) / 2, methods.md 5.7 (no restart).

    Parameters
    ----------
    t : int
        Step number, 0..total - 1.
    total : int
        Number of steps; the rate would reach 0 at t = total, which is never taken.
    rate : float
        Learning rate at t = 0.

    Returns
    -------
    float
        Learning rate of step t.
    """
    _check_step("cosine_lr", t, total, 0)
    return float(rate) * _half_cosine(t / total)


def step_lr(
    t: int, total: int, rate: float, milestones: tuple[float, ...], factor: float = 0.1
) -> float:
    """Return `rate` times `factor` for every milestone that step t has reached.

    Parameters
    ----------
    t : int
        Step number, 0..total - 1.
    total : int
        Number of steps.
    rate : float
        Learning rate at t = 0.
    milestones : tuple of float
        Rising shares of the steps, in (0, 1); the step numbers are rounded down, as PPQ does.
    factor : float
        What each of them multiplies the rate by.

    Returns
    -------
    float
        Learning rate of step t.
    """
    _check_step("step_lr", t, total, 0)
    check_milestones("step_lr", milestones)
    passed = [factor for share in milestones if t >= int(share * total)]
    return math.prod(passed, start=float(rate))


def check_milestones(function: str, milestones: tuple[float, ...]) -> None:
    """Refuse shares that are not rising numbers in (0, 1)."""
    ends = (0.0, *milestones, 1.0)
    if not all(low < high for low, high in itertools.pairwise(ends)):
        expected = "rising shares of the steps, in (0, 1)"
        raise ValueError(complaint(function, "milestones", milestones, expected))


def rounding_schedule(t: int, total: int, hold: float = 0.2) -> float:
    """Return AQuant's weight of the rounding, clip((t - hold T) / (T - hold T), 0, 1).

    Decision D10. 0 is no rounding, 1 is plain rounding; evaluation always uses 1.

    Parameters
    ----------
    t : int
        Step number, 1..total.
    total : int
        Number of steps; exactly 1.0 is reached at t = total.
    hold : float
        Share of the steps at 0, in [0, 1).

    Returns
    -------
    float
        The weight a of step t.
    """
    _check_step("rounding_schedule", t, total, 1)
    _check_share("rounding_schedule", "hold", hold)
    return _progress(t, total, hold)


@dataclass(frozen=True, kw_only=True)
class RoundingSchedule:
    """`rounding_schedule` as data, for a phase to drive a parameter with.

    Attributes
    ----------
    hold : float
        Share of the steps at 0, in [0, 1).
    """

    hold: float = 0.2

    def __post_init__(self) -> None:
        _check_share("RoundingSchedule", "hold", self.hold)

    def at(self, t: int, total: int) -> float:
        """Return the value at step t = 1..total."""
        return rounding_schedule(t, total, self.hold)


@dataclass(frozen=True, kw_only=True)
class CoolingSchedule:
    """A temperature that falls geometrically: start (end / start)^(t / T), methods.md 11.

    Attributes
    ----------
    start, end : float
        tau before the first step and at the last one, both positive; 1 and 0.01 (D14).
    """

    start: float = 1.0
    end: float = 0.01

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not 0.0 < getattr(self, name) < math.inf:
                got = getattr(self, name)
                raise ValueError(complaint("CoolingSchedule", name, got, "a positive number"))

    def at(self, t: int, total: int) -> float:
        """Return the value at step t = 1..total."""
        _check_step("CoolingSchedule.at", t, total, 1)
        ratio = np.asarray(self.end / self.start)
        return self.end if t == total else self.start * float(nx.power(ratio, t / total))


def _progress(t: int, total: int, hold: float, end: int | None = None) -> float:
    """Return the share of the steps from the hold to `end` that are done, 0 during the hold."""
    length = (total if end is None else end) - hold * total
    return max(0.0, (t - hold * total) / length) if length > 0.0 else 1.0


def _half_cosine(share: float) -> float:
    """Return (1 + cos(pi share)) / 2: from 1 at share 0 to 0 at share 1."""
    return (1.0 + float(nx.cos(np.asarray(math.pi * share)))) / 2.0


def _check_step(function: str, t: int, total: int, first: int, beyond: bool = False) -> None:
    check_int(function, "total", total, 1)
    check_int(function, "t", t, first, None if beyond else first + total - 1)
