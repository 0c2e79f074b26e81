"""A-rounding and SQuant in PyTorch: order by torch.argsort, flip by place."""

import torch

from validation.backends.torch_tools import Given, Tensor, counted


def marked(order: Tensor, count: Tensor) -> Tensor:
    """Which elements are among the first `count` of an order along the last axis."""
    rank = torch.empty_like(order).scatter_(
        -1, order, counted(order.shape[-1], order).expand_as(order)
    )
    return rank < count[..., None]


def channel_stage(u: Tensor, q: Tensor, n: int, p: int) -> tuple[Tensor, Tensor, Tensor]:
    """Levels, and of each channel the place and the direction of its candidate (0: none)."""
    r = q - u
    total = r.sum(-1)
    toward = torch.sign(total)[..., None]
    free = (torch.sign(r) == toward) & (toward != 0) & torch.where(toward > 0, u > n, u < p)
    order = torch.argsort(torch.where(free, -r.abs(), torch.inf), dim=-1, stable=True)
    able = free.sum(-1)
    flips = torch.minimum(torch.round(total.abs()).to(torch.int64), able)
    levels = q - toward * marked(order, flips)
    back = (flips > 0) & (flips >= total.abs())
    on = ~back & (flips < able)
    at = torch.clamp(torch.where(back, flips - 1, flips), max=u.shape[-1] - 1)
    place = order.gather(-1, at[..., None])[..., 0]
    return levels, place, toward[..., 0] * (back.to(u.dtype) - on.to(u.dtype))


def vector_stage(u: Tensor, q: Tensor, place: Tensor, move: Tensor) -> Tensor:
    """Take the candidates of largest |r| that lower the sum over all channels."""
    r = q - u
    total = r.sum((-2, -1))
    useful = (move != 0) & (move == -torch.sign(total)[..., None])
    size = r.gather(-1, place[..., None])[..., 0].abs()
    order = torch.argsort(torch.where(useful, -size, torch.inf), dim=-1, stable=True)
    taken = marked(order, torch.round(total.abs()).to(torch.int64)) & useful
    return q.scatter_add(-1, place[..., None], (move * taken)[..., None])


def flipped(u: Tensor, n: int, p: int, kernel: bool = True, channel: bool = True) -> Tensor:
    """Levels before the clip of vectors (v, c, k)."""
    q = torch.round(u)
    if kernel:
        q, place, move = channel_stage(u, q, n, p)
        return vector_stage(u, q, place, move) if channel else q
    if not channel:
        return q
    whole = channel_stage(u.flatten(1)[:, None], q.flatten(1)[:, None], n, p)[0]
    return whole.reshape(u.shape)


def a_rounding(x: Given, a: Given) -> Given:
    """What is not finite takes no part."""
    u = torch.where(torch.isfinite(x["u"]), x["u"], 0.0)
    q = flipped(u, a["n"], a["p"])
    level = torch.where(x["u"].abs() == torch.inf, x["u"], q)
    return {"q": torch.clamp(level, a["n"], a["p"]).to(torch.int64), "r": q - u}


def squant_weight(x: Given, a: Given) -> Given:
    """Per filter: affine steps, then both stages, or one."""
    w, top = x["w"], 2 ** a["bits"] - 1
    low, high = torch.clamp(w.amin((1, 2)), max=0), torch.clamp(w.amax((1, 2)), min=0)
    s = torch.clamp((high - low) / top, min=1e-8)
    zero = torch.clamp(-torch.round(low / s), 0, top)
    n, p = (end[:, None, None] for end in (-zero, top - zero))
    q = flipped(w / s[:, None, None], n, p, a["kernel"], a["channel"])
    codes = torch.clamp(q, n, p) + zero[:, None, None]
    return {"codes": codes.to(torch.int64), "s": s, "zero_point": zero.to(torch.int64)}


FORWARD = {"a_rounding": a_rounding, "squant_weight": squant_weight}
