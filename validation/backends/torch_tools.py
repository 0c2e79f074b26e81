"""What the ops in PyTorch share: straight-through values, closed clips, rows."""

from collections.abc import Mapping
from typing import Any

import torch

from validation.backends.common import LARGE

Tensor = torch.Tensor
Given = Mapping[str, Any]


def straight(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of `hard` with the gradient of `soft`."""
    return soft + (hard - soft).detach()


def nearest(u: Tensor) -> Tensor:
    """Round to nearest, ties to even, straight through."""
    return straight(torch.round(u), u)


def clip(t: Tensor, low: Any, high: Any, always: bool = False) -> Tensor:
    """Clamp; the gradient passes on the closed interval, or `always`."""
    limited = torch.clamp(t, low, high)
    return straight(limited, t) if always else limited


def finite(x: Tensor) -> Tensor:
    """NaN as 0 and infinities as huge numbers, so that autograd never multiplies one by a mask."""
    return torch.nan_to_num(x, 0.0, LARGE, -LARGE)


def counted(n: int, like: Tensor) -> Tensor:
    """0 to n - 1 in the dtype and on the device of a tensor."""
    return torch.arange(n, dtype=like.dtype, device=like.device)


def rows(x: Tensor, axis: int | None) -> Tensor:
    """A row of values for each index of the axis; one row if there is none."""
    return x.reshape(1, -1) if axis is None else x.movedim(axis, 0).flatten(1)


def per_axis(found: Tensor, axis: int | None) -> Tensor:
    """The answers of `rows`, without an axis if there is none."""
    return found[0] if axis is None else found
