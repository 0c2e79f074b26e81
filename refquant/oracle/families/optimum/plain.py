"""Rounding as a QUBO, its solvers and bit allocation in plain NumPy."""

import itertools
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Plain


def ends(grid: str, bits: int) -> tuple[int, int]:
    """Lowest and highest code."""
    if grid in ("unsigned", "affine"):
        return 0, 2**bits - 1
    return (1 if grid == "narrow" else 0) - 2 ** (bits - 1), 2 ** (bits - 1) - 1


def moment(a: Array, b: Array) -> Array:
    """a b^T / m."""
    return np.asarray(a @ b.T / a.shape[1])


def is_free(floor: Array, n: int, p: int) -> Array:
    """Where both choices are different levels."""
    return (n <= floor) & (floor < p)


def _build(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    w, s, x = inputs["w"], inputs["s"], inputs["x"]
    low, high = ends(attrs["grid"], attrs["bits"])
    n, p = low - int(inputs["zero_point"]), high - int(inputs["zero_point"])
    floor = part.base(w / s)
    free, base = part.is_free(floor, n, p), part.limit(floor, n, p)
    if "x_hat" not in inputs:
        gram, f = part.moment(x, x), w / s - base
        linear, constant = -(gram @ f) * s * s, s * s * (f @ gram @ f)
    else:
        x_hat = inputs["x_hat"]
        gram = part.moment(x_hat, x_hat)
        wanted = part.cross(x_hat, x, part.moment) @ w
        linear = s * s * (gram @ base) - s * wanted
        constant = s * s * (base @ gram @ base) - 2 * s * (base @ wanted)
        constant = constant + part.power(w, x, part.moment)
    q = part.scale(s) * gram + part.two * np.diag(linear)
    q = q[free][:, free]
    return {"q": q, "constant": constant, "base": base.astype(np.int64), "free": free}


def energies(q: Array, h: Array) -> Array:
    """h^T Q h of every row."""
    h = h.astype(q.dtype)
    return np.asarray(np.sum((h @ q) * h, axis=1))


def _energy(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    return {"energy": part.energies(inputs["q"], part.bits(inputs["h"]))}


def choices(k: int) -> Array:
    """All choices, in lexicographic order."""
    return np.array(list(itertools.product((0, 1), repeat=k)))


def _exact(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    h = part.choices(len(inputs["q"]))
    energy = part.energies(inputs["q"], h)
    best = part.best(energy)
    return {"h": h[best], "energy": energy[best]}


def change(q: Array, h: Array) -> Array:
    """What flipping each variable adds."""
    off = q - np.diag(np.diag(q))
    return np.asarray((1 - 2 * h) * (np.diag(q) + 2 * off @ h))


def _one_flip(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    q = inputs["q"]
    h = inputs["h0"].astype(q.dtype)
    for _ in range(part.turns(len(q))):
        d = part.change(q, h)
        if not part.worth(d).any():
            break
        i = part.pick(d)
        h[i] = 1 - h[i]
    return {"h": h.astype(np.int64), "energy": energies(q, h[None])[0]}


def _gram_loss(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    e = part.error(inputs["w"], inputs["w_hat"])
    return {"loss": part.gather((e @ part.gram(inputs["gram"])) * e)}


def _allocate(inputs: Inputs, attrs: Attrs, part: Any) -> Arrays:
    loss, size = inputs["loss"], inputs["size"]
    layers = np.arange(len(loss))
    every = part.every(*loss.shape)
    losses, sizes = (np.sum(table[layers, every], axis=1) for table in (loss, size))
    allowed = part.fits(sizes, inputs["budget"])
    i = part.best(part.goal(losses, sizes), allowed)
    return {"choice": every[i], "total_loss": losses[i], "total_size": sizes[i]}


def every_choice(layers: int, widths: int) -> Array:
    """All choices, in lexicographic order."""
    return np.array(list(itertools.product(range(widths), repeat=layers)))


def first_best(goal: Array, allowed: Array) -> int:
    """The first of the smallest that are allowed."""
    return int(np.argmin(np.where(allowed, goal, np.inf)))


BUILD = Plain(
    _build,
    {
        "base": np.floor,
        "limit": np.clip,
        "is_free": is_free,
        "moment": moment,
        "cross": lambda x_hat, x, moment: moment(x_hat, x),
        "power": lambda w, x, moment: w @ moment(x, x) @ w,
        "scale": lambda s: s * s,
        "two": 2.0,
    },
)
ENERGY = Plain(_energy, {"energies": energies, "bits": lambda h: h})
EXACT = Plain(
    _exact, {"choices": choices, "energies": energies, "best": lambda e: int(np.argmin(e))}
)
ONE_FLIP = Plain(
    _one_flip,
    {
        "change": change,
        "pick": lambda d: int(np.argmin(d)),
        "turns": lambda k: 1000,
        "worth": lambda d: d < 0,
    },
)
GRAM_LOSS = Plain(
    _gram_loss, {"error": lambda w, w_hat: w - w_hat, "gram": lambda g: g, "gather": np.sum}
)
ALLOCATE = Plain(
    _allocate,
    {
        "every": every_choice,
        "fits": lambda sizes, budget: sizes <= budget,
        "goal": lambda losses, sizes: losses,
        "best": first_best,
    },
)
