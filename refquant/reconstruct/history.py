"""What a run remembers: one record per phase and unit, plain numbers only."""

from typing import NamedTuple


class Record(NamedTuple):
    """The course of one phase on one unit.

    Attributes
    ----------
    phase : int
    unit : str
    steps : tuple of int
        Step numbers, from 1, at which the next four were recorded, as the step found them.
    loss : tuple of float
        The terms of the phase, on the batch, with soft weights.
    penalty : tuple of float
        Regulariser, lambda included; 0 while it is off.
    beta : tuple of float
        Its exponent; empty without a penalty.
    rounded : int
        Rounding variables of the unit.
    binary : tuple of float
        Share of them that are decided.
    hard_start, hard_end : float
        Loss on the whole calibration set with weights rounded for good, as the phase starts and of
        what it returned. AdaRound starts at nearest rounding (ties up), so this pair says what
        learning was worth. Measured on the inputs the phase learns from.
    kept_start : bool
        True where `keep_best` returned the start because learning had made it no better.
    """

    phase: int
    unit: str
    steps: tuple[int, ...]
    loss: tuple[float, ...]
    penalty: tuple[float, ...]
    beta: tuple[float, ...]
    rounded: int
    binary: tuple[float, ...]
    hard_start: float
    hard_end: float
    kept_start: bool
