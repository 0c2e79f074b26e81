"""First steps and their refinement: right versions and wrong ones of a port."""

import numpy as np

from validation.blind.second.common import grid_ends


def _rows(x, axis):
    """Arrange as a row for each answer."""
    x = np.asarray(x, np.float64)
    if axis is None:
        return x.reshape(1, -1)
    return np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def _dot(a, b, bug):
    """Add up products, in a wrapping int32 accumulator if that is the mistake."""
    total = (a * b).sum(axis=1)
    if bug == "int32_dot":
        total = (np.mod(total + 2.0**31, 2.0**32) - 2.0**31).astype(np.float64)
    return total


def lloyd_scale(inputs, attrs, bug=""):
    """Alternate between the codes for a step and the best step for the codes."""
    axis, iters = attrs["axis"], attrs["iters"]
    w = _rows(inputs["w"], axis)
    s = np.array(inputs["s0"], np.float64).reshape(-1).copy()
    n, p = grid_ends(attrs["bits"], attrs["grid"])

    def codes(step):
        """Give the codes for steps."""
        return np.clip(np.rint(w / step[:, None]), n, p)

    def error(step, q):
        """Give the squared errors of rows."""
        return ((step[:, None] * q - w) ** 2).sum(axis=1)

    q = codes(s)
    errors = [error(s, q)]
    stopped = np.zeros(s.shape, bool)
    for k in range(iters):
        if bug == "one_update_short" and k > 0 and k == iters - 1:
            errors.append(errors[-1])
            break
        some = (q != 0).any(axis=1)
        energy = _dot(q, q, bug)
        with np.errstate(invalid="ignore", divide="ignore"):
            best = _dot(w, q, "") / energy
        if bug == "step_zero_without_codes":
            best = np.where(some, best, 0.0)
            some = np.ones_like(some)
        moves = some & ~stopped
        new = np.where(moves, best, s)
        with np.errstate(invalid="ignore", divide="ignore"):
            fresh = np.where(np.isfinite(w / new[:, None]), codes(new), 0.0)
        stopped = stopped | ~some | ((new == s) & (fresh == q).all(axis=1))
        if bug == "stops_together":
            stopped = np.broadcast_to(stopped.any(), stopped.shape)
        late = error(new, q) if bug == "error_of_old_codes" else error(new, fresh)
        s, q = new, fresh
        errors.append(np.where(stopped, 0.0, late) if bug == "pads_with_zeros" else late)
    errors = np.array(errors)
    if axis is None:
        return {"s": np.asarray(s[0]), "errors": errors[:, 0]}
    return {"s": s, "errors": errors}


def lsq_init(inputs, attrs, bug=""):
    """Give the first step of LSQ."""
    axis, bits = attrs["axis"], attrs["bits"]
    rows = _rows(inputs["x"], axis)
    p = grid_ends(bits, attrs["grid"])[1]
    if bug == "affine_as_signed" and attrs["grid"] == "affine":
        p = 2 ** (bits - 1) - 1
    elif bug == "half_range" and attrs["grid"] in ("signed", "narrow"):
        p = 2 ** (bits - 1)
    mean = np.abs(rows).mean(axis=1)
    if bug == "divides_by_all":
        mean = np.abs(rows).sum(axis=1) / rows.size
    elif bug == "float32_sum":
        with np.errstate(over="ignore"):
            mean = np.abs(rows).astype(np.float32).sum(axis=1, dtype=np.float32)
            mean = mean.astype(np.float64) / rows.shape[1]
    s = 2 * mean / np.sqrt(p)
    if bug == "eps_added":
        s = s + 1e-8
    elif bug != "no_smallest_step":
        s = np.maximum(s, 1e-8)
    return {"s": np.asarray(s if axis is not None else s[0])}


