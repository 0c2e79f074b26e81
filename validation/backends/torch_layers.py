"""Layers in PyTorch: its own functions, on maps that are padded beforehand where sides differ."""

import math
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from validation.backends.torch_tools import Given, Tensor


def padded(x: Tensor, a: Given, value: float = 0.0) -> Tensor:
    """x with (top, left, bottom, right) around it."""
    top, left, bottom, right = a["padding"]
    return F.pad(x, (left, right, top, bottom), value=value)


def window(a: Given) -> tuple[Any, ...]:
    """Kernel, dilation, padding and stride, in the order of F.unfold."""
    return tuple(a["kernel"]), tuple(a["dilation"]), 0, tuple(a["stride"])


def col2im(x: Given, a: Given) -> Given:
    """F.fold onto the padded map, then its inside."""
    top, left, bottom, right = a["padding"]
    _, _, h, w = a["x_shape"]
    map_ = F.fold(x["patches"], (h + top + bottom, w + left + right), *window(a))
    return {"x": map_[:, :, top : top + h, left : left + w].contiguous()}


def conv2d(x: Given, a: Given) -> Given:
    """F.conv2d."""
    options = (tuple(a["stride"]), 0, tuple(a["dilation"]), a["groups"])
    return {"y": F.conv2d(padded(x["x"], a), x["w"], x.get("bias"), *options)}


def bn_infer(x: Given, a: Given) -> Given:
    """F.batch_norm with running statistics."""
    options = (x["mean"], x["var"], x["gamma"], x["beta"], False, 0.0, a["eps"])
    return {"y": F.batch_norm(x["x"], *options)}


def bn_fold(x: Given, a: Given) -> Given:
    """What torch.fx folds with."""
    options = (x["mean"], x["var"], a["eps"], x["gamma"], x["beta"])
    w, bias = fuse_conv_bn_weights(x["w"], x.get("bias"), *options)
    return {"w_folded": w, "bias_folded": bias}


def max_pool(x: Given, a: Given) -> Given:
    """F.max_pool2d; padding never wins."""
    options = (tuple(a["kernel"]), tuple(a["stride"]), 0, tuple(a["dilation"]))
    return {"y": F.max_pool2d(padded(x["x"], a, -torch.inf), *options)}


def average_pool(x: Given, a: Given) -> Given:
    """F.avg_pool2d, which knows symmetric padding of at most half a window and no dilation."""
    top, left, bottom, right = a["padding"]
    half = all(2 * p <= k for p, k in zip((top, left), a["kernel"], strict=True))
    if (top, left) == (bottom, right) and half and a["dilation"] == [1, 1]:
        options = tuple(a["kernel"]), tuple(a["stride"]), (top, left), False, a["count_include_pad"]
        return {"y": F.avg_pool2d(x["x"], *options)}
    return {"y": window_mean(x["x"], a)}


def window_mean(x: Tensor, a: Given) -> Tensor:
    """Sums of the patches over the taps on the map, or over all taps."""
    ones = torch.ones_like(x[:1, :1])
    sums, taps = (
        F.unfold(padded(t, a), *window(a)).unflatten(1, (t.shape[1], -1)).sum(2) for t in (x, ones)
    )
    mean = sums / (math.prod(a["kernel"]) if a["count_include_pad"] else taps)
    rows = x.shape[2] + sum(a["padding"][::2]) - a["dilation"][0] * (a["kernel"][0] - 1) - 1
    return mean.unflatten(2, (rows // a["stride"][0] + 1, -1))


FORWARD = {
    "im2col": lambda x, a: {"patches": F.unfold(padded(x["x"], a), *window(a))},
    "col2im": col2im,
    "conv2d": conv2d,
    "linear": lambda x, a: {"y": F.linear(x["x"], x["w"], x.get("bias"))},
    "bn_infer": bn_infer,
    "bn_fold": bn_fold,
    "relu": lambda x, a: {"y": F.relu(x["x"])},
    "relu6": lambda x, a: {"y": F.relu6(x["x"])},
    "max_pool": max_pool,
    "average_pool": average_pool,
    "global_average_pool": lambda x, a: {"y": F.adaptive_avg_pool2d(x["x"], 1)},
}
EAGER = {"bn_fold": "what torch folds with makes parameters, which dynamo does not take"}
