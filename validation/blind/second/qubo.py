"""Rounding as a quadratic problem, with wrong versions that an engineer could write."""

import numpy as np


def qubo_build(inputs, attrs, bug=""):
    """The rounding of one row of weights as a quadratic problem in 0 and 1."""
    w, x = np.asarray(inputs["w"], float), np.asarray(inputs["x"], float)
    s, z = float(inputs["s"]), int(inputs["zero_point"])
    bits, grid = int(attrs["bits"]), attrs["grid"]
    low, high = 0, 2**bits - 1
    if grid in ("signed", "narrow"):
        high = 2 ** (bits - 1) - 1
        low = -high if grid == "narrow" and bug != "narrow_as_signed" else -high - 1
    n, p = low - z, high - z
    u = w / s
    floor = np.floor(u)
    base = np.clip(floor, n, p)
    f = u - (floor if bug == "fraction_unclipped" else base)
    free = (floor >= n) & (floor < p)
    if bug == "free_at_top":
        free = (floor >= n) & (floor <= p)
    elif bug == "bottom_fixed":
        free = (floor > n) & (floor < p)
    samples = x.shape[0] if bug == "divides_by_d" else x.shape[1]
    g = x @ x.T / samples
    x_hat = inputs.get("x_hat")
    keep = np.flatnonzero(free)
    if x_hat is None:
        pull = g @ f
        if bug == "dropped_first":
            pull = g @ np.where(free, f, 0.0)
        q, constant = s**2 * (g - 2.0 * np.diag(pull)), s**2 * f @ g @ f
    elif bug == "targets_quantised":
        x_hat = np.asarray(x_hat, float)
        g = x_hat @ x_hat.T / samples
        q, constant = s**2 * (g - 2.0 * np.diag(g @ f)), s**2 * f @ g @ f
    else:
        x_hat = np.asarray(x_hat, float)
        g_hat, cross = x_hat @ x_hat.T / samples, x_hat @ x.T / samples
        if bug == "cross_transposed":
            cross = cross.T
        pull, level = cross @ w, np.where(free, base, 0.0) if bug == "dropped_first" else base
        q = s**2 * g_hat + np.diag(2.0 * s**2 * g_hat @ level - 2.0 * s * pull)
        constant = s**2 * base @ g_hat @ base - 2.0 * s * base @ pull
        constant = constant + w @ (g_hat if bug == "constant_quantised" else g) @ w
    if bug == "base_as_codes":
        base = base + z
    return {
        "q": q[np.ix_(keep, keep)],
        "constant": np.asarray(constant),
        "base": base.astype(np.int64),
        "free": free,
    }


def qubo_energy(inputs, attrs, bug=""):
    """The energy of choices."""
    q, h = np.asarray(inputs["q"], float), np.asarray(inputs["h"], float)
    if bug == "mask_32_bits":
        h = h.copy()
        h[:, 32:] = 0.0
    elif bug == "upper_once":
        q = np.triu(q)
    elif bug == "float32":
        q, h = q.astype(np.float32), h.astype(np.float32)
    products = (h @ q) * h
    if bug == "wrong_axis" and h.shape[0] == h.shape[1]:
        return {"energy": products.sum(axis=0)}
    energy = products.sum(axis=1).astype(float)
    if bug == "odd_choice_stale" and energy.size % 2 and energy.size > 1:
        energy[-1] = energy[-2]
    return {"energy": energy}


def qubo_exact(inputs, attrs, bug=""):
    """The choice of least energy; of equal energies the lexicographically smallest."""
    q = np.asarray(inputs["q"], float)
    k = q.shape[0]
    codes = np.arange(2**k)
    if bug == "gray_order":
        codes = codes ^ (codes >> 1)
    if bug == "ones_skipped" and k:
        codes = codes[:-1]
    elif bug == "zeros_skipped" and k:
        codes = codes[1:]
    h = codes[:, None] >> np.arange(k - 1, -1, -1)[None] & 1
    if bug == "little_endian":
        h = h[:, ::-1]
    energy = ((h @ q) * h).sum(axis=1)
    if bug == "float32":
        small = h.astype(np.float32)
        best = int(np.argmin(((small @ q.astype(np.float32)) * small).sum(axis=1)))
    elif bug == "last_of_equals":
        best = energy.size - 1 - int(np.argmin(energy[::-1]))
    elif bug == "equal_within_eps":
        best = 0
        for index in range(energy.size):
            if energy[index] < energy[best] - 1e-6:
                best = index
    else:
        best = int(np.argmin(energy))
    return {"h": h[best].astype(np.int64), "energy": np.asarray(energy[best])}


OPS = {"qubo_build": qubo_build, "qubo_energy": qubo_energy, "qubo_exact": qubo_exact}

BUGS = [
    ("qubo_build", "narrow_as_signed", "the narrow grid has the lowest level of the signed one"),
    ("qubo_build", "fraction_unclipped", "f of clipped weights is that of the unclipped floor"),
    ("qubo_build", "free_at_top", "weights at the highest level count as free"),
    ("qubo_build", "bottom_fixed", "weights whose floor is the lowest level count as fixed"),
    ("qubo_build", "divides_by_d", "divides by d instead of m, right where they agree"),
    ("qubo_build", "dropped_first", "fixed weights are left out before the diagonal is formed"),
    (
        "qubo_build",
        "targets_quantised",
        "x_hat replaces x altogether, so that the target is w times x_hat",
    ),
    ("qubo_build", "cross_transposed", "C is x x_hat^T"),
    ("qubo_build", "constant_quantised", "the constant has w^T Gh w instead of w^T G w"),
    ("qubo_build", "base_as_codes", "base has the zero point added"),
    ("qubo_energy", "mask_32_bits", "choices are packed in 32 bits: later variables read 0"),
    ("qubo_energy", "upper_once", "each pair counts once instead of twice"),
    ("qubo_energy", "float32", "sums in float32, which cancellation exposes"),
    ("qubo_energy", "wrong_axis", "sums over the choices where they are as many as variables"),
    (
        "qubo_energy",
        "odd_choice_stale",
        "choices go in pairs: the last of an odd number keeps the energy before it",
    ),
    ("qubo_exact", "gray_order", "of equal energies the first in Gray order wins"),
    ("qubo_exact", "ones_skipped", "the choice of only ones is never tried"),
    ("qubo_exact", "zeros_skipped", "the choice of only zeros is never tried"),
    ("qubo_exact", "little_endian", "index 0 varies fastest, so ties go another way"),
    ("qubo_exact", "float32", "energies are compared in float32"),
    ("qubo_exact", "last_of_equals", "of equal energies the largest choice wins"),
    ("qubo_exact", "equal_within_eps", "energies less than 1e-6 apart count as equal"),
]
