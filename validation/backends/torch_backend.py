"""PyTorch as a backend, eager or compiled; gradients by its own autograd.

    refquant verify validation.backends.torch_backend:Eager32
    refquant fingerprint validation.backends.torch_backend:Eager64

Straight-through functions are written as its users write them: ``x + (round(x) - x).detach()``.
Clip masks at the edges are then those of torch.clamp, which passes on the closed interval.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from refquant.oracle import Unsupported

Tensor = torch.Tensor
Given = Mapping[str, Any]
ROUND = {"rint": torch.round, "floor": torch.floor, "ceil": torch.ceil}
CODES = {
    "unsigned": lambda b: (0, 2**b - 1),
    "affine": lambda b: (0, 2**b - 1),
    "signed": lambda b: (-(2 ** (b - 1)), 2 ** (b - 1) - 1),
    "narrow": lambda b: (1 - 2 ** (b - 1), 2 ** (b - 1) - 1),
}


class Torch:
    """Every op that PyTorch has, or that takes a line of it."""

    def __init__(self, dtype: str = "float64", compiled: bool = False) -> None:
        self.name = f"PyTorch {torch.__version__.split('+')[0]}, {dtype}" + ", compiled" * compiled
        self.dtype, self.compiled = dtype, compiled
        self.profile = {
            "fake_quant_backward.mask": "rounded",
            "edge": "inclusive",
            "alpha_init": "ratio",
            "tie": "up",
            "border_bound_backward.border_mask": "closed",
        }

    def run(self, op: str, inputs: Given, attrs: Given) -> dict[str, Any]:
        """Look the op up by name, forwards or backwards, and return NumPy arrays."""
        forward = FORWARD.get(op.removesuffix("_backward"))
        if forward is None or (op not in FORWARD and op not in BACKWARD):
            raise Unsupported(f"no {op}")
        x = {k: torch.from_numpy(v.copy()) for k, v in inputs.items()}
        function = torch.compile(forward, dynamic=True) if self.compiled else forward
        if op in FORWARD:
            return {k: v.detach().numpy() for k, v in function(x, dict(attrs)).items()}
        return gradients(function, BACKWARD[op], x, dict(attrs))


def gradients(forward: Callable[..., Any], spec: Any, x: dict[str, Tensor], attrs: Given) -> Any:
    """Run forwards and backwards; `spec` is (output, its cotangent, inputs to differentiate by)."""
    output, cotangent, wanted = spec
    leaves = {k: v.requires_grad_() for k, v in x.items() if k in wanted and v.is_floating_point()}
    if "bias" in wanted:
        width = x["w"].shape[0]
        leaves["bias"] = x["bias"] = torch.zeros(width, dtype=x["w"].dtype, requires_grad=True)
    value = forward(x, attrs)[output]
    start = x[cotangent] if cotangent else torch.ones_like(value)
    found = torch.autograd.grad(value, list(leaves.values()), start, allow_unused=True)
    scale = attrs.get("grad_scale", 1.0)
    return {
        f"d_{k}": (
            (torch.zeros_like(leaf) if g is None else g) * (scale if k == "s" else 1)
        ).numpy()
        for (k, leaf), g in zip(leaves.items(), found, strict=True)
    }


def straight(function: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    """`function` whose gradient is that of the identity."""
    return u + (function(u) - u).detach()


def along(p: Tensor, axis: int | None, x: Tensor) -> Tensor:
    """A parameter per channel, to broadcast against x."""
    return (
        p if axis is None else p.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    )


def need(condition: bool, what: str) -> None:
    """Skip a case."""
    if not condition:
        raise Unsupported(what)


def round_(x: Given, a: Given) -> Given:
    """torch.round goes to even."""
    need(a["mode"] in ROUND, f"torch has no {a['mode']}")
    return {"y": ROUND[a["mode"]](x["x"])}


def border_round(x: Given, a: Given) -> Given:
    """floor(u) + [f > B], with the comparison moved where the fraction is not exact."""
    u, border = x["u"], x["border"]
    base = torch.floor(u)
    up = torch.where((u > -0.5) & (u < 0), u > border - 1, u - base > border)
    return {"y": torch.where(torch.isfinite(u), base + up, u)}


def fake_quant(x: Given, a: Given) -> Given:
    """As in QAT: clamp(round_ste(x / s))."""
    need(a["rounding"] == "rint" and a.get("nan", "zero_point") == "zero_point", "nearest, NaN 0")
    s, z = (along(x[k], a["axis"], x["x"]) for k in ("s", "zero_point"))
    low, high = CODES[a["grid"]](a["bits"])
    u = torch.nan_to_num(x["x"] / s, nan=0.0) if not x["x"].requires_grad else x["x"] / s
    q = torch.clamp(straight(torch.round, u), low - z, high - z)
    return {"y": s * q, "codes": (torch.round(q.detach()) + z).to(torch.int64)}


def rect_sigmoid(x: Given, a: Given) -> Given:
    """torch.clamp: its gradient passes on the closed interval."""
    return {"h": torch.clamp(torch.sigmoid(x["alpha"]) * 1.2 - 0.1, 0, 1)}


def round_reg(x: Given, a: Given) -> Given:
    """lam * sum(1 - |2h - 1|^beta)."""
    h = rect_sigmoid(x, a)["h"]
    return {"value": a["lam"] * (1 - (2 * h - 1).abs() ** a["beta"]).sum()}


def adaround_weight(x: Given, a: Given) -> Given:
    """floor(w / s) + h."""
    w = x["w"]
    s, z = (along(x[k], 0 if x[k].ndim else None, w) for k in ("s", "zero_point"))
    low, high = CODES[a["grid"]](a["bits"])
    base = torch.floor(w / s)
    hard = torch.clamp(base + (x["alpha"] >= 0), low - z, high - z)
    soft = torch.clamp(base + rect_sigmoid(x, a)["h"], low - z, high - z)
    need(bool(torch.isfinite(w).all()), "finite weights")
    if a.get("rounding", "soft") == "soft":
        return {"w_hat": s * soft}
    return {"w_hat": s * hard, "codes": (hard + z).to(torch.int64)}


def adaround_init_alpha(x: Given, a: Given) -> Given:
    """log((1 + 10 f) / (11 - 10 f))."""
    need(bool(torch.isfinite(x["w"]).all()), "finite weights")
    u = x["w"] / along(x["s"], 0 if x["s"].ndim else None, x["w"])
    f = u - torch.floor(u)
    alpha = torch.log((1 + 10 * f) / (11 - 10 * f))
    return {"alpha": torch.where(f == 0, torch.full_like(f, -2.3978952727983707), alpha)}


def adam_step(x: Given, a: Given) -> Given:
    """torch.optim.Adam, with its state put in place."""
    parameter = torch.nn.Parameter(x["x"].clone())
    parameter.grad = x["d_x"]
    adam = torch.optim.Adam([parameter], a["lr"], (a["beta1"], a["beta2"]), a["eps"])
    step = torch.tensor(float(x["t"]) - 1)
    adam.state[parameter] = {"step": step, "exp_avg": x["m"], "exp_avg_sq": x["v"]}
    adam.step()
    state = adam.state[parameter]
    return {"x_next": parameter, "m_next": state["exp_avg"], "v_next": state["exp_avg_sq"]}


def padded(x: Tensor, a: Given, value: float = 0.0) -> Tensor:
    """x with (top, left, bottom, right) around it."""
    top, left, bottom, right = a["padding"]
    return F.pad(x, (left, right, top, bottom), value=value)


def conv2d(x: Given, a: Given) -> Given:
    """F.conv2d on the padded map."""
    options = (tuple(a["stride"]), 0, tuple(a["dilation"]), a["groups"])
    return {"y": F.conv2d(padded(x["x"], a), x["w"], x.get("bias"), *options)}


def max_pool(x: Given, a: Given) -> Given:
    """F.max_pool2d; padding never wins."""
    need(bool(torch.isfinite(x["x"]).all()), "finite maps")
    p = padded(x["x"], a, -torch.inf)
    options = (tuple(a["kernel"]), tuple(a["stride"]), 0, tuple(a["dilation"]))
    return {"y": F.max_pool2d(p, *options)}


def average_pool(x: Given, a: Given) -> Given:
    """F.avg_pool2d knows symmetric padding of at most half a window, and no dilation."""
    top, left, bottom, right = a["padding"]
    half = all(2 * p <= k for p, k in zip((top, left), a["kernel"], strict=True))
    need((top, left) == (bottom, right) and half and a["dilation"] == [1, 1], "symmetric padding")
    options = (tuple(a["kernel"]), tuple(a["stride"]), (top, left), False, a["count_include_pad"])
    return {"y": F.avg_pool2d(x["x"], *options)}


def bn_infer(x: Given, a: Given) -> Given:
    """F.batch_norm with running statistics."""
    beta = x.get("beta", torch.zeros_like(x["gamma"]))
    x["beta"] = beta
    return {"y": F.batch_norm(x["x"], x["mean"], x["var"], x["gamma"], beta, False, 0.0, a["eps"])}


def border_poly(x: Given, a: Given) -> Given:
    """b2 u^2 + b1 u + b0 at every channel and tap."""
    b = {k: v[None, :, :, None] for k, v in x.items() if k in ("b0", "b1", "b2")}
    p = b["b1"] * x["u"] + b["b0"]
    return {"p": p + b["b2"] * x["u"] ** 2 if "b2" in b else p}


def border_bound(x: Given, a: Given) -> Given:
    """The three bounds."""
    p = x["p"]
    if a["bound"] == "clip":
        return {"e": torch.clamp(0.5 + p, 0, 1)}
    if a["scale"] == "inner":
        return {"e": torch.sigmoid(a["kappa"] * p)}
    return {"e": torch.clamp(0.5 + a["kappa"] * (torch.sigmoid(p) - 0.5), 0, 1)}


FORWARD: dict[str, Callable[[Given, Given], Any]] = {
    "round": round_,
    "border_round": border_round,
    "fake_quant": fake_quant,
    "rect_sigmoid": rect_sigmoid,
    "round_reg": round_reg,
    "adaround_weight": adaround_weight,
    "adaround_init_alpha": adaround_init_alpha,
    "adam_step": adam_step,
    "conv2d": conv2d,
    "linear": lambda x, a: {"y": F.linear(x["x"], x["w"], x.get("bias"))},
    "bn_infer": bn_infer,
    "relu": lambda x, a: {"y": F.relu(x["x"])},
    "relu6": lambda x, a: {"y": F.relu6(x["x"])},
    "max_pool": max_pool,
    "average_pool": average_pool,
    "global_average_pool": lambda x, a: {"y": F.adaptive_avg_pool2d(x["x"], 1)},
    "border_poly": border_poly,
    "border_bound": border_bound,
}
BACKWARD: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "fake_quant_backward": ("y", "d_y", ("x", "s")),
    "rect_sigmoid_backward": ("h", "d_h", ("alpha",)),
    "round_reg_backward": ("value", "", ("alpha",)),
    "adaround_weight_backward": ("w_hat", "d_w_hat", ("alpha",)),
    "conv2d_backward": ("y", "d_y", ("x", "w", "bias")),
    "linear_backward": ("y", "d_y", ("x", "w", "bias")),
    "bn_infer_backward": ("y", "d_y", ("x", "gamma", "beta")),
    "relu_backward": ("y", "d_y", ("x",)),
    "relu6_backward": ("y", "d_y", ("x",)),
    "max_pool_backward": ("y", "d_y", ("x",)),
    "average_pool_backward": ("y", "d_y", ("x",)),
    "global_average_pool_backward": ("y", "d_y", ("x",)),
    "border_bound_backward": ("e", "d_e", ("p",)),
}
Eager64 = Torch("float64")
Eager32 = Torch("float32")
Compiled32 = Torch("float32", compiled=True)
