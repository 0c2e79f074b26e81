"""Searches over discrete choices: QUBO descent, layer loss, bit allocation, A-rounding, SQuant."""

import itertools
import math

import numpy as np


def qubo_1flip(inputs, attrs, bug=""):
    """Flip the variable that lowers h^T Q h most, until no flip lowers it."""
    q = np.asarray(inputs["q"], float)
    h = np.array(inputs["h0"], dtype=int)
    off = q - np.diag(np.diag(q))
    while True:
        weight = 1 if bug == "pairs_once" else 2
        d = (1 - 2 * h) * (np.diag(q) + weight * off @ h)
        if d.min() >= 0:
            break
        i = int(np.argmin(d))
        if bug == "first_improving":
            i = int(np.argmax(d < 0))
        h[i] = 1 - h[i]
    energy = h @ q @ h
    if bug == "triangle":
        energy = h @ np.triu(q) @ h
    return {"h": h.astype(np.int32), "energy": np.float64(energy)}


def gram_loss(inputs, attrs, bug=""):
    """Give tr((w - w_hat) gram (w - w_hat)^T)."""
    d = np.asarray(inputs["w"], float) - np.asarray(inputs["w_hat"], float)
    gram = np.asarray(inputs["gram"], float)
    if bug == "diagonal":
        gram = np.diag(np.diag(gram))
    rows = np.sum((d @ gram) * d, axis=1)
    return {"loss": rows.mean() if bug == "mean_of_outputs" else rows.sum()}


def bit_alloc_exact(inputs, attrs, bug=""):
    """Choose one width for each layer by trying all choices."""
    loss = np.asarray(inputs["loss"], float)
    size = np.asarray(inputs["size"], float)
    budget = float(inputs["budget"])
    layers = np.arange(len(loss))
    best = None
    for choice in itertools.product(range(loss.shape[1]), repeat=len(loss)):
        now = (math.fsum(loss[layers, choice]), math.fsum(size[layers, choice]), choice)
        fits = now[1] < budget if bug == "budget_open" else now[1] <= budget
        if not fits:
            continue
        if bug == "smaller_of_equals":
            better = best is None or now[:2] < best[:2]
        elif bug == "last_of_equals":
            better = best is None or now[0] <= best[0]
        else:
            better = best is None or now[0] < best[0]
        if better:
            best = now
    if best is None:
        best = (loss[:, 0].sum(), size[:, 0].sum(), (0,) * len(loss))
    total_loss, total_size, choice = best
    return {
        "choice": np.array(choice, np.int32),
        "total_loss": np.float64(total_loss),
        "total_size": np.float64(total_size),
    }


def _start(u, n, p):
    """Round to nearest: levels, errors, and where u is finite."""
    finite = np.isfinite(u)
    q = np.rint(np.where(finite, u, 0.0))
    r = np.where(finite, q - np.where(finite, u, 0.0), 0.0)
    q = np.where(u == np.inf, p, np.where(u == -np.inf, n, q))
    return q, r


def _flip(q, r, i, step):
    """Move element i by one level."""
    q[i] += step
    r[i] += step


def _channel_stage(u, q, r, n, p, bug):
    """Flip until the sum of a channel is small; return the offer (index, step) or None."""
    total = math.fsum(r)
    if total == 0:
        return None
    step = -1 if total > 0 else 1
    kept = (u > n) if step < 0 else (u < p)
    if bug == "sum_of_candidates":
        total = math.fsum(r[kept])
    order = [i for i in np.argsort(-np.abs(r), kind="stable") if r[i] * step < 0 and kept[i]]
    count = int(np.rint(abs(total)))
    if bug == "half_up_count":
        count = math.floor(abs(total) + 0.5)
    count = 0 if bug == "offers_alone" else min(count, len(order))
    for i in order[:count]:
        _flip(q, r, i, step)
    over = count > abs(total) if bug == "exact_goes_on" else count >= abs(total)
    if count > 0 and over:
        return order[count - 1], -step
    return (order[count], step) if count < len(order) else None


