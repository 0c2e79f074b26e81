"""AQuant in PyTorch: borders forwards, with gradients by autograd.

What the goldens derive by hand in methods 13.4 comes here from the forward formulas alone: rounding
is straight through in the number that is rounded, u less the border.
"""

import torch

from validation.backends.torch_tools import Given, Tensor, clip, finite, straight


def border_eq7(x: Given, a: Given) -> Given:
    """1/2 + c / A."""
    total = x["w"] + x["d_w"]
    c = x["d_w"] * x["x_prime"] + x["w"] * x["e"]
    border = 0.5 + c / total
    border = torch.clamp(border, 0, 1) if a["clipped"] else border
    return {"border": torch.where(total == 0, 0.5, border)}


def border_shared_closed(x: Given, a: Given) -> Given:
    """Sums over the outputs of each group, as a matrix of groups."""
    w, w_hat = (x[k].reshape(a["groups"], -1, *x[k].shape[1:]) for k in ("w", "w_hat"))
    squares = (w_hat**2).sum(1)
    dead = squares == 0
    ratio = torch.where(dead, 0.0, (w_hat * w).sum(1) / squares).reshape(-1, a["taps"])
    slope = torch.where(dead, 0.0, (w_hat * (w_hat - w)).sum(1) / squares).reshape(ratio.shape)
    e0, e1, e2 = (x.get(k, torch.zeros_like(ratio)) for k in ("e0", "e1", "e2"))
    return {"b0": e0 * ratio, "b1": slope + e1 * ratio, "b2": e2 * ratio}


def polynomial(u: Tensor, x: Given) -> Tensor:
    """b2 u^2 + b1 u + b0 at every channel and tap."""
    b = {k: x[k][None, :, :, None] for k in ("b0", "b1", "b2") if k in x}
    p = b["b1"] * u + b["b0"]
    return p + b["b2"] * u**2 if "b2" in b else p


def bound(p: Tensor, a: Given) -> Tensor:
    """From P to a border."""
    always = a.get("border_mask") == "open"
    if a["bound"] == "clip":
        return clip(0.5 + p, 0, 1, always)
    if a["scale"] == "inner":
        return torch.sigmoid(a["kappa"] * p)
    return clip(0.5 + a["kappa"] * (torch.sigmoid(p) - 0.5), 0, 1, always)


def fuse(p: Tensor, weights: Tensor | None, a: Given) -> Tensor:
    """The border that the taps share."""
    if a["fuse"] == "none" or p.shape[2] == 1:
        return bound(p, a)
    scale = torch.ones_like(p) if weights is None else weights[None, :, :, None]
    if a["fuse"] == "fuse_bound":
        return bound((scale * p).mean(dim=2, keepdim=True), a)
    centre = 0.5 if a["fuse"] == "centred" else 0.0
    mean = centre + (scale * (bound(p, a) - centre)).mean(dim=2, keepdim=True)
    return clip(mean, 0, 1, a.get("border_mask") == "open")


def aquant_quant(x: Given, a: Given) -> Given:
    """s clip(u + a (r - u), n, p), r = u - B with its residual held."""
    n, p, b0 = a["n"], a["p"], x["b0"]
    whole = x["x"].reshape(len(x["x"]), *b0.shape, -1)
    u = finite(whole) / x["s"]
    seen = torch.where(whole.abs() == torch.inf, torch.clamp(u, n, p), u)
    seen = seen.detach() if a.get("detach_border_input") else seen
    border = fuse(polynomial(seen, x), x.get("fusion"), a)
    full = border + torch.zeros_like(u)
    acting = (u > n) & (u < p) | (a.get("gate") != "support")
    felt = torch.where(acting, full, full.detach())
    base = torch.floor(u)
    up = torch.where((u > -0.5) & (u < 0), u > full - 1, u - base > full)
    mixed = u + a["a"] * (straight(base + up, u - felt) - u)
    if a.get("mask", "rounded") == "rounded":
        levels = torch.clamp(mixed, n, p)
    else:
        inside = ((u >= n) & (u <= p)).to(u.dtype)
        levels = torch.clamp(mixed, n, p).detach() + (mixed - mixed.detach()) * inside
    levels = torch.where(torch.isnan(whole), 0.0, levels)
    shape = x["x"].shape
    x_hat = (x["s"] * levels).reshape(shape)
    return {"x_hat": x_hat, "levels": levels.reshape(shape), "border": border}


def round_schedule(x: Given, a: Given) -> Given:
    """Held at 0, then a line to 1."""
    held = a["hold"] * a["total"]
    return {"a": torch.clamp((x["t"].double() - held) / (a["total"] - held), 0, 1)}


FORWARD = {
    "border_eq7": border_eq7,
    "border_shared_closed": border_shared_closed,
    "border_poly": lambda x, a: {"p": polynomial(x["u"], x)},
    "border_bound": lambda x, a: {"e": bound(x["p"], a)},
    "border_fuse": lambda x, a: {"border": fuse(x["p"], x.get("fusion"), a)},
    "aquant_quant": aquant_quant,
    "round_schedule": round_schedule,
}
