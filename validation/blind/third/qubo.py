"""Rounding as a quadratic problem in 0 and 1 on a tensor framework, with plausible mistakes."""

import numpy as np

from validation.blind.third.common import level_ends


def qubo_build(inputs, attrs, bug=""):
    """The rounding of one row of weights as a quadratic problem."""
    w, x = np.asarray(inputs["w"], np.float64), np.asarray(inputs["x"], np.float64)
    s = float(np.asarray(inputs["s"]).reshape(()))
    z = int(np.asarray(inputs["zero_point"]).reshape(()))
    n, p = level_ends(z, attrs)
    m = x.shape[1]
    floor = np.floor(w / s)
    base = np.clip(floor, n, p)
    free = base == floor if bug == "free_at_top" else (floor >= n) & (floor < p)
    f = w / s - (floor if bug == "fraction_of_floor" else base)
    if inputs.get("x_hat") is None:
        gram = x @ x.T / m
        pull = gram @ f
        if bug == "drops_early":
            pull = gram[:, free] @ f[free]
        q = s * s * (gram - 2.0 * np.diag(pull))
        constant = s * s * (f @ gram @ f)
    else:
        x_hat = np.asarray(inputs["x_hat"], np.float64)
        gram, cross = x_hat @ x_hat.T / m, x_hat @ x.T / m
        if bug == "cross_transposed":
            cross = cross.T
        pull = gram @ base
        if bug == "drops_early":
            pull = gram[:, free] @ base[free]
        q = s * s * gram + np.diag(2.0 * s * s * pull - 2.0 * s * (cross @ w))
        constant = s * s * (base @ gram @ base) - 2.0 * s * (base @ cross @ w)
        constant += w @ (x @ x.T / m) @ w
    return {
        "q": q[np.ix_(free, free)],
        "constant": np.float64(constant),
        "base": base.astype(np.int64),
        "free": free,
    }


def qubo_energy(inputs, attrs, bug=""):
    """The energy of choices."""
    q, h = np.asarray(inputs["q"], np.float64), np.asarray(inputs["h"], np.int64)
    if bug == "integer_product":
        return {"energy": np.einsum("ci,ij,cj->c", h, q.astype(h.dtype), h).astype(np.float64)}
    if bug == "upper_triangle":
        q = np.triu(q)
    return {"energy": np.sum((h @ q) * h, axis=1)}


def choices(k, little_endian=False):
    """All choices of k zeros and ones, in lexicographical order unless asked otherwise."""
    shifts = np.arange(k) if little_endian else np.arange(k)[::-1]
    return (np.arange(2**k)[:, None] >> shifts) & 1


def qubo_exact(inputs, attrs, bug=""):
    """The choice of least energy; of equal ones the lexicographically smallest."""
    q = np.asarray(inputs["q"], np.float64)
    h = choices(len(q), bug == "little_endian").astype(np.int8)
    parts = [np.sum((part @ q) * part, axis=1) for part in np.array_split(h, 1 + len(h) // 4096)]
    energy = np.concatenate(parts)
    if bug == "float32_argmin":
        best = int(np.argmin(energy.astype(np.float32)))
    elif bug == "close_is_equal":
        best = int(np.argmax(energy <= energy.min() + 1e-8))
    else:
        best = int(np.argmin(energy))
    return {"h": h[best].astype(np.int64), "energy": np.float64(energy[best])}


OPS = {"qubo_build": qubo_build, "qubo_energy": qubo_energy, "qubo_exact": qubo_exact}
BUGS = [
    ("qubo_build", "free_at_top", "a weight whose floor is the highest level counts as free"),
    ("qubo_build", "fraction_of_floor", "clipped weights keep the fraction of their own floor"),
    ("qubo_build", "drops_early", "rows that are not free are dropped before the linear term"),
    ("qubo_build", "cross_transposed", "x x_hat^T in place of x_hat x^T"),
    ("qubo_energy", "integer_product", "q is cast to the integers of h"),
    ("qubo_energy", "upper_triangle", "counts every pair once, as a dictionary of pairs does"),
    ("qubo_exact", "little_endian", "index 0 runs fastest: other choices among equals"),
    ("qubo_exact", "float32_argmin", "compares float32 energies"),
    ("qubo_exact", "close_is_equal", "energies within 1e-8 are taken for equal"),
]
