"""One call for every calibrator: a rule is data, and the data decide.

Reference: methods, section 3. A rule is a frozen dataclass beside the function it calls, so that
a setting can hold, print and hash it.

    rule                function                      grids                  also returned there
    MinMax              range_to_qparams of minmax    all                    --
    Percentile          the same of percentile_range  all                    --
    PercentileSearch    percentile_search             all                    score
    MseSearch           mse_search                    by search              score
    Lloyd               lloyd from the MinMax step    all                    errors
    KlAmct, KlTrt       kl_amct, kl_trt               signed, narrow         divergence
    LsqInit             lsq_init, lsq_plus_init       all; signed, narrow    --
    LsqPlusSearch       lsq_plus_activations          affine                 offset, score
    OverBatches         over_batches                  as the rule inside     --

`OverBatches` is for activations alone, whose first axis has samples. One rule asks for more than
the tensor, and is a rule of weights alone: `sequential`.

`LsqPlusSearch` finds a real offset, whose nearest code is the zero point here; one beyond the codes
takes the end. `LsqPlusActivations` starts at the offset itself.

Edge cases: a zero channel gets the floor 1e-8 of section 3 from all rules but the two KL rules,
which give 1. A tensor that is empty or not finite is refused.
"""

import numpy as np

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.calibrate.kl_amct import KlAmct, kl_amct
from refquant.calibrate.kl_trt import KlTrt, kl_trt
from refquant.calibrate.lloyd import Lloyd, lloyd
from refquant.calibrate.lsq_init import (
    LsqInit,
    LsqPlusSearch,
    lsq_init,
    lsq_plus_activations,
    lsq_plus_init,
)
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.over_batches import OverBatches, over_batches
from refquant.calibrate.percentile import Percentile, percentile_range
from refquant.calibrate.percentile_search import PercentileSearch, percentile_search
from refquant.calibrate.qparams import range_to_qparams
from refquant.calibrate.ranges import MinMax, scaled_minmax
from refquant.calibrate.rows import check_kind, check_rule, check_tensor
from refquant.calibrate.spaces import SEARCHES
from refquant.quantizers.grid import KINDS, Grid, QParams, make_qparams

Rule = (
    MinMax
    | Percentile
    | PercentileSearch
    | MseSearch
    | Lloyd
    | KlAmct
    | KlTrt
    | LsqInit
    | LsqPlusSearch
)
ActivationRule = Rule | OverBatches
SYMMETRIC = ("signed", "narrow")


def grids_of(rule: ActivationRule) -> tuple[str, ...]:
    """Return the kinds of grids that a rule is defined on."""
    match rule:
        case OverBatches():
            return grids_of(rule.rule)
        case KlAmct() | KlTrt() | LsqInit("lsq_plus" | "mqbench"):
            return SYMMETRIC
        case MseSearch() if SEARCHES[rule.id].symmetric_only:
            return SYMMETRIC
        case MseSearch() if SEARCHES[rule.id].family == "plane":
            return ("affine",)
        case LsqPlusSearch():
            return ("affine",)
    return KINDS


def check_grid_of(function: str, rule: ActivationRule, kind: str) -> None:
    """Refuse a rule on a kind of grid that it is not defined on, with a ValueError."""
    if kind not in grids_of(rule):
        got, expected = f"{rule} on the {kind} grid", " or ".join(grids_of(rule))
        fix = f"Use grid={grids_of(rule)[0]!r}, or another rule."
        raise ValueError(complaint(function, "calibration", got, f"the grid {expected}", fix))


def calibrate(x: Array, rule: ActivationRule, grid: Grid, axis: int | None = None) -> QParams:
    """The step and zero point that a rule gives for a tensor.

    Parameters
    ----------
    x : Array
        float32 or float64, finite, any shape: a weight, or all calibration activations.
    rule : Rule or OverBatches
        Which calibrator, with its options.
    grid : Grid
        The codes.
    axis : int or None
        None: one step for the tensor. 0: one for each index of the first axis, in the shape
        (c, 1, .., 1). Other axes work alike.

    Returns
    -------
    QParams
        In the dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not a float32 or float64 array, `grid` not a Grid, or `rule` not one of the
        rules.
    ValueError
        If `x` is empty or not finite, has no such axis, or the rule is not defined on the grid;
        if batches are asked for beside an axis.
    """
    check_tensor("calibrate", "x", x, axis)
    check_kind("calibrate", "grid", grid, Grid)
    check_rule("calibrate", "rule", rule, ActivationRule)
    if isinstance(rule, OverBatches):
        if axis is not None:
            fix = "Use the rule inside."
            raise ValueError(complaint("calibrate", "axis", axis, "None with batches", fix))
        return over_batches(x, rule, grid)
    return _by_rule(x, rule, grid, axis)


def _by_rule(x: Array, rule: Rule, grid: Grid, axis: int | None) -> QParams:
    match rule:
        case MinMax():
            return _from_minmax(x, rule, grid, axis)
        case Percentile():
            lo, hi = percentile_range(x, rule.q, rule.rule, axis)
            return range_to_qparams(lo, hi, grid, rule.divisor)
        case PercentileSearch():
            return percentile_search(x, grid, rule, axis)[0]
        case MseSearch():
            return mse_search(x, grid, rule, axis)[0]
        case Lloyd():
            start = _from_minmax(x, MinMax(rule.divisor), grid, axis)
            return lloyd(x, start, rule.iters, axis)[0]
        case KlAmct():
            return kl_amct(x, grid, rule, axis)[0]
        case KlTrt():
            return kl_trt(x, grid, rule, axis)[0]
        case LsqInit():
            return _from_moments(x, rule, grid, axis)
        case LsqPlusSearch():
            return _from_offset(x, rule, grid, axis)


def _from_minmax(x: Array, rule: MinMax, grid: Grid, axis: int | None) -> QParams:
    """The min-max step, after BRECQ's factor (b + 2) / 8 if the rule asks for it."""
    return range_to_qparams(*scaled_minmax(x, rule, grid.bits, axis), grid, rule.divisor)


def _from_moments(x: Array, rule: LsqInit, grid: Grid, axis: int | None) -> QParams:
    """LSQ's or LSQ+'s first step."""
    if rule.variant == "lsq":
        return lsq_init(x, grid, axis)
    divisor = "paper" if rule.variant == "lsq_plus" else "mqbench"
    return lsq_plus_init(x, grid, divisor, axis)


def _from_offset(x: Array, rule: LsqPlusSearch, grid: Grid, axis: int | None) -> QParams:
    """LSQ+'s first step of activations, and the code nearest to 0."""
    check_in("calibrate", "grid.kind", grid.kind, ("affine",))
    step, offset, _ = lsq_plus_activations(x, grid, rule.p, rule.steps, axis)
    zero = np.clip(-np.rint(offset / step), grid.code_min, grid.code_max)
    return make_qparams(step, zero.astype(np.int64), grid)
