"""One comparison as data: what runs on both sides, and what was promised.

"same algorithm"     both sides compute the same thing, step for step; the gradients are compared
"better algorithm"   both sides reach the same goal; how well they did is compared too
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refquant._checks import check_in
from refquant._types import Array

SAME, BETTER = TABLES = ("same algorithm", "better algorithm")
MEASURES = ("seconds", "bytes")

Arrays = Mapping[str, Array]
Run = Callable[[], object]


@dataclass(frozen=True)
class Work:
    """One side of a case, ready to run.

    Attributes
    ----------
    run : function without arguments
        What is measured; called many times.
    results : function without arguments, or None
        Arrays to be compared with those of the other side: gradients, or losses reached.
    """

    run: Run
    results: Callable[[], dict[str, Array]] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A comparison.

    Attributes
    ----------
    name : str
        Unique; what ``refquant bench --only`` takes.
    table : {"same algorithm", "better algorithm"}
    peer : str
        What the other side is, in words.
    inputs : function without arguments
        Makes the arrays that both sides get. They are drawn from the counter generator.
    ours : function from these arrays to Work
    worker : str
        Name of the peer's function in its worker; "" where `theirs` is given.
    theirs : function from the arrays to Work, or None
        Where the other side is refquant too.
    judge : function (our results, their results) -> facts, or None
        Compares what both sides computed. It returns numbers for the report, and raises a
        ValueError where the comparison would be void: gradients that differ, a goal missed.
    measure : {"seconds", "bytes"}
        Of one run: wall time, or peak memory on top of what was there.
    target, aim : float or None
        Ratio to reach, and beyond it.
    times : float
        The peer's time is multiplied by it: where it runs a part of the whole, said in `peer`.
    quick : bool
        Whether ``--quick`` runs it.
    limit : str
        What keeps the ratio from its aim, in words; ``python -m validation.bench_shares`` prints
        the shares that it states.
    """

    name: str
    table: str
    peer: str
    inputs: Callable[[], dict[str, Array]]
    ours: Callable[[Arrays], Work]
    worker: str = ""
    theirs: Callable[[Arrays], Work] | None = None
    judge: Callable[[Arrays, Arrays], dict[str, Any]] | None = None
    measure: str = "seconds"
    target: float | None = None
    aim: float | None = None
    times: float = 1.0
    quick: bool = True
    limit: str = ""

    def __post_init__(self) -> None:
        check_in("Case", "table", self.table, TABLES)
        check_in("Case", "measure", self.measure, MEASURES)