def _deviation(rows, bug):
    """Give the population's standard deviations of rows."""
    if bug == "sample_deviation" and rows.shape[1] > 1:
        return rows.std(axis=1, ddof=1)
    if bug == "float32_moments":
        r = rows.astype(np.float32)
        square = (r * r).mean(axis=1, dtype=np.float32) - r.mean(axis=1, dtype=np.float32) ** 2
        return np.sqrt(np.maximum(square, 0)).astype(np.float64)
    return rows.std(axis=1)


def _search_activations(row, bits, p, steps, bug):
    """Give the first step and offset of a row whose error is the smallest."""
    low, high = row.min(), row.max()
    top = 2**bits - 1
    best = None
    for i in range(steps):
        f = 1 - 0.01 * i
        s, o = (high - low) * f / top, low if bug == "offset_not_scaled" else low * f
        if bug == "divisor_for_activations":
            s = (high - low) * f / (top + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            v = np.where(row == o, 0.0, (row - o) / s)
        score = (np.abs(s * np.clip(np.rint(v), 0, top) + o - row) ** p).mean()
        if best is None or score < best[2]:
            best = (s, o, score)
    return best


def lsqplus_init(inputs, attrs, bug=""):
    """Give the first step of LSQ+, and for activations its offset."""
    axis, bits = attrs["axis"], attrs["bits"]
    rows = _rows(inputs["x"], axis)
    if attrs["of"] == "weights":
        mu, sd = rows.mean(axis=1), _deviation(rows, bug)
        reach = np.maximum(np.abs(mu - 3 * sd), np.abs(mu + 3 * sd))
        if bug == "upper_end_only":
            reach = np.abs(mu + 3 * sd)
        s = reach / 2 ** (bits if attrs["divisor"] == "mqbench" else bits - 1)
        return {"s": np.asarray(s if axis is not None else s[0])}
    p = 2.0 if bug == "exponent_ignored" else attrs["p"]
    steps = attrs["steps"]
    if bug == "one_step_short":
        steps = max(steps - 1, 1)
    if attrs["divisor"] != "mqbench" and bug == "divisor_for_activations":
        bug = ""
    found = np.array([_search_activations(row, bits, p, steps, bug) for row in rows])
    if axis is None:
        found = found[0]
    return {k: np.asarray(found[..., i]) for i, k in enumerate(("s", "o", "score"))}


OPS = {"lloyd_scale": lloyd_scale, "lsq_init": lsq_init, "lsqplus_init": lsqplus_init}
BUGS = [
    ("lloyd_scale", "error_of_old_codes", "errors[k] pairs the new step with the old codes"),
    ("lloyd_scale", "stops_together", "all channels stop when one does"),
    ("lloyd_scale", "step_zero_without_codes", "where q = 0 the step becomes 0"),
    ("lloyd_scale", "pads_with_zeros", "errors after a stop are 0"),
    ("lloyd_scale", "one_update_short", "the last update is left out"),
    ("lloyd_scale", "int32_dot", "<q, q> wraps at 2^31"),
    ("lsq_init", "affine_as_signed", "p of affine grids is 2^(b-1) - 1"),
    ("lsq_init", "half_range", "p of signed grids is 2^(b-1)"),
    ("lsq_init", "divides_by_all", "the mean divides by the size of x, not of a row"),
    ("lsq_init", "float32_sum", "the sum is taken in float32 and overflows"),
    ("lsq_init", "no_smallest_step", "rows of zeros give the step 0"),
    ("lsq_init", "eps_added", "1e-8 is added to every step"),
    ("lsqplus_init", "sample_deviation", "sd divides by N - 1"),
    ("lsqplus_init", "float32_moments", "sd from E x^2 - (E x)^2 in float32, which cancels"),
    ("lsqplus_init", "upper_end_only", "s is |mu + 3 sd|, right where mu >= 0"),
    ("lsqplus_init", "offset_not_scaled", "the offset stays at the minimum while s shrinks"),
    ("lsqplus_init", "divisor_for_activations", "mqbench's 2^bits also divides activations"),
    ("lsqplus_init", "exponent_ignored", "the exponent is 2"),
    ("lsqplus_init", "one_step_short", "the last candidate is not tried"),
]
