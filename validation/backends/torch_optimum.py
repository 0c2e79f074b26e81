"""Rounding as a quadratic problem, and bit widths within a budget, in PyTorch, by trying all."""

import torch

from validation.backends.common import CODES
from validation.backends.torch_tools import Given, Tensor, counted


def qubo_build(x: Given, a: Given) -> Given:
    """From one row of weights and the layer's inputs."""
    w, s, given = x["w"], x["s"], x["x"]
    n, p = (code - x["zero_point"] for code in CODES[a["grid"]](a["bits"]))
    low = torch.floor(w / s)
    free, base = (low >= n) & (low < p), torch.clamp(low, n, p)
    seen = x.get("x_hat", given)
    gram = seen @ seen.T / given.shape[1]
    if "x_hat" in x:
        cross, plain = seen @ given.T / given.shape[1], given @ given.T / given.shape[1]
        q = s**2 * gram + torch.diag(2 * s**2 * gram @ base - 2 * s * cross @ w)
        constant = s**2 * base @ gram @ base - 2 * s * base @ cross @ w + w @ plain @ w
    else:
        f = w / s - base
        q, constant = s**2 * (gram - 2 * torch.diag(gram @ f)), s**2 * f @ gram @ f
    return {"q": q[free][:, free], "constant": constant, "base": base.to(torch.int64), "free": free}


def energy(q: Tensor, h: Tensor) -> Tensor:
    """h^T Q h of every row."""
    return torch.einsum("ci,ij,cj->c", h, q, h)


def choices(options: int, places: Tensor) -> Tensor:
    """All words with a letter for each place, in lexicographic order."""
    letters = counted(options, places)
    return torch.cartesian_prod(*[letters] * len(places)).reshape(-1, len(places))


def qubo_exact(x: Given, a: Given) -> Given:
    """torch.argmin gives the first of equals."""
    every = choices(2, torch.zeros_like(x["q"][0], dtype=torch.int64))
    found = energy(x["q"], every.to(x["q"].dtype))
    best = int(torch.argmin(found))
    return {"h": every[best], "energy": found[best]}


def qubo_1flip(x: Given, a: Given) -> Given:
    """The steepest flip until none lowers the energy."""
    q, h = x["q"], x["h0"].to(x["q"].dtype)
    own = q.diagonal()
    while True:
        change = (1 - 2 * h) * (own + 2 * (q @ h - own * h))
        best = int(torch.argmin(change))
        if change[best] >= 0:
            return {"h": h.to(torch.int64), "energy": energy(q, h[None])[0]}
        h = torch.where(counted(len(h), h) == best, 1 - h, h)


def gram_loss(x: Given, a: Given) -> Given:
    """A trace."""
    d = x["w"] - x["w_hat"]
    return {"loss": torch.trace(d @ x["gram"] @ d.T)}


def bit_alloc_exact(x: Given, a: Given) -> Given:
    """Every allocation within the budget."""
    layers = torch.arange(len(x["loss"]), device=x["loss"].device)
    every = choices(x["loss"].shape[1], layers)
    loss, size = (x[k][layers, every].sum(1) for k in ("loss", "size"))
    best = int(torch.argmin(torch.where(size <= x["budget"], loss, torch.inf)))
    return {"choice": every[best], "total_loss": loss[best], "total_size": size[best]}


FORWARD = {
    "qubo_build": qubo_build,
    "qubo_energy": lambda x, a: {"energy": energy(x["q"], x["h"].to(x["q"].dtype))},
    "qubo_exact": qubo_exact,
    "qubo_1flip": qubo_1flip,
    "gram_loss": gram_loss,
    "bit_alloc_exact": bit_alloc_exact,
}
EAGER = dict.fromkeys(
    ("qubo_build", "qubo_exact", "qubo_1flip", "bit_alloc_exact"),
    "the data decide how much there is to do",
)
