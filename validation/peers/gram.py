"""AdaRound of one layer in PyTorch: on batches, as released codes do it, and on the Gram matrix."""

import numpy as np
import torch
import torch.nn.functional as F

from validation.peers.work import Work

LN11 = 2.3978952727983707
BATCH = 32


class Soft(torch.nn.Module):
    """Weights rounded softly: step * clip(floor(w / step) + h(alpha), low, high)."""

    def __init__(self, inputs: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.step = torch.from_numpy(inputs["step"])
        self.low, self.high = (float(v) for v in inputs["limits"])
        self.floor = torch.floor(torch.from_numpy(inputs["w"]) / self.step)
        self.alpha = torch.nn.Parameter(torch.from_numpy(inputs["alpha"].copy()))

    def share(self) -> torch.Tensor:
        """Return h(alpha), between 0 and 1."""
        return torch.clamp(torch.sigmoid(self.alpha) * 1.2 - 0.1, 0.0, 1.0)

    def forward(self) -> torch.Tensor:
        """Return the soft weight."""
        return self.step * torch.clamp(self.floor + self.share(), self.low, self.high)

    def penalty(self, lam: float, beta: float) -> torch.Tensor:
        """Return the rounding regulariser."""
        return lam * (1.0 - (2.0 * self.share() - 1.0).abs().pow(beta)).sum()

    def hard(self) -> torch.Tensor:
        """Return the weight rounded for good."""
        up = (self.alpha >= 0.0).float()
        return self.step * torch.clamp(self.floor + up, self.low, self.high)


def adaround_minibatch(inputs: dict[str, np.ndarray]) -> Work:
    """One iteration: draw a batch, forward, backward, Adam."""
    x = torch.from_numpy(inputs["x"])
    target = F.conv2d(x, torch.from_numpy(inputs["w"]), padding=1)
    soft = Soft(inputs)
    adam = torch.optim.Adam([soft.alpha], lr=1e-3)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        out = F.conv2d(x[rows], soft(), padding=1)
        fit = (out - target[rows]).pow(2).sum(1).mean()
        return fit + soft.penalty(0.01, 10.0)

    def run() -> None:
        adam.zero_grad()
        loss(torch.randperm(len(x))[:BATCH]).backward()
        adam.step()

    def results() -> dict[str, np.ndarray]:
        (grad,) = torch.autograd.grad(loss(torch.arange(len(x))), [soft.alpha])
        return {"d_alpha": grad.numpy()}

    return Work(run, results)


def gram_step(inputs: dict[str, np.ndarray]) -> Work:
    """One full-batch iteration on the same Gram matrix as ours: autograd and Adam."""
    soft = Soft(inputs)
    gram = torch.from_numpy(inputs["gram"])
    flat = torch.from_numpy(inputs["w"]).flatten(1)
    adam = torch.optim.Adam([soft.alpha], lr=1e-3)

    def loss() -> torch.Tensor:
        error = soft().flatten(1) - flat
        return ((error @ gram) * error).sum() + soft.penalty(0.01, 10.0)

    def run() -> None:
        adam.zero_grad()
        loss().backward()
        adam.step()

    def results() -> dict[str, np.ndarray]:
        (grad,) = torch.autograd.grad(loss(), [soft.alpha])
        return {"d_alpha": grad.numpy()}

    return Work(run, results)


def gram_step_by_hand(inputs: dict[str, np.ndarray]) -> Work:
    """The same with the gradient written out and Adam fused: the fastest we could make it."""
    soft = Soft(inputs)
    gram = torch.from_numpy(inputs["gram"])
    flat = torch.from_numpy(inputs["w"]).flatten(1)
    adam = torch.optim.Adam([soft.alpha], lr=1e-3, fused=True)
    step = soft.step.flatten(1)

    def gradient() -> torch.Tensor:
        t = torch.tanh(soft.alpha.detach() * 0.5).flatten(1)
        c = (1.2 * t).clamp(-1.0, 1.0)
        levels = soft.floor.flatten(1) + (c + 1.0) * 0.5
        error = step * levels.clamp(soft.low, soft.high) - flat
        d_h = 2.0 * step * (error @ gram)
        inside = (levels >= soft.low) & (levels <= soft.high)
        power = c.abs().pow(9.0).copysign(c) * (-2.0 * 0.01 * 10.0)
        slope = 0.3 * (1.0 - t * t) * (soft.alpha.detach().flatten(1).abs() <= LN11)
        return ((d_h * inside + power) * slope).reshape(soft.alpha.shape)

    def run() -> None:
        soft.alpha.grad = gradient()
        adam.step()

    return Work(run, lambda: {"d_alpha": gradient().numpy()})


PEERS = {
    "adaround-minibatch": adaround_minibatch,
    "gram-step": gram_step,
    "gram-step-by-hand": gram_step_by_hand,
}
