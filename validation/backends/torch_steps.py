"""Steps of learning in PyTorch: a loss, its gradients by autograd, and torch.optim.Adam."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from validation.backends.torch_adaqt import adaqt
from validation.backends.torch_adaround import (
    adam,
    adaround_weight,
    beta_schedule,
    cosine_lr,
    round_reg,
)
from validation.backends.torch_borders import aquant_quant, round_schedule
from validation.backends.torch_quantizers import fake_quant
from validation.backends.torch_tools import Given, Tensor, counted


def adaround_loss(x: Given, a: Given) -> Given:
    """Squared error of the batch, and the price of open decisions."""
    batch = x["indices"].to(torch.int64)
    w_hat = adaround_weight(x, a)["w_hat"]
    error = (x["x"][batch] @ w_hat.T - x["target"][batch]) ** 2
    loss = error.sum(1).mean() if a["reduction"] == "channels" else error.mean()
    schedule = beta_schedule({"t": x["t"]}, {"after": "hold", **a})
    penalty = round_reg(x, {**a, "beta": schedule["beta"].to(loss.dtype)})["value"]
    return {"loss": loss, "penalty": torch.where(schedule["on"], penalty, 0.0)}


def aquant_loss(x: Given, a: Given) -> Given:
    """Squared error behind fixed weights."""
    batch = x["indices"].to(torch.int64)
    share = round_schedule({"t": x["t"]}, a)["a"].to(x["x"].dtype)
    x_hat = aquant_quant({**x, "x": x["x"][batch]}, {**a, "a": share})["x_hat"]
    return {"loss": ((x["w_hat"] @ x_hat - x["target"][batch]) ** 2).sum(1).mean()}


def adaqt_loss(x: Given, a: Given) -> Given:
    """Squared error of the transformed output."""
    batch = x["indices"].to(torch.int64)
    row = {**a, "case": "1.1" if a["case"] == "adaqt" else a["case"]}
    y = adaqt({**x, "x": x["x"][batch].T}, row)["y"]
    return {"loss": ((y - x["target"][batch].T) ** 2).sum(0).mean()}


def qdrop_loss(x: Given, a: Given) -> Given:
    """AdaRound behind inputs of which some are quantized, as torch.where takes them."""
    batch = x["indices"].to(torch.int64)
    x_in = torch.where(x["mask_input"].bool(), x["x_q"][batch], x["x"][batch])
    how = {"bits": a["act_bits"], "grid": a["act_grid"], "axis": None, "rounding": "rint"}
    given = {"x": x_in, "s": x["s_x"], "zero_point": x["z_x"]}
    quantized = fake_quant(given, {**how, "mask": a["mask"]})["y"]
    x_hat = torch.where(x["mask_element"].bool(), quantized, x_in)
    rows = {**x, "x": x_hat, "target": x["target"][batch], "indices": counted(len(batch), batch)}
    fixed = {"reduction": "channels", "curve": "linear", "first_step": 1, "arrive": "total"}
    return adaround_loss(rows, {**a, **fixed})


def falling(x: Given, a: Given, lr: float) -> float:
    """A rate along half a cosine, whole at step 1."""
    return float(cosine_lr({"t": x["t"] - 1}, {"lr": lr, "total": a["total"]})["rate"])


def rate(op: str, name: str, x: Given, a: Given) -> float:
    """The learning rate of a parameter."""
    if op == "adaround_step":
        return a["lr"]
    if op == "aquant_step":
        return falling(x, a, a["lr_s"]) if name == "s" else a["lr_border"]
    if op == "qdrop_step":
        return falling(x, a, a["lr_s"]) if name == "s_x" else a["lr_alpha"]
    return a["lr_alpha"] if name == "alpha" else falling(x, a, a["lr"])


LOSSES: dict[str, Callable[[Given, Given], Given]] = {
    "adaround_step": adaround_loss,
    "aquant_step": aquant_loss,
    "adaqt_step": adaqt_loss,
    "qdrop_step": qdrop_loss,
}


def step(loss: Callable[..., Given], op: str, x: dict[str, Tensor], a: Given) -> Mapping[str, Any]:
    """Losses, gradients, and everything that is learnt after the step."""
    first = a.get("first_step", 1)
    suffix = {"m": ""} if "m" in x else {k: k[1:] for k in x if k.startswith("m_")}
    leaves = {tail[1:] or "alpha": tail for tail in suffix.values()}
    x |= {name: x[name].requires_grad_() for name in leaves}
    outputs = loss(x, a)
    found = torch.autograd.grad(
        sum(outputs.values()), [x[name] for name in leaves], allow_unused=True
    )
    for (name, tail), g in zip(leaves.items(), found, strict=True):
        grad = torch.zeros_like(x[name]) if g is None else g
        grad = grad * a.get("grad_scale", 1.0) if name == "s_x" else grad
        state = x[f"m{tail}"], x[f"v{tail}"], x["t"] - first + 1
        after = adam(x[name], grad.clone(), state, rate(op, name, x, a), a)
        names = f"{name}_next", f"m{tail}_next", f"v{tail}_next"
        outputs = {**outputs, f"d_{name}": grad, **dict(zip(names, after, strict=True))}
    return outputs