def _a_round(u, n, p, vector=True, bug=""):
    """Round one vector (c, k): the channels, then the whole."""
    q, r = _start(u, n, p)
    first = np.abs(r)
    offers = [_channel_stage(u[i], q[i], r[i], n, p, bug) for i in range(len(u))]
    if not vector:
        return q, r
    total = math.fsum(r.ravel())
    count = abs(total)
    if bug == "absolute_sums":
        count = math.fsum(abs(math.fsum(row)) for row in r)
    size = first if bug == "ranks_first_errors" else np.abs(r)
    fit = [(i, *o) for i, o in enumerate(offers) if o and o[1] * total < 0]
    fit.sort(key=lambda o: -size[o[0], o[1]])
    for i, j, step in fit[: int(np.rint(count))]:
        _flip(q[i], r[i], j, step)
    return q, r


def a_rounding(inputs, attrs, bug=""):
    """Round to nearest, then flip a few elements so that errors cancel."""
    u = np.asarray(inputs["u"], float)
    n, p = attrs["n"], attrs["p"]
    q, r = np.zeros(u.shape), np.zeros(u.shape)
    for i, vector in enumerate(u):
        q[i], r[i] = _a_round(vector, n, p, bug=bug)
    return {"q": np.clip(q, n, p).astype(np.int32), "r": r}


def squant_weight(inputs, attrs, bug=""):
    """Round weights so that errors cancel in each kernel and filter."""
    w = np.asarray(inputs["w"], float)
    top = 2 ** attrs["bits"] - 1
    low, high = w.min(axis=(1, 2)), w.max(axis=(1, 2))
    if bug != "range_without_zero":
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    s = np.maximum((high - low) / top, 1e-8)
    zero_point = np.clip(-np.rint(low / s), 0, top)
    codes = np.zeros(w.shape)
    for i, filt in enumerate(w):
        u = filt / s[i]
        n, p = -zero_point[i], top - zero_point[i]
        ends = (0, top) if bug == "bans_by_codes" else (n, p)
        if attrs["kernel"]:
            q = _a_round(u, *ends, vector=attrs["channel"])[0]
        elif attrs["channel"] and bug == "offers_alone":
            q = _a_round(u, *ends, bug=bug)[0]
        elif attrs["channel"]:
            q = _a_round(u.reshape(1, -1), *ends, vector=False)[0].reshape(u.shape)
        else:
            q = np.rint(u)
        codes[i] = np.clip(q, n, p) + zero_point[i]
    return {
        "codes": codes.astype(np.int32),
        "s": s,
        "zero_point": zero_point.astype(np.int32),
    }


OPS = {
    "qubo_1flip": qubo_1flip,
    "gram_loss": gram_loss,
    "bit_alloc_exact": bit_alloc_exact,
    "a_rounding": a_rounding,
    "squant_weight": squant_weight,
}

BUGS = [
    ("qubo_1flip", "pairs_once", "ranks flips without the 2 before the pairs"),
    ("qubo_1flip", "first_improving", "flips the first index that lowers the energy at all"),
    ("qubo_1flip", "triangle", "sums the upper triangle, so each pair counts once"),
    ("gram_loss", "diagonal", "drops the cross terms of the second moments"),
    ("gram_loss", "mean_of_outputs", "averages over the outputs instead of summing"),
    ("bit_alloc_exact", "budget_open", "rejects a choice that meets the budget exactly"),
    ("bit_alloc_exact", "smaller_of_equals", "of equal losses takes the smaller size"),
    ("bit_alloc_exact", "last_of_equals", "of equal losses takes the last choice"),
    ("a_rounding", "half_up_count", "flips floor(|S| + 1/2) elements, one more at |S| = 1/2"),
    ("a_rounding", "exact_goes_on", "offers the next candidate where flips equal |S| exactly"),
    ("a_rounding", "absolute_sums", "counts the last flips by the sum of the |S_i|, as printed"),
    ("a_rounding", "ranks_first_errors", "ranks the offers by |r| before the flips"),
    ("a_rounding", "sum_of_candidates", "leaves what is passed over out of the channel's sum"),
    ("squant_weight", "range_without_zero", "takes the step of filters of one sign without 0"),
    ("squant_weight", "bans_by_codes", "passes over elements at 0 and 2^bits - 1, unshifted"),
    ("squant_weight", "offers_alone", "channel alone runs the last stage: a flip a kernel at most"),
]
