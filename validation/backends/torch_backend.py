"""PyTorch as a backend, eager or compiled by inductor; gradients by its own autograd.

    refquant verify validation.backends.torch_backend:Eager32
    refquant fingerprint validation.backends.torch_backend:Eager64

An op is written forwards alone, in the file of its subject. A backward op is what autograd makes of
it, straight-through functions being written as users write them: of the gradients that the goldens
derive by hand nothing is known here.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

from refquant import oracle
from validation.backends import (
    torch_adaqt,
    torch_adaround,
    torch_borders,
    torch_calibration,
    torch_integer,
    torch_kl,
    torch_layers,
    torch_losses,
    torch_mixing,
    torch_optimum,
    torch_quantizers,
    torch_redistribution,
    torch_rounding,
    torch_steps,
)
from validation.backends.common import only

Tensor = torch.Tensor
Given = Mapping[str, Any]
Forward = Callable[[Given, Given], Mapping[str, Tensor]]
SUBJECTS = (
    torch_quantizers, torch_calibration, torch_layers, torch_integer, torch_adaround, torch_losses,
    torch_optimum, torch_borders, torch_rounding, torch_adaqt, torch_mixing, torch_redistribution,
    torch_kl,
)  # fmt: skip
FORWARD: dict[str, Forward] = {k: v for part in SUBJECTS for k, v in part.FORWARD.items()}
EAGER = {k: why for part in SUBJECTS for k, why in getattr(part, "EAGER", {}).items()}
SCALED = ("s", "zero_point", "offset")
UNGIVEN: dict[str, Callable[[Given], dict[str, Tensor]]] = {  # their gradients need no value
    "conv2d_backward": lambda x: {"bias": x["w"].new_zeros(len(x["w"]))},
    "linear_backward": lambda x: {"bias": x["w"].new_zeros(len(x["w"]))},
    "bn_infer_backward": lambda x: {"beta": torch.zeros_like(x["gamma"])},
    "qdrop_mix_backward": lambda x: {k: torch.zeros_like(x["d_y"]) for k in ("x", "x_q")},
    "amixup_backward": lambda x: {k: torch.zeros_like(x["d_y"]) for k in ("x", "x_q")},
}


class Torch:
    """Every op in one arithmetic."""

    profile = "any"

    def __init__(self, dtype: str = "float64", compiled: bool = False, device: str = "cpu") -> None:
        version = torch.__version__.split("+")[0]
        where = "" if device == "cpu" else f"{device.upper()}, "
        self.name = f"PyTorch {version}, {where}{'compiled, ' * compiled}{dtype}"
        self.dtype, self.compiled, self.device = dtype, compiled, device

    def run(self, op: str, inputs: Given, attrs: Given) -> dict[str, Any]:
        """Run an op forwards, or forwards and backwards, or through a step of Adam."""
        x = {k: torch.from_numpy(v.copy()).to(self.device) for k, v in inputs.items()}
        found = self.found(op, x, dict(attrs))
        return {k: v.detach().cpu().numpy() for k, v in found.items()}

    def found(self, op: str, x: dict[str, Tensor], attrs: Given) -> Mapping[str, Tensor]:
        """The outputs as tensors."""
        if op in torch_steps.LOSSES:
            return torch_steps.step(self.ready(torch_steps.LOSSES[op]), op, x, attrs)
        name = op.removesuffix("_backward")
        only(name in FORWARD, f"no {op}")
        only(not (self.compiled and name in EAGER), f"not compiled: {EAGER.get(name)}")
        forward = self.ready(FORWARD[name])
        return forward(x, attrs) if name == op else gradients(forward, op, x, attrs)

    def ready(self, forward: Forward) -> Forward:
        """The function itself, or compiled."""
        return compiled(forward) if self.compiled else forward


@cache
def compiled(forward: Forward) -> Forward:
    """By inductor: one graph without breaks for each kind of shapes and attributes."""
    torch._dynamo.config.recompile_limit = 10_000  # the default goes back to eager after eight
    torch._dynamo.config.accumulated_recompile_limit = 10_000
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(forward, fullgraph=True, dynamic=False)  # symbolic sizes fail in some ops


def gradients(forward: Forward, op: str, x: dict[str, Tensor], attrs: Given) -> dict[str, Tensor]:
    """What autograd gives for the inputs that the op differentiates by."""
    x = x | UNGIVEN.get(op, lambda x: {})(x)
    names = [output.name.removeprefix("d_") for output in oracle.ops()[op].outputs]
    leaves = {k: x[k].requires_grad_() for k in names if k in x}
    if op == "adaqt_backward":
        leaves = {k: v for k, v in leaves.items() if torch_adaqt.learns(k, attrs)}
    start = {k: x.pop(k) for k in list(x) if k.startswith("d_")}
    outputs = forward(x, attrs)
    if start:
        ((name, cotangent),) = start.items()
        value = outputs[name.removeprefix("d_")]
    else:
        (value,) = outputs.values()
        cotangent = torch.ones_like(value)
    found = torch.autograd.grad(value, list(leaves.values()), cotangent, allow_unused=True)
    scale = attrs.get("grad_scale", 1.0)
    return {
        f"d_{k}": torch.zeros_like(leaf) if g is None else g * scale if k in SCALED else g
        for (k, leaf), g in zip(leaves.items(), found, strict=True)
    }


Eager64, Eager32 = Torch(), Torch("float32")
Compiled64, Compiled32 = Torch(compiled=True), Torch("float32", compiled=True)
