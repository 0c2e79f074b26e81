"""AdaQTransform in PyTorch: the layer in all rows of table 15.1, folding, closed forms."""

import torch

from validation.backends.torch_adaround import soft
from validation.backends.torch_tools import Given, Tensor, finite, straight

NEAREST = ("1.2", "qat")
LEARNT = {
    "tied": ("s_w",),
    "1.2": ("s_w",),
    "2.1": ("s_w",),
    "2.2": ("s_d",),
    "2.3": ("s_w", "s_d"),
    "qat": ("s_w", "w"),
}
SHARED = {"channel": (0, 2), "layer": (0, 1, 2), "pixel": (0,)}


def learns(name: str, a: Given) -> bool:
    """Whether a row of the table gives a gradient of this input."""
    return name in (*LEARNT.get(a["case"], ()), "alpha", "x", "s_x", "xi", "eta", "bias")


def nearest(u: Tensor, n: int, p: int, mask: str) -> Tensor:
    """clip(rint(u), n, p), straight through the rounding, or rounded after the clip."""
    hard = torch.round(u)
    if mask == "rounded":
        return torch.clamp(straight(hard, u), n, p)
    return straight(torch.clamp(hard, n, p), torch.clamp(u, n, p))


def weights(x: Given, a: Given) -> Tensor:
    """Levels of the weights."""
    u, mask = finite(x["w"]) / x["s_w"][:, None], a.get("mask", "rounded")
    if a["case"] in NEAREST:
        return nearest(u, a["n_w"], a["p_w"], mask)
    h = (x["alpha"] >= 0).to(u.dtype) if a.get("hard") else soft(x, a)
    level = torch.clamp(straight(torch.floor(u), u) + h, a["n_w"], a["p_w"])
    return torch.where(torch.isnan(x["w"]), 0.0, level)


def adaqt(x: Given, a: Given) -> Given:
    """xi (w_hat x_hat) + bias + eta."""
    levels = weights(x, a)
    w_hat = (x["s_d"] if "s_d" in x else x["s_w"])[:, None] * levels
    x_hat = x["s_x"] * nearest(
        finite(x["x"]) / x["s_x"], a["n_x"], a["p_x"], a.get("mask", "rounded")
    )
    y0 = w_hat @ x_hat
    xi, eta = (x[k][:, None] if x[k].ndim == 1 else x[k] for k in ("xi", "eta"))
    bias = x["bias"][:, None] if "bias" in x else 0.0
    return {"y": xi * y0 + bias + eta, "y0": y0, "levels": levels}


def adaqt_fold(x: Given, a: Given) -> Given:
    """One scale and one offset behind an integer product."""
    return {"st": x["xi"] * x["s_w"] * x["s_x"], "bt": x.get("bias", 0.0) + x["eta"]}


def adaqt_ols(x: Given, a: Given) -> Given:
    """Least squares from deviations."""
    over = SHARED[a["granularity"]]
    y = x["y"] - (x["bias"][:, None] if "bias" in x else 0.0)
    mean, mean0 = y.mean(over, keepdim=True), x["y0"].mean(over, keepdim=True)
    apart = x["y0"] - mean0
    variance = (apart**2).mean(over, keepdim=True)
    slope = ((y - mean) * apart).mean(over, keepdim=True) / variance
    xi = torch.where(variance == 0, 1.0, slope)
    eta = mean - xi * mean0
    mse = ((y - xi * x["y0"] - eta) ** 2).mean(over)
    return {"xi": xi.reshape(mse.shape), "eta": eta.reshape(mse.shape), "mse": mse}


def bn_to_xieta(x: Given, a: Given) -> Given:
    """What the norm's new scale and shift do to the folded layer."""
    centred = x.get("bias", 0.0) - x["mean"]
    moved = centred * (x["gamma"] - x["gamma0"]) / x["sd"]
    return {"xi": x["gamma"] / x["gamma0"], "eta": x["beta"] - x["beta0"] + moved}


def xieta_to_bn(x: Given, a: Given) -> Given:
    """The other way."""
    gamma = x["xi"] * x["gamma0"]
    moved = (x.get("bias", 0.0) - x["mean"]) * (gamma - x["gamma0"]) / x["sd"]
    return {"gamma": gamma, "beta": x["beta0"] + x["eta"] - moved}


FORWARD = {
    "adaqt": adaqt,
    "adaqt_fold": adaqt_fold,
    "adaqt_ols": adaqt_ols,
    "bn_to_xieta": bn_to_xieta,
    "xieta_to_bn": xieta_to_bn,
    "bias_correct": lambda x, a: {"corrected": x["bias"] + (x["y"] - x["y_hat"]).mean((0, 2))},
}
