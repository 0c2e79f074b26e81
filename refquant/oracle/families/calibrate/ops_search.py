"""Descriptions of the step searches, of the alternating fit, and of the first steps of LSQ."""

from typing import Any

from refquant.calibrate import lsq_init as library_lsq
from refquant.calibrate.lloyd import lloyd
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.qparams import DIVISORS
from refquant.calibrate.spaces import SEARCHES
from refquant.oracle.exact import calibrate as twin
from refquant.oracle.exact import real
from refquant.oracle.families.calibrate import plain_search as plain
from refquant.oracle.families.calibrate.shared import (
    AXIS,
    BITS,
    GRID,
    STEP,
    X,
    by_row,
    per_index,
)
from refquant.oracle.nested import rows
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import Grid, make_qparams

Numbers = dict[str, Any]
SCORE = Tensor("score", "float", "() or (c,)", "the error of the chosen candidate")
PLUS = Attr(
    "divisor", "paper", "weights: 2^(bits-1), or 2^bits", library_lsq.PLUS_DIVISORS, dialect=True
)


def _mse(inputs: Inputs, attrs: Attrs) -> Arrays:
    rule = MseSearch(attrs["id"], attrs["p"], attrs["divisor"])
    grid = Grid(attrs["grid"], attrs["bits"])
    found, score = mse_search(inputs["x"], grid, rule, attrs["axis"])
    answers = {"s": found.step, "zero_point": found.zero_point, "score": score}
    return {name: per_index(value) for name, value in answers.items()}


def _mse_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    def one(row: list[Any]) -> Any:
        p = real.literal(SEARCHES[attrs["id"]].p, row[0]) if attrs["p"] is None else attrs["p"]
        return twin.mse_search(row, attrs["id"], grid, p, attrs["divisor"])

    grid = attrs["grid"], attrs["bits"]
    return by_row(numbers["x"], attrs["axis"], ("s", "zero_point", "score"), one)


def _lloyd(inputs: Inputs, attrs: Attrs) -> Arrays:
    w, axis = inputs["w"], attrs["axis"]
    shape = [1] * w.ndim if axis is not None else []
    if axis is not None:
        shape[axis] = -1
    start = make_qparams(inputs["s0"].reshape(shape), 0, Grid(attrs["grid"], attrs["bits"]))
    found, errors = lloyd(w, start, attrs["iters"], axis)
    return {"s": per_index(found.step), "errors": errors}


def _lloyd_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    axis, how = attrs["axis"], (0, (attrs["grid"], attrs["bits"]), attrs["iters"])
    if axis is None:
        step, errors = twin.lloyd(rows(numbers["w"], None)[0], numbers["s0"], *how)
        return {"s": step, "errors": errors}
    pairs = zip(rows(numbers["w"], axis), numbers["s0"], strict=True)
    found = [twin.lloyd(row, s0, *how) for row, s0 in pairs]
    by_update = zip(*(errors for _, errors in found), strict=True)
    return {"s": [step for step, _ in found], "errors": [list(errors) for errors in by_update]}


def _lsq(inputs: Inputs, attrs: Attrs) -> Arrays:
    grid = Grid(attrs["grid"], attrs["bits"])
    return {"s": per_index(library_lsq.lsq_init(inputs["x"], grid, attrs["axis"]).step)}


def _lsq_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    one = lambda row: (twin.lsq_init(row, attrs["grid"], attrs["bits"]),)  # noqa: E731
    return by_row(numbers["x"], attrs["axis"], ("s",), one)


def _plus(inputs: Inputs, attrs: Attrs) -> Arrays:
    if attrs["of"] == "weights":
        grid = Grid("signed", attrs["bits"])
        found = library_lsq.lsq_plus_init(inputs["x"], grid, attrs["divisor"], attrs["axis"])
        return {"s": per_index(found.step)}
    given = inputs["x"], Grid("unsigned", attrs["bits"]), attrs["p"], attrs["steps"]
    s, o, score = library_lsq.lsq_plus_activations(*given, attrs["axis"])
    return {"s": per_index(s), "o": per_index(o), "score": per_index(score)}


def _plus_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    bits, axis = attrs["bits"], attrs["axis"]
    if attrs["of"] == "weights":
        weights = lambda row: (twin.lsq_plus_init(row, bits, attrs["divisor"]),)  # noqa: E731
        return by_row(numbers["x"], axis, ("s",), weights)
    how = bits, attrs["p"], attrs["steps"]
    activations = lambda row: twin.lsq_plus_activations(row, *how)  # noqa: E731
    return by_row(numbers["x"], axis, ("s", "o", "score"), activations)


