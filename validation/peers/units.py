"""Steps of reconstruction in PyTorch: AQuant; AdaRound with learnt steps; AdaQTransform."""

import numpy as np
import torch
import torch.nn.functional as F

from validation.peers.work import Work

BATCH = 32
QUANTIZED = 0.5 / 0.8  # share of the quantized values half way, real at first, all from 0.8 on
LEVELS = 15.0  # 4 bits


def pass_through(rounded: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """Return `rounded` with the gradient of `smooth`."""
    return smooth + (rounded - smooth).detach()


class Unit(torch.nn.Module):
    """Parameters by their "node.parameter" name; those of `learnt` get gradients."""

    def __init__(self, inputs: dict[str, np.ndarray], learnt: tuple[str, ...]) -> None:
        super().__init__()
        self.inputs, self.kinds = inputs, learnt
        self.given = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
        self.learnt = [name for name in inputs if name.split(".")[-1] in learnt]
        for name in self.learnt:
            self.given[name] = torch.nn.Parameter(self.given[name])
        self.layers = [name.split(".")[0] for name in inputs if name.endswith(".alpha")]
        self.floors = {x: torch.floor(self(x, "w") / self(x, "s_w")) for x in self.layers}

    def __call__(self, node: str, name: str) -> torch.Tensor:
        """Return one parameter."""
        return self.given[f"{node}.{name}"]

    def widened(self) -> "Unit":
        """Return the same in float64; integers as they are."""
        real = {name: value for name, value in self.inputs.items() if value.dtype.kind == "f"}
        wide = {name: value.astype(np.float64) for name, value in real.items()}
        return Unit({**self.inputs, **wide}, self.kinds)

    def share(self, layer: str) -> torch.Tensor:
        """Return h(alpha), between 0 and 1."""
        return torch.clamp(torch.sigmoid(self(layer, "alpha")) * 1.2 - 0.1, 0.0, 1.0)

    def weight(self, layer: str) -> torch.Tensor:
        """Return the weight, rounded softly."""
        levels = torch.maximum(self.floors[layer] + self.share(layer), self(layer, "low"))
        return self(layer, "s_w") * torch.minimum(levels, self(layer, "high"))

    def penalty(self, lam: float, beta: float) -> torch.Tensor:
        """Return the rounding regulariser."""
        shares = [(2.0 * self.share(layer) - 1.0).abs().pow(beta) for layer in self.layers]
        return lam * sum((1.0 - share).sum() for share in shares)

    def parameters(self) -> list[torch.nn.Parameter]:
        """Return what is learnt."""
        return [self.given[name] for name in self.learnt]


def bordered(unit: Unit, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the product of the only layer with its input, rounded at a learnt border."""
    q, (layer,) = "c0.patches.q", unit.layers
    n, c, h, w = x.shape
    s, zero = unit(q, "s_x"), unit(q, "zero_point")
    u = (F.unfold(x, 3, padding=1) / s).view(n, c, 9, h * w)
    b0, b1, b2, fusion = (unit(q, name)[:, :, None] for name in ("b0", "b1", "b2", "fusion"))
    p = (b2 * u + b1) * u + b0
    e = torch.clamp(0.5 + 2.5 * (torch.sigmoid(p) - 0.5), 0.0, 1.0)
    border = torch.clamp((fusion * e).mean(dim=2, keepdim=True), 0.0, 1.0)
    with torch.no_grad():
        base = torch.floor(u)
        rounded = base + (u - base > border)
    r = pass_through(rounded, u - border)
    levels = torch.clamp(u + unit(q, "a") * (r - u), -zero, LEVELS - zero)
    columns = (s * levels).view(n, c * 9, h * w)
    return {layer: (unit.weight(layer).flatten(1) @ columns).view(n, -1, h, w)}


def nearest(unit: Unit, node: str, x: torch.Tensor) -> torch.Tensor:
    """Return `x` rounded to nearest with a learnt step."""
    s, zero = unit(node, "s_x"), unit(node, "zero_point")
    u = x / s
    return s * torch.clamp(pass_through(torch.round(u), u), -zero, LEVELS - zero)


def stepped(unit: Unit, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return two convolutions with a ReLU and a learnt step in between."""
    first, second = unit.layers
    h = nearest(unit, "r0.q", torch.relu(F.conv2d(x, unit.weight(first), padding=1)))
    return {second: F.conv2d(h, unit.weight(second), padding=1)}


def transformed(unit: Unit, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return two convolutions, each scaled and shifted, behind learnt steps that are mixed in."""
    found, h = {}, x
    for layer, quantizer in zip(unit.layers, ("input.q", "r0.q"), strict=True):
        h = h if not found else torch.relu(h)
        h = QUANTIZED * nearest(unit, quantizer, h) + (1.0 - QUANTIZED) * h
        xi, eta = (unit(layer, name)[:, None, None] for name in ("xi", "eta"))
        h = found[layer] = xi * F.conv2d(h, unit.weight(layer), padding=1) + eta
    return found


def work(unit: Unit, forward, lam: float, beta: float, mix: bool) -> Work:
    """Return one iteration: draw a batch, mix its input, forward, backward, Adam.

    Its results are in float64: a rounding error of float32 moves a level now and then.
    """
    x = unit.given["x"]
    adam = torch.optim.Adam(unit.parameters(), lr=1e-3)

    def loss(unit: Unit, x: torch.Tensor, rows: torch.Tensor | slice) -> torch.Tensor:
        found = forward(unit, x).items()
        return sum((y - unit(site, "target")[rows]).pow(2).sum(1).mean() for site, y in found)

    def run() -> None:
        adam.zero_grad()
        rows = torch.randint(len(x), (BATCH,))
        batch = x[rows]
        if mix:  # quantized and real inputs happen to be the same here
            batch = torch.where(torch.rand_like(batch) < 0.5, batch, x[rows])
        (loss(unit, batch, rows) + unit.penalty(lam, beta)).backward()
        adam.step()

    def results() -> dict[str, np.ndarray]:
        wide = unit.widened()
        grads = torch.autograd.grad(loss(wide, wide.given["x"], slice(None)), wide.parameters())
        return {name: grad.numpy() for name, grad in zip(wide.learnt, grads, strict=True)}

    return Work(run, results)


def aquant_step(inputs: dict[str, np.ndarray]) -> Work:
    """One iteration of AQuant on one layer."""
    unit = Unit(inputs, ("alpha", "s_x", "b0", "b1", "b2", "fusion"))
    return work(unit, bordered, 0.05, 11.0, mix=True)


def aquant_step_compiled(inputs: dict[str, np.ndarray]) -> Work:
    """The same, forward and backward compiled."""
    unit = Unit(inputs, ("alpha", "s_x", "b0", "b1", "b2", "fusion"))
    compiled = torch.compile(bordered, dynamic=False)
    return work(unit, compiled, 0.05, 11.0, mix=True)


def joint_step(inputs: dict[str, np.ndarray]) -> Work:
    """One iteration of AdaRound and LSQ together on a block of two layers."""
    return work(Unit(inputs, ("alpha", "s_x")), stepped, 0.01, 13.0, mix=False)


def transform_step(inputs: dict[str, np.ndarray]) -> Work:
    """One iteration of AdaQTransform on a network of two layers."""
    unit = Unit(inputs, ("alpha", "s_x", "xi", "eta"))
    return work(unit, transformed, 0.01, 13.0, mix=False)


PEERS = {
    "aquant-step": aquant_step,
    "aquant-step-compiled": aquant_step_compiled,
    "joint-step": joint_step,
    "transform-step": transform_step,
}
