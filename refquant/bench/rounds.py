"""Run a case: compare what both sides compute, then measure them in turn.

One round measures both sides once, the order changing from round to round, and gives one ratio.
Whatever else the machine does in a round meets both; the median over rounds is the number to read,
minimum and maximum say how far to trust it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from refquant.bench.case import Arrays, Case, Work
from refquant.bench.measure import peak_bytes, repeats, seconds
from refquant.bench.peer import Peer

FEWEST = 7  # rounds of a number worth printing


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a case gave.

    Attributes
    ----------
    case : Case
    ours, theirs : tuple of float
        Cost of one run in each round, in seconds or bytes; the peer's times `case.times`.
    facts : mapping
        Of `case.judge`.
    took : float
        Seconds for everything, inputs and comparison included.
    """

    case: Case
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    took: float = 0.0

    @property
    def ratios(self) -> tuple[float, ...]:
        """The peer's cost over ours, round by round."""
        return tuple(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    def row(self) -> dict[str, Any]:
        """Return the outcome as JSON data."""
        case, ratios = self.case, self.ratios
        return {
            "name": case.name,
            "table": case.table,
            "peer": case.peer,
            "ratio_min": min(ratios),
            "ratio_median": median(ratios),
            "ratio_max": max(ratios),
            "target": case.target,
            "aim": case.aim,
            "rounds": len(ratios),
            "measure": case.measure,
            "ours": median(self.ours),
            "theirs": median(self.theirs),
            "facts": self.facts,
            "limit": case.limit,
            "took": round(self.took, 1),
        }


def measure(case: Case, rounds: int, peer: Peer | None) -> Outcome:
    """Measure both sides of a case in turn.

    Parameters
    ----------
    case : Case
    rounds : int
        At least `FEWEST` for a number that is kept.
    peer : Peer or None
        None will do where the other side is refquant too.

    Raises
    ------
    ValueError
        If the results of both sides differ, or the goal was missed.
    """
    began = time.perf_counter()
    inputs = case.inputs()
    work = case.ours(inputs)
    theirs, results = _other_side(case, inputs, peer)
    facts = case.judge(_results(work), results) if case.judge else {}
    ours = _cost(case, work)
    pairs = [_round(ours, theirs, backwards=bool(n % 2)) for n in range(rounds)]
    return Outcome(
        case=case,
        ours=tuple(a for a, _ in pairs),
        theirs=tuple(b * case.times for _, b in pairs),
        facts=facts,
        took=time.perf_counter() - began,
    )


def _round(
    ours: Callable[[], float], theirs: Callable[[], float], backwards: bool
) -> tuple[float, float]:
    if backwards:
        second = theirs()
        return ours(), second
    first = ours()
    return first, theirs()


def _other_side(
    case: Case, inputs: Arrays, peer: Peer | None
) -> tuple[Callable[[], float], Arrays]:
    """Return what costs the other side, and its results."""
    if case.theirs is not None:
        work = case.theirs(inputs)
        return _cost(case, work), _results(work)
    if peer is None:
        raise ValueError(f"{case.name}: no peer; start one with --peer")
    running = peer
    results = running.start(case.worker, inputs)
    if case.measure == "bytes":
        return lambda: running.value(do="bytes"), results
    repeat = int(running.value(do="repeats"))
    return lambda: running.value(do="seconds", repeat=repeat), results


def _cost(case: Case, work: Work) -> Callable[[], float]:
    if case.measure == "bytes":
        return lambda: peak_bytes(work.run)
    repeat = repeats(work.run)
    return lambda: seconds(work.run, repeat)


def _results(work: Work) -> Arrays:
    return {} if work.results is None else work.results()