OPS = (
    Op(
        name="mse_search",
        says="The first of a list of steps and zero points whose error is the smallest.",
        formula="score = mean (fro: sum) over a row of |s k - x|^p,\n"
        "  k = clip(rint(x / s), lowest code - z, highest code - z)\n"
        "lo, hi: smallest and largest x of the row;  candidates in this order of f:\n"
        "shrink80, mq80, mq95, omse: ranges (lo f, hi f), f = 1, 0.99, 0.98 ..: 80, 80, 95, 90\n"
        "  of them, omse on signed and narrow grids 50\n"
        "grid100_1d, fro: f = 0.01, 0.02 .. 1, T = max|x|: ranges (-T f, T f), but the lower end\n"
        "  is 0 unless lo < 0, the upper end unless hi > 0\n"
        "ifmr: f = 0.70, 0.71 .. 1.30: ranges (a f, b f), on the affine grid (a, b f), where\n"
        "  a, b are lo, hi of percentile_range, rule ppq, q = 0.999999\n"
        "s, z of a range: range_to_qparams, eps = 1e-8;  but shrink80 on the affine grid:\n"
        "  s = max((hi f - lo f) / (2^bits - 1), 1e-8), z = -rint(lo f / s), not clipped\n"
        "grid100_2d: f as in grid100_1d, s = max((hi - lo) f / (2^bits - 1), 1e-8), each s with\n"
        "  z = 0 .. 2^bits - 1 in turn;  as grid100_1d unless lo < 0 < hi;  affine grid alone\n"
        "fro: signed and narrow grids alone",
        inputs=(X,),
        outputs=(
            STEP,
            Tensor("zero_point", "int", "() or (c,)", "the code of 0; 0 unless the grid is affine"),
            SCORE,
        ),
        attrs=(
            Attr("id", "grid100_1d", "which candidates", tuple(SEARCHES), dialect=True),
            BITS,
            GRID,
            AXIS,
            Attr("p", None, "the exponent; none: 2.4 for shrink80, grid100_1d, grid100_2d, else 2"),
            Attr("divisor", "half_span", "as of range_to_qparams", DIVISORS, dialect=True),
        ),
        clauses=("3.2", "D3", "C17", "C22", "P82"),
        reference=_mse,
        twin=_mse_twin,
        plain=plain.MSE_SEARCH,
    ),
    Op(
        name="lloyd_scale",
        says="Alternate between the codes for a step and the best step for the codes.",
        formula="q = clip(rint(w / s), n, p);  s = <w, q> / <q, q>;  iters times\n"
        "n, p: ends of the codes;  where all q are 0, s stays as it is\n"
        "errors[k] = sum of (s q - w)^2 at the s after k updates, and its q",
        inputs=(
            Tensor("w", "float", "any", "the weights"),
            Tensor("s0", "float", "() or (c,)", "the first step"),
        ),
        outputs=(
            STEP,
            Tensor("errors", "float", "(iters + 1,) or (iters + 1, c)", "squared errors"),
        ),
        attrs=(BITS, GRID, AXIS, Attr("iters", 20, "updates")),
        clauses=("3.2", "C19", "P45"),
        reference=_lloyd,
        twin=_lloyd_twin,
        plain=plain.LLOYD_SCALE,
    ),
    Op(
        name="lsq_init",
        says="The first step of LSQ.",
        formula="s = max(2 mean|x| / sqrt(p), 1e-8);  p: the largest code, before any zero point",
        inputs=(X,),
        outputs=(STEP,),
        attrs=(BITS, GRID, AXIS),
        clauses=("3.4", "2.1"),
        reference=_lsq,
        twin=_lsq_twin,
        plain=plain.LSQ_INIT,
    ),
    Op(
        name="lsqplus_init",
        says="The first step of LSQ+, and for activations its offset.",
        formula="weights: s = max(|mu - 3 sd|, |mu + 3 sd|) / 2^(bits-1), or (mqbench) / 2^bits;\n"
        "  either at least 1e-8;  sd the population's\n"
        "activations: s = max((max - min) f / (2^bits - 1), 1e-8), o = min f for f = 1 - 0.01 i,\n"
        "  i < steps, 0 not forced in: the first smallest mean of\n"
        "  |s clip(rint((x - o) / s), 0, 2^bits - 1) + o - x|^p",
        inputs=(X,),
        outputs=(
            STEP,
            Tensor("o", "float", "() or (c,)", "activations alone: the value of code 0", True),
            Tensor("score", "float", "() or (c,)", "activations alone: that mean", True),
        ),
        attrs=(
            Attr("of", "weights", "what is quantized", ("weights", "activations")),
            BITS,
            AXIS,
            PLUS,
            Attr("p", 2.0, "activations: the exponent"),
            Attr("steps", 80, "activations: candidates, at most 100"),
        ),
        clauses=("3.4", "D6", "C5"),
        reference=_plus,
        twin=_plus_twin,
        plain=plain.LSQPLUS_INIT,
    ),
)
