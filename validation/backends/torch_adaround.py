"""AdaRound in PyTorch: decisions, weight, regulariser, schedules, and torch.optim.Adam."""

import math
from typing import Any

import torch
from torch.nn import functional as F

from validation.backends.common import CODES, per_row
from validation.backends.torch_tools import Given, Tensor


def soft(x: Given, a: Given) -> Tensor:
    """h, written as everywhere; torch.clamp passes its gradient at the ends, hardtanh does not."""
    t = torch.sigmoid(x["alpha"]) * 1.2 - 0.1
    return F.hardtanh(t, 0.0, 1.0) if a.get("edge") == "strict" else torch.clamp(t, 0.0, 1.0)


def round_reg(x: Given, a: Given) -> Given:
    """lam * sum(1 - |2h - 1|^beta)."""
    return {"value": a["lam"] * (1 - (2 * soft(x, a) - 1).abs() ** a["beta"]).sum()}


def adaround_init_alpha(x: Given, a: Given) -> Given:
    """h of it is the fraction of w / s."""
    u = x["w"] / per_row(x["s"], x["w"])
    f = torch.nan_to_num(u - torch.floor(u))
    if a["alpha_init"] == "quotient":
        return {"alpha": -torch.log(1.2 / (f + 0.1) - 1)}
    if a["alpha_init"] == "clipped":
        return {"alpha": torch.logit((torch.clamp(f, 1e-4, 1 - 1e-4) + 0.1) / 1.2)}
    return {"alpha": torch.log((1 + 10 * f) / (11 - 10 * f))}


def adaround_weight(x: Given, a: Given) -> Given:
    """floor(w / s) + h, or the decisions instead of h."""
    w, s, z = x["w"], per_row(x["s"], x["w"]), per_row(x["zero_point"], x["w"])
    n, p = (code - z for code in CODES[a["grid"]](a["bits"]))
    base = torch.nan_to_num(torch.floor(w / s), 0.0, torch.inf, -torch.inf)
    if a.get("rounding", "soft") == "soft":
        level = torch.clamp(base + soft(x, a), n, p)
        return {"w_hat": s * torch.where(torch.isnan(w), 0.0, level)}
    up = x["alpha"] >= 0 if a["tie"] == "up" else x["alpha"] > 0
    level = torch.where(torch.isnan(w), 0.0, torch.clamp(base + up, n, p))
    return {"w_hat": s * level, "codes": (level + z).to(torch.int64)}


def beta_schedule(x: Given, a: Given) -> Given:
    """Held while the regulariser is off, then falling."""
    t, hold = x["t"].double(), a["warm_up"] * a["total"]
    end = a["total"] - (a["arrive"] == "last") * (1 - a["first_step"])
    on = t >= hold
    rel = (t - hold) / (end - hold) if end > hold else torch.ones_like(t)
    rel = torch.clamp(rel, max=1.0) if a["after"] != "continue" else rel
    left = 1 - rel if a["curve"] == "linear" else (1 + torch.cos(math.pi * rel)) / 2
    beta = a["end"] + (a["start"] - a["end"]) * left
    return {"beta": torch.where(on, beta, a["start"]), "on": on}


def cosine_lr(x: Given, a: Given) -> Given:
    """Half a cosine."""
    return {"rate": a["lr"] * (1 + torch.cos(math.pi * x["t"].double() / a["total"])) / 2}


def adam(leaf: Tensor, grad: Tensor, state: tuple[Any, ...], lr: float, a: Given) -> list[Tensor]:
    """One step of torch.optim.Adam, whose state (m, v, number of the step) is put in place."""
    parameter = torch.nn.Parameter(leaf.detach().clone())
    parameter.grad = grad
    optimiser = torch.optim.Adam([parameter], lr, (a["beta1"], a["beta2"]), a["eps"])
    m, v, t = state
    step = torch.tensor(float(t) - 1)
    optimiser.state[parameter] = {"step": step, "exp_avg": m, "exp_avg_sq": v}
    optimiser.step()
    after = optimiser.state[parameter]
    return [parameter, after["exp_avg"], after["exp_avg_sq"]]


def adam_step(x: Given, a: Given) -> Given:
    """From the golden's state."""
    after = adam(x["x"], x["d_x"], (x["m"], x["v"], x["t"]), a["lr"], a)
    return dict(zip(("x_next", "m_next", "v_next"), after, strict=True))


FORWARD = {
    "rect_sigmoid": lambda x, a: {"h": soft(x, a)},
    "round_reg": round_reg,
    "adaround_init_alpha": adaround_init_alpha,
    "adaround_weight": adaround_weight,
    "beta_schedule": beta_schedule,
    "cosine_lr": cosine_lr,
    "adam_step": adam_step,
}
EAGER = {"adam_step": "torch.optim runs as it is"}
