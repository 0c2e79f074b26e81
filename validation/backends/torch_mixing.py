"""Mixing values with their quantized selves, and weights that choose among levels, in PyTorch."""

import torch

from validation.backends.common import CODES, per_row
from validation.backends.torch_tools import Given


def qdrop_mix(x: Given, a: Given) -> Given:
    """torch.where keeps NaN out of what it does not take."""
    return {"y": torch.where(x["mask"].bool(), x["x_q"], x["x"])}


def amixup(x: Given, a: Given) -> Given:
    """Shares of 0 and 1 select."""
    share = x["share"]
    kept = torch.where(share == 0, 0.0, share * x["x"])
    return {"y": kept + torch.where(share == 1, 0.0, (1 - share) * x["x_q"])}


def asoftmax(x: Given, a: Given) -> Given:
    """The mean of the candidates, and the one of the largest logit."""
    w, s, z = x["w"], per_row(x["s"], x["w"]), per_row(x["zero_point"], x["w"])
    n, p = (code - z for code in CODES[a["grid"]](a["bits"]))
    base = torch.floor(w / s)
    offsets = x["logits"].new_tensor(a["offsets"])
    shares = torch.softmax(x["logits"] / a["temperature"], -1)
    soft = torch.clamp(base + (shares * offsets).sum(-1), n, p)
    hard = torch.clamp(base + offsets[x["logits"].argmax(-1)], n, p)
    rests = torch.isnan(w)
    codes = torch.where(rests, 0, hard).to(torch.int64) + z
    return {"w_hat": s * torch.where(rests, 0.0, soft), "codes": codes}


FORWARD = {"qdrop_mix": qdrop_mix, "amixup": amixup, "asoftmax": asoftmax}
