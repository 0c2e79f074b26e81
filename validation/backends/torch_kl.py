"""The KL calibrators in PyTorch: bins by torch.bucketize, groups by scatter."""

import torch

from validation.backends.torch_tools import Given, Tensor, per_axis, rows


def histogram(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Counts of bins [a, b), the last one closed, in float64; torch.histc rounds its positions."""
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64, device=values.device)[1:-1]
    at = torch.bucketize(values.double(), edges, right=True)
    return torch.bincount(at, minlength=bins).double()


def grouped(p: Tensor, groups: int) -> Tensor:
    """Group j holds the bins from ceil(j m / groups) on; its mass is shared by those not empty."""
    group = torch.arange(len(p), device=p.device) * groups // len(p)
    mass = p.new_zeros(groups).scatter_add(0, group, p)
    filled = p.new_zeros(groups).scatter_add(0, group, (p != 0).to(p.dtype))
    return torch.where(p != 0, (mass / filled)[group], 0.0)


def smoothed(p: Tensor) -> Tensor:
    """Zeros get 1e-4, the others a share of it, and all of it is normalised."""
    zeros = (p == 0).sum()
    added = 1e-4 * zeros / (len(p) - zeros)
    p = torch.where(p == 0, 1e-4, p + added) if added < 1 else p
    return p / p.sum()


def amct_step(row: Tensor, a: Given) -> Tensor:
    """The window with the smallest divergence."""
    reach, bins = float(row.abs().max()), a["bins"]
    if reach == 0:
        return row.new_ones(())
    counts, found = histogram(row, -reach, reach, bins), []
    for i in range(a["searches"]):
        p = counts[i : bins - i].clone()
        p[0] += counts[:i].sum()
        p[-1] += counts[bins - i :].sum()
        of_p, of_q = smoothed(p), smoothed(grouped(p, 2 ** a["bits"] - 1))
        found.append(torch.special.xlogy(of_p, of_p / of_q).sum())
    best = int(torch.stack(found).argmin())
    s = (reach - best * 2 * reach / bins) / 2 ** (a["bits"] - 1)
    return row.new_tensor(s if s >= 2**-23 else 1.0)


def kl_scale_amct(x: Given, a: Given) -> Given:
    """Row by row."""
    found = [amct_step(row, a) for row in rows(x["w"], a["axis"])]
    return {"s": per_axis(torch.stack(found), a["axis"])}


def kl_scale_trt(x: Given, a: Given) -> Given:
    """The number of bins with the smallest divergence."""
    values, bins, levels = x["x"].abs().flatten(), a["bins"], 2 ** (a["bits"] - 1)
    reach = float(values.max())
    if reach == 0:
        return {"s": values.new_ones(())}
    h, first = histogram(values, 0.0, reach, bins), int(0.002 * bins)
    h[:first], h[first] = 0, 1
    found = []
    for kept in range(levels, bins + 1, levels):
        q = grouped(h[:kept], levels)
        p = h[:kept].clone()
        p[-1] += h[kept:].sum()
        of_p, of_q = p / h.sum(), q / q.sum()
        terms = of_p * (torch.log10(of_p + 1e-30) - torch.log10(of_q + 1e-30))
        found.append(torch.where(h[:kept].sum() > 0, terms.sum(), torch.inf))
    best = int(torch.stack(found).argmin()) + 1
    return {"s": values.new_tensor(best * reach / bins)}


FORWARD = {"kl_scale_amct": kl_scale_amct, "kl_scale_trt": kl_scale_trt}
EAGER = dict.fromkeys(FORWARD, "the data decide how much there is to do")
