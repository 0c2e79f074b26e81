"""Rounding by flips: A-rounding and SQuant, right and wrong."""

import math

import numpy as np


def half_away(x):
    """Whole number nearest to a positive one, halves up."""
    return math.floor(x + 0.5)


def by_size(r, allowed, bug):
    """Indices of the allowed elements, largest |r| first, of equal ones the first."""
    found = np.flatnonzero(allowed)
    if bug == "last_tie":
        found = found[::-1]
    return found[np.argsort(-np.abs(r[found]), kind="stable")]


def channel_stage(u, q, r, low, high, bug):
    """Flip in one channel, in place; its offer (element, direction, |r|) or None."""
    total = math.fsum(r)
    if total == 0:
        if bug == "balanced_offers":
            turn = -1.0 if r[0] >= 0 else 1.0
            return 0, turn, abs(r[0])
        return None
    turn = -1.0 if total > 0 else 1.0
    allowed = r * turn < 0
    if bug != "past_the_end":
        allowed &= (u > low) if turn < 0 else (u < high)
    order = by_size(r, allowed, bug)
    count = half_away(abs(total)) if bug == "half_away" else round(abs(total))
    taken = order[:count]
    before = np.abs(r)
    q[taken] += turn
    r[taken] = q[taken] - u[taken]
    reached = taken.size >= abs(total)
    if bug == "exact_goes_on":
        reached = taken.size > abs(total)
    if taken.size and reached:
        last, turn = taken[-1], -turn
    elif order.size > taken.size:
        last = order[taken.size]
    else:
        return None
    return last, turn, before[last] if bug == "stale_error" else abs(r[last])


def flip_vector(u, low, high, vector=True, bug=""):
    """Levels before the clip and their errors, for one vector of (channels, elements)."""
    if bug == "clipped_first":
        u = np.clip(u, low, high)
    finite = np.isfinite(u)
    safe = np.where(finite, u, 0.0)
    q = np.rint(safe)
    r = q - safe
    offers = []
    for i in range(u.shape[0]):
        offer = channel_stage(safe[i], q[i], r[i], low, high, bug)
        if offer is not None:
            offers.append((i, *offer))
    if vector:
        total = math.fsum(r.ravel())
        count = half_away(abs(total)) if bug == "half_away" else round(abs(total))
        if bug == "sum_of_magnitudes":
            count = round(sum(abs(math.fsum(row)) for row in r))
        against = [o for o in offers if o[2] * total < 0]
        if bug == "last_tie":
            against = against[::-1]
        against.sort(key=lambda o: -o[3])
        if bug == "one_offer":
            count = min(count, 1)
        for i, j, turn, _ in against[:count]:
            q[i, j] += turn
            r[i, j] = q[i, j] - safe[i, j]
    q = np.where(finite, q, np.where(u > 0, high, np.where(u < 0, low, 0.0)))
    return q, r


def a_rounding(inputs, attrs, bug=""):
    """Round to nearest, then flip a few elements so that errors cancel."""
    u = np.asarray(inputs["u"], np.float64)
    low, high = float(attrs["n"]), float(attrs["p"])
    q, r = np.empty_like(u), np.empty_like(u)
    for i in range(u.shape[0]):
        q[i], r[i] = flip_vector(u[i], low, high, True, bug)
    levels = np.clip(q, low, high)
    if bug == "error_after_clip":
        r = np.where(np.isfinite(u), levels - np.where(np.isfinite(u), u, 0.0), 0.0)
    return {"q": levels.astype(np.int64), "r": r}


def squant_weight(inputs, attrs, bug=""):
    """Round weights so that errors cancel in each kernel and filter."""
    w = np.asarray(inputs["w"], np.float64)
    top = 2 ** int(attrs["bits"]) - 1
    flat = w.reshape(w.shape[0], -1)
    least, most = flat.min(axis=1), flat.max(axis=1)
    if bug != "range_without_zero":
        least, most = np.minimum(least, 0.0), np.maximum(most, 0.0)
    if bug == "one_range":
        least, most = np.full_like(least, least.min()), np.full_like(most, most.max())
    s = np.maximum((most - least) / top, 1e-5 if bug == "large_floor" else 1e-8)
    zero = np.clip(-np.rint(least / s), 0, top)
    if bug == "zero_half_up":
        zero = np.clip(np.floor(-least / s + 0.5), 0, top)
    kernel, channel = bool(attrs["kernel"]), bool(attrs["channel"])
    if bug == "channel_means_both" and channel:
        kernel = True
    elif bug == "kernel_means_both" and kernel:
        channel = True
    codes = np.empty_like(w)
    for i in range(w.shape[0]):
        u = w[i] / s[i]
        low, high = -zero[i], top - zero[i]
        ends = (0.0, float(top)) if bug == "ends_not_shifted" else (low, high)
        if kernel:
            q, _ = flip_vector(u, *ends, channel)
        elif channel:
            q, _ = flip_vector(u.reshape(1, -1), *ends, False)
        else:
            q = np.rint(u)
        q = q.reshape(u.shape)
        if bug == "wrapped_byte":
            codes[i] = np.clip((q + zero[i]).astype(np.int64).astype(np.uint8), 0, top)
        else:
            codes[i] = np.clip(q, low, high) + zero[i]
    return {"codes": codes.astype(np.int64), "s": s, "zero_point": zero.astype(np.int64)}


OPS = {"a_rounding": a_rounding, "squant_weight": squant_weight}

BUGS = [
    ("a_rounding", "last_tie", "takes the last of equal |r| first"),
    ("a_rounding", "half_away", "rounds the sums half away from 0, one flip too many at ties"),
    ("a_rounding", "balanced_offers", "lets a channel without error offer its first element"),
    ("a_rounding", "past_the_end", "flips elements past n and p, where the clip undoes it"),
    ("a_rounding", "exact_goes_on", "offers the next element where the flips just reach |S|"),
    ("a_rounding", "stale_error", "sorts the offers by |r| as it was before the flips"),
    ("a_rounding", "sum_of_magnitudes", "counts the flips of a vector by the sum of |S_i|"),
    ("a_rounding", "one_offer", "takes at most one offer for each vector"),
    ("a_rounding", "clipped_first", "clips u to the grid before it takes errors"),
    ("a_rounding", "error_after_clip", "returns the error of the clipped level"),
    ("squant_weight", "range_without_zero", "leaves 0 out of the range of a filter"),
    ("squant_weight", "one_range", "takes one range for all filters"),
    ("squant_weight", "large_floor", "floors the steps at 1e-5"),
    ("squant_weight", "zero_half_up", "rounds ties of the zero point up"),
    ("squant_weight", "channel_means_both", "runs the kernel stage where channel stands alone"),
    ("squant_weight", "kernel_means_both", "runs the channel stage where kernel stands alone"),
    ("squant_weight", "ends_not_shifted", "passes over flips at codes 0 and top, not at n and p"),
    ("squant_weight", "wrapped_byte", "casts codes to bytes before the clip, so that 256 is 0"),
]
