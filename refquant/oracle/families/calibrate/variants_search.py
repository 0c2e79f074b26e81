"""Wrong step searches, alternating fits and first steps."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.calibrate import plain_search as plain
from refquant.oracle.families.fake_quant.plain_uniform import code_range
from refquant.oracle.op import Attrs, Variant


def replaced(search: str, other: Array) -> dict[str, Any]:
    """Other factors for one search."""
    return {"factors": lambda name, sym: other if name == search else plain.factors(name, sym)}


def one_off(name: str, symmetric: bool) -> Array:
    """i from 0 to 99 instead of 1 to 100; the other lists end one early."""
    f: Array = plain.factors(name, symmetric)
    return np.asarray(f - 0.01 if name in ("grid100_1d", "grid100_2d", "fro") else f[:-1])


def largest_first(lo: Array, hi: Array) -> Array:
    """max(x), which misses a larger -min(x)."""
    return np.asarray(np.maximum(hi, 0) + 0 * lo)


def floor_levels(u: Array, z: Array, n: int, p: int) -> Array:
    """floor in place of rint."""
    return np.clip(np.floor(u), n - z, p - z)


def guarded(lo: Array, hi: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """Steps at the floor become 1."""
    s, z = plain.place(lo, hi, attrs, part)
    return np.where(s <= plain.EPS, s.dtype.type(1), s), z


def last_left_out(row: Array, f: Array, attrs: Attrs, part: Any) -> tuple[Array, Array]:
    """Without the last zero point."""
    s, z = plain.plane(row, f, attrs, part)
    tried = z < z.max()
    return s[tried], z[tried]


def fit_of_32_bits(w: Array, q: Array, s: Array) -> Array:
    """<w, q> / <q, q>, the divisor in 32 bits."""
    square = (q * q).sum().astype(np.int64).astype(np.int32)
    return np.asarray((w * q).sum() / square.astype(w.dtype) if square else s)


def unclipped(u: Array, z: Array, n: int, p: int) -> Array:
    """Without a clip."""
    return np.rint(u)


MSE = (
    Variant("mse_search", "square_for_all", "Errors are squared whatever the search's exponent.",
            "a mean squared error, as the name says", {"exponent": lambda search: 2.0}),
    Variant("mse_search", "absolute_error", "Magnitudes of errors are added, not their powers.",
            "an L1 loss", {"total": lambda e, s: plain.total(np.sqrt(e), s)}),
    Variant("mse_search", "largest_error", "The search keeps the worst candidate.",
            "argmax in place of argmin", {"choose": lambda score: int(score.argmax())}),
    Variant("mse_search", "first_kept", "The first candidate is returned whatever follows.",
            "vllm-project/llm-compressor#2094", {"choose": lambda score: 0}),
    Variant("mse_search", "last_of_equal", "Of equal candidates the last is returned.",
            "<= in place of <",
            {"choose": lambda score: int(score.size - 1 - score[::-1].argmin())}),
    Variant("mse_search", "last_zero_point_left_out", "The zero point 2^b - 1 is not tried.",
            "range(2^b - 1)", {"plane": last_left_out}),
    Variant("mse_search", "mean_for_fro", "The score of fro is a mean.",
            "the score of the other searches", {"total": lambda e, s: plain.total(e, "mq80")}),
    Variant("mse_search", "sum_for_mean", "Scores are sums over the row.",
            "the Frobenius norm", {"total": lambda e, s: plain.total(e, "fro")}),
    Variant("mse_search", "axis_ignored", "One step is taken for all rows.",
            "openppl-public/ppq#339", {"rows": lambda x, axis: np.broadcast_to(
                x.reshape(1, -1), (1 if axis is None else x.shape[axis], x.size))}),
    Variant("mse_search", "factors_off_by_one", "The list of candidates is one off.",
            "range(100) in place of range(1, 101)", {"factors": one_off}),
    Variant("mse_search", "errors_not_clipped", "Candidates are scored without clipping.",
            "the range taken for the clip", {"levels": unclipped}),
    Variant("mse_search", "scored_by_floor", "Candidates are scored with floor.",
            "a cast to integers", {"levels": floor_levels}),
    Variant("mse_search", "top_from_maximum", "The threshold ignores negative values.",
            "AdaBM starts symmetric weights from max(w)", {"top": largest_first}),
    Variant("mse_search", "zero_always_forced", "shrink80 forces 0 into its ranges.",
            "the rule of the other searches", {"forces_zero": lambda search: True}),
    Variant("mse_search", "zero_never_forced", "0 is not forced into the ranges.",
            "BRECQ's rule used for all searches", {"forces_zero": lambda search: False,
                                                  "clips_zero": lambda search: False}),
    Variant("mse_search", "ifmr_from_maximum_of_magnitudes", "ifmr shrinks both ends about 0.",
            "one threshold for both signs", {"ends": lambda row, search, symmetric: (
                (-np.abs(row).max(), np.abs(row).max()) if search == "ifmr"
                else plain.ends(row, search, symmetric))}),
    Variant("mse_search", "floor_of_steps_zero", "A row of zeros gets the step 1.",
            "a guard against division", {"place": guarded}),
    Variant("mse_search", "sides_of_all_rows", "Whether data have one sign is asked of all rows.",
            "QDrop judges the whole tensor", {"two_sided": lambda row, rows: bool(
                rows.min() < 0 < rows.max())}),
)  # fmt: skip
LLOYD = (
    Variant("lloyd_scale", "fit_inverted", "The step is <q, q> / <w, q>: the other regression.",
            "numerator and denominator exchanged",
            {"fit": lambda w, q, s: (q * q).sum() / (w * q).sum() if q.any() else s}),
    Variant("lloyd_scale", "fit_by_weights", "The step is <w, w> / <w, q>.",
            "the regression of q on w",
            {"fit": lambda w, q, s: (w * w).sum() / (w * q).sum() if q.any() else s}),
    Variant("lloyd_scale", "one_update_more", "One update too many is made.",
            "the step returned is that after the last error",
            {"updates": lambda iters: iters + 1}),
    Variant("lloyd_scale", "one_update_less", "One update too few is made.",
            "a loop from 1", {"updates": lambda iters: max(iters - 1, 0)}),
    Variant("lloyd_scale", "squares_of_32_bits", "<q, q> wraps around beyond 2^31.",
            "an accumulator of int32", {"fit": fit_of_32_bits}),
    Variant("lloyd_scale", "mean_error", "The errors are means.",
            "the mean squared error", {"error": lambda e: (e * e).mean()}),
    Variant("lloyd_scale", "codes_not_clipped", "Codes are not clipped.",
            "the grid forgotten in the loop", {"codes": lambda u, n, p: np.rint(u)}),
    Variant("lloyd_scale", "narrow_grid", "The lowest code is not used.",
            "microsoft/onnxruntime#3442", {"codes": lambda u, n, p: np.clip(np.rint(u), -p, p)}),
    Variant("lloyd_scale", "step_of_zero_codes_lost", "Where all codes are 0 the step becomes 0.",
            "a guard that divides by at least 1",
            {"fit": lambda w, q, s: (w * q).sum() / max((q * q).sum(), 1)}),
)  # fmt: skip
LSQ = (
    Variant("lsq_init", "not_doubled", "The factor 2 is missing.",
            "a forgotten factor", {"two": 1}),
    Variant("lsq_init", "mean_of_values", "The mean of the values is taken, not of magnitudes.",
            "abs left out", {"mean": lambda rows: np.abs(rows.mean(axis=1))}),
    Variant("lsq_init", "root_mean_square", "The root of the mean square is taken.",
            "the norm in place of the mean",
            {"mean": lambda rows: np.sqrt((rows**2).mean(axis=1))}),
    Variant("lsq_init", "p_of_signed_grid", "p is 2^(bits-1) - 1 on every grid.",
            "p of weights used for activations",
            {"largest": lambda grid, bits: 2 ** (bits - 1) - 1}),
    Variant("lsq_init", "p_from_magnitude", "p is 2^(bits-1) on signed grids.",
            "|n| in place of p",
            {"largest": lambda grid, bits: code_range(grid, bits)[1] + (grid == "signed")}),
    Variant("lsq_init", "no_smallest_step", "Rows of zeros have the step 0.",
            "a guard left out", {"guarded": lambda s: s}),
    Variant("lsqplus_init", "last_candidate_left_out", "The last range is not tried.",
            "range(1, steps)", {"shrunk": lambda row, attrs, part: plain.shrunk(
                row, {**attrs, "steps": max(attrs["steps"] - 1, 1)}, part)}),
    Variant("lsqplus_init", "sample_deviation", "The deviation divides by N - 1.",
            "torch.std is unbiased by default",
            {"deviation": lambda rows: rows.std(axis=1, ddof=1)}),
    Variant("lsqplus_init", "upper_side_only", "Only mu + 3 sd is looked at.",
            "a forgotten side", {"reach": lambda mu, spread: np.abs(mu + spread)}),
    Variant("lsqplus_init", "two_sigmas", "Two deviations are taken.",
            "another constant", {"sigmas": 2}),
    Variant("lsqplus_init", "divisors_exchanged",
            "The divisors 2^(bits-1) and 2^bits are exchanged.",
            "ModelTC/MQBench: LSQPlusObserver divides by 2^bits",
            {"halves": {"paper": lambda b: 2**b, "mqbench": lambda b: 2 ** (b - 1)}}),
    Variant("lsqplus_init", "offset_not_subtracted",
            "The offset is not subtracted before rounding.",
            "a forgotten term", {"shifted": lambda row, lo: row + 0 * lo}),
    Variant("lsqplus_init", "no_search", "The first range is taken for activations.",
            "min-max in place of the search",
            {"shrunk": lambda row, attrs, part: plain.shrunk(row, {**attrs, "steps": 1}, part)}),
)  # fmt: skip
VARIANTS = (*MSE, *LLOYD, *LSQ)
