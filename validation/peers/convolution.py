"""A convolution in PyTorch, forward and backward."""

import numpy as np
import torch
import torch.nn.functional as F

from validation.peers.work import Work


def convolution(inputs: dict[str, np.ndarray]) -> Work:
    """Return y, d_x and d_w of a 3x3 convolution."""
    x, w = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("x", "w"))
    d_y = torch.from_numpy(inputs["d_y"])

    def pulled() -> tuple[torch.Tensor, ...]:
        y = F.conv2d(x, w, padding=1)
        return y.detach(), *torch.autograd.grad(y, (x, w), d_y)

    def results() -> dict[str, np.ndarray]:
        return dict(zip(("y", "d_x", "d_w"), (v.numpy() for v in pulled()), strict=True))

    return Work(pulled, results)


PEERS = {"convolution": convolution}
