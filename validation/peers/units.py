"""Steps of block reconstruction in PyTorch: AQuant on patches, AdaRound with learnt steps."""

import numpy as np
import torch
import torch.nn.functional as F

from validation.peers.work import Work

BATCH, ROUNDED = 32, 0.7
LEVELS = 15.0  # 4 bits


def pass_through(rounded: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """Return `rounded` with the gradient of `smooth`."""
    return smooth + (rounded - smooth).detach()


class Unit(torch.nn.Module):
    """Parameters by their "node.parameter" name; those of `learnt` get gradients."""

    def __init__(self, inputs: dict[str, np.ndarray], learnt: tuple[str, ...]) -> None:
        super().__init__()
        self.given = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
        self.learnt = [name for name in inputs if name.split(".")[-1] in learnt]
        for name in self.learnt:
            self.given[name] = torch.nn.Parameter(self.given[name])
        self.layers = [name.split(".")[0] for name in inputs if name.endswith(".alpha")]
        self.floors = {x: torch.floor(self(x, "w") / self(x, "s_w")) for x in self.layers}

    def __call__(self, node: str, name: str) -> torch.Tensor:
        """Return one parameter."""
        return self.given[f"{node}.{name}"]

    def share(self, layer: str) -> torch.Tensor:
        """Return h(alpha), between 0 and 1."""
        return torch.clamp(torch.sigmoid(self(layer, "alpha")) * 1.2 - 0.1, 0.0, 1.0)

    def weight(self, layer: str) -> torch.Tensor:
        """Return the weight, rounded softly on an affine grid."""
        zero = self(layer, "zero_point")
        levels = self.floors[layer] + self.share(layer)
        return self(layer, "s_w") * torch.minimum(torch.maximum(levels, -zero), LEVELS - zero)

    def penalty(self, lam: float, beta: float) -> torch.Tensor:
        """Return the rounding regulariser."""
        shares = [(2.0 * self.share(layer) - 1.0).abs().pow(beta) for layer in self.layers]
        return lam * sum((1.0 - share).sum() for share in shares)

    def parameters(self) -> list[torch.nn.Parameter]:
        """Return what is learnt."""
        return [self.given[name] for name in self.learnt]


def bordered(unit: Unit, x: torch.Tensor) -> torch.Tensor:
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
    levels = torch.clamp(u + ROUNDED * (r - u), -zero, LEVELS - zero)
    columns = (s * levels).view(n, c * 9, h * w)
    return (unit.weight(layer).flatten(1) @ columns).view(n, -1, h, w)


def stepped(unit: Unit, x: torch.Tensor) -> torch.Tensor:
    """Return two convolutions with a ReLU and a learnt step in between."""
    first, second = unit.layers
    s, zero = unit("r0.q", "s_x"), unit("r0.q", "zero_point")
    u = torch.relu(F.conv2d(x, unit.weight(first), padding=1)) / s
    levels = torch.clamp(pass_through(torch.round(u), u), -zero, LEVELS - zero)
    return F.conv2d(s * levels, unit.weight(second), padding=1)


def work(unit: Unit, forward, lam: float, beta: float, mix: bool) -> Work:
    """Return one iteration: draw a batch, mix its input, forward, backward, Adam."""
    x, target = unit.given["x"], unit.given["target"]
    adam = torch.optim.Adam(unit.parameters(), lr=1e-3)

    def loss(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (forward(unit, x) - target).pow(2).sum(1).mean()

    def run() -> None:
        adam.zero_grad()
        rows = torch.randint(len(x), (BATCH,))
        batch = x[rows]
        if mix:  # quantized and real inputs happen to be the same here
            batch = torch.where(torch.rand_like(batch) < 0.5, batch, x[rows])
        (loss(batch, target[rows]) + unit.penalty(lam, beta)).backward()
        adam.step()

    def results() -> dict[str, np.ndarray]:
        grads = torch.autograd.grad(loss(x, target), unit.parameters())
        return {name: grad.numpy() for name, grad in zip(unit.learnt, grads, strict=True)}

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


PEERS = {
    "aquant-step": aquant_step,
    "aquant-step-compiled": aquant_step_compiled,
    "joint-step": joint_step,
}
