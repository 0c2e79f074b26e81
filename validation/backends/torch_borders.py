"""AQuant and AdaQTransform written forwards in PyTorch, with gradients by its autograd.

    refquant verify validation.backends.torch_borders:Eager64

What the goldens derive by hand, methods 13.4 and 15.2, comes here from the forward formulas alone:
rounding is ``t + (round(t) - t).detach()`` of the number that is rounded, u less the border.
"""

from collections.abc import Mapping
from typing import Any

import torch

from refquant.oracle import Unsupported

Tensor = torch.Tensor
Given = Mapping[str, Any]
NEAREST = ("1.2", "qat")
OUTPUTS = ("e", "border", "x_hat", "y")
LEARNT = {
    "tied": ("s_w",),
    "1.2": ("s_w",),
    "2.1": ("s_w",),
    "2.2": ("s_d",),
    "2.3": ("s_w", "s_d"),
    "qat": ("s_w", "w"),
}
LN11 = 2.3978952727983707


class Torch:
    """The quantizers that learn a border, and layers with a transformed output."""

    def __init__(self, dtype: str = "float64") -> None:
        self.name, self.dtype = (
            f"PyTorch {torch.__version__.split('+')[0]}, borders, {dtype}",
            dtype,
        )
        self.profile: dict[str, Any] = {}

    def run(self, op: str, inputs: Given, attrs: Given) -> dict[str, Any]:
        """Run an op forwards, or forwards and backwards."""
        forward = FORWARD.get(op.removesuffix("_backward"))
        if forward is None:
            raise Unsupported(f"no {op}")
        x = {k: torch.from_numpy(v.copy()) for k, v in inputs.items()}
        if not op.endswith("_backward"):
            return {k: v.detach().numpy() for k, v in forward(x, attrs).items()}
        (cotangent,) = (k for k in x if k.startswith("d_") and k[2:] in OUTPUTS)
        leaves = {k: v.requires_grad_() for k, v in x.items() if wanted(op, k, v, attrs)}
        value = forward(x, attrs)[cotangent[2:]]
        found = torch.autograd.grad(value, list(leaves.values()), x[cotangent], allow_unused=True)
        pairs = zip(leaves.items(), found, strict=True)
        return {
            f"d_{k}": (torch.zeros_like(leaf) if g is None else scaled(k, g, attrs)).numpy()
            for (k, leaf), g in pairs
        }


def wanted(op: str, name: str, value: Tensor, attrs: Given) -> bool:
    """Whether the op gives a gradient of this input."""
    if name.startswith("d_") or not value.is_floating_point():
        return False
    if op != "adaqt_backward":
        return True
    return name in (*LEARNT.get(attrs["case"], ()), "alpha", "x", "s_x", "xi", "eta", "bias")


def scaled(name: str, grad: Tensor, attrs: Given) -> Tensor:
    """The step's gradient times its factor."""
    return grad * attrs["grad_scale"] if name == "s" and "grad_scale" in attrs else grad


def straight(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of `hard` with the gradient of `soft`."""
    return soft + (hard - soft).detach()


def clip(t: Tensor, low: float, high: float, always: bool = False) -> Tensor:
    """clamp, whose gradient passes on the closed interval, or always."""
    limited = torch.clamp(t, low, high)
    inside = torch.ones_like(t) if always else ((t >= low) & (t <= high)).to(t.dtype)
    return limited.detach() + (t - t.detach()) * inside


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
    b0, s = x["b0"], x["s"]
    if not torch.isfinite(x["x"]).all():
        raise Unsupported("finite inputs")
    u = x["x"].reshape(len(x["x"]), *b0.shape, -1) / s
    seen = u.detach() if a.get("detach_border_input") else u
    spread = {k: x[k][None, :, :, None] for k in ("b0", "b1", "b2") if k in x}
    p = spread["b1"] * seen + spread["b0"]
    border = fuse(p + spread["b2"] * seen**2 if "b2" in x else p, x.get("fusion"), a)
    full = border + torch.zeros_like(u)
    acting = (u > a["n"]) & (u < a["p"]) | (a.get("gate") != "support")
    felt = torch.where(acting, full, full.detach())
    base = torch.floor(u)
    hard = base + torch.where((u > -0.5) & (u < 0), u > full - 1, u - base > full)
    mixed = u + a["a"] * (straight(hard, u - felt) - u)
    if a.get("mask", "rounded") == "rounded":
        levels = clip(mixed, a["n"], a["p"])
    else:
        inside = ((u >= a["n"]) & (u <= a["p"])).to(u.dtype)
        limited = torch.clamp(mixed, a["n"], a["p"]).detach()
        levels = limited + (mixed - mixed.detach()) * inside
    shape = x["x"].shape
    return {"x_hat": (s * levels).reshape(shape), "levels": levels.reshape(shape), "border": border}


def nearest(u: Tensor, n: int, p: int, mask: str) -> Tensor:
    """clip(rint(u), n, p), straight through; or rounded after the clip."""
    hard = torch.round(u)
    if mask == "rounded":
        return clip(straight(hard, u), n, p)
    return straight(torch.clamp(hard, n, p), clip(u, n, p))


def adaqt(x: Given, a: Given) -> Given:
    """xi (w_hat x_hat) + bias + eta."""
    if not (torch.isfinite(x["w"]).all() and torch.isfinite(x["x"]).all()):
        raise Unsupported("finite weights and inputs")
    mask, s_w = a.get("mask", "rounded"), x["s_w"][:, None]
    u = x["w"] / s_w
    if a["case"] in NEAREST:
        levels = nearest(u, a["n_w"], a["p_w"], mask)
    else:
        soft = clip(1.2 * torch.sigmoid(x["alpha"]) - 0.1, 0, 1)
        if (x["alpha"].abs() == LN11).any():
            raise Unsupported("alpha where the clamp's own rounding decides (D37)")
        h = (x["alpha"] >= 0).to(u.dtype) if a.get("hard") else soft
        levels = clip(straight(torch.floor(u), u) + h, a["n_w"], a["p_w"])
    w_hat = (x["s_d"][:, None] if "s_d" in x else s_w) * levels
    x_hat = x["s_x"] * nearest(x["x"] / x["s_x"], a["n_x"], a["p_x"], mask)
    y0 = w_hat @ x_hat
    xi, eta = (x[k][:, None] if x[k].ndim == 1 else x[k] for k in ("xi", "eta"))
    bias = x["bias"][:, None] if "bias" in x else 0.0
    return {"y": xi * y0 + bias + eta, "y0": y0, "levels": levels}


FORWARD = {
    "border_bound": lambda x, a: {"e": bound(x["p"], a)},
    "border_fuse": lambda x, a: {"border": fuse(x["p"], x.get("fusion"), a)},
    "aquant_quant": aquant_quant,
    "adaqt": adaqt,
}
Eager64, Eager32 = Torch(), Torch("float32")
