"""AdaRound, joint AdaRound + LSQ, and AdaQTransform of one layer in PyTorch: whole runs.

The literal loop of released codes: batches of 32, Adam, rounding regulariser with beta from 20 to 2
behind a warm-up of 20 %, cosine for everything but alpha. Published rates are those of 20,000
steps; they are multiplied by 20,000 / 5,000, with which alpha ended lower on our layers than with
the root of that, and than unscaled.
"""

import numpy as np
import torch
import torch.nn.functional as F

from validation.peers.gram import BATCH, Soft
from validation.peers.work import Work

STEPS, PART = 5000, 500  # of a run, and of the part that is timed
PUBLISHED = 20_000
WARM_UP, START, END, LAM = 0.2, 20.0, 2.0, 0.01


class Round(torch.autograd.Function):
    """Rounding to nearest, straight through."""

    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, d_y):
        return d_y


class Layer(torch.nn.Module):
    """A convolution with soft weights and, as the inputs of the case say, s_x, xi and eta."""

    def __init__(self, inputs: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.soft = Soft(inputs)
        self.s_x = self.xi = self.eta = None
        if "s_x" in inputs:
            self.s_x = torch.nn.Parameter(torch.from_numpy(inputs["s_x"].copy()))
            self.x_limits = tuple(float(v) for v in inputs["x_limits"])
        if "xi" in inputs:
            self.xi = torch.nn.Parameter(torch.from_numpy(inputs["xi"].copy()))
            self.eta = torch.nn.Parameter(torch.from_numpy(inputs["eta"].copy()))

    def forward(self, x: torch.Tensor, w: torch.Tensor | None = None) -> torch.Tensor:
        """Return the layer's output, with soft weights or the given ones."""
        if self.s_x is not None:
            x = self.s_x * torch.clamp(Round.apply(x / self.s_x), *self.x_limits)
        y = F.conv2d(x, self.soft() if w is None else w, padding=1)
        if self.xi is None:
            return y
        return self.xi.reshape(-1, 1, 1) * y + self.eta.reshape(-1, 1, 1)

    def others(self) -> list[torch.nn.Parameter]:
        """Return what is learnt besides alpha."""
        return [p for p in (self.s_x, self.xi, self.eta) if p is not None]


def beta_at(step: int, steps: int) -> float | None:
    """Return the exponent of the regulariser, None in the warm-up."""
    if step < WARM_UP * steps:
        return None
    progress = (step - WARM_UP * steps) / (steps - WARM_UP * steps)
    return END + (START - END) * (1.0 - progress)


def train(inputs: dict[str, np.ndarray], steps: int) -> Layer:
    """Return the layer after a run of so many steps."""
    x = torch.from_numpy(inputs["x"])
    target = F.conv2d(x, torch.from_numpy(inputs["w"]), padding=1)
    layer = Layer(inputs)
    share = PUBLISHED / steps
    alpha = torch.optim.Adam([layer.soft.alpha], lr=1e-3 * share)
    rest = torch.optim.Adam(layer.others(), lr=4e-5 * share) if layer.others() else None
    curve = torch.optim.lr_scheduler.CosineAnnealingLR(rest, steps) if rest else None
    torch.manual_seed(0)
    for step in range(1, steps + 1):
        alpha.zero_grad()
        if rest:
            rest.zero_grad()
        rows = torch.randperm(len(x))[:BATCH]
        loss = (layer(x[rows]) - target[rows]).pow(2).sum(1).mean()
        beta = beta_at(step, steps)
        if beta is not None:
            loss = loss + layer.soft.penalty(LAM, beta)
        loss.backward()
        alpha.step()
        if rest and curve:
            rest.step()
            curve.step()
    return layer


def solve(inputs: dict[str, np.ndarray]) -> Work:
    """A whole run; a tenth of it is timed."""

    def results() -> dict[str, np.ndarray]:
        layer = train(inputs, STEPS)
        found = {"w_hat": layer.soft.hard()}
        names = ("s_x", "xi", "eta")
        found |= {n: getattr(layer, n) for n in names if getattr(layer, n) is not None}
        return {name: value.detach().numpy() for name, value in found.items()}

    return Work(lambda: train(inputs, PART), results)


PEERS = {"solve": solve}
