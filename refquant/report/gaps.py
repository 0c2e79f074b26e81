"""How far the codes of a quantized network are from the best ones, layer by layer.

Reference: methods.md 7 (P32 to P34). Each layer is looked at by itself, with the inputs that the
rest of the network gives it, against its output in the float network, batch norm included:

    loss     mean over samples and positions of (xi What xh + b + eta - y)^2, summed over channels
    best     the smallest loss of any rounding up or down of its float weights, where `exact`;
             otherwise a lower bound that no rounding can beat
    gap      loss - best: what is lost, or, where not `exact`, the most that can be lost
    surely   the least that is lost: what a local search from these codes wins back; the gap itself
             where `exact`

    symbol   here     shape         meaning
    m        --       (c_out,)      xi times the step that multiplies over the step that rounds
    t        --       (c_out, l)    (y - b - eta) / m, what step times codes times input shall be

so that the loss of a channel is m^2 times that of a row of `refquant.optimal.gap`. An xi per pixel
belongs to the input instead, xi xh, and every channel has a quadratic form of its own.

Not feasible: codes that are no rounding up or down of the float weight, as of a step or a weight
that was learnt away from it; the gap then compares with another set and may be negative.

Nothing can be said, and the reason is given, where weights are real.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network import Network, linear_nodes
from refquant.optimal.brute_force import MAX_FREE
from refquant.optimal.gap import rounding_gap
from refquant.optimal.local_search import one_flip
from refquant.optimal.moments import InputMoments, Target
from refquant.optimal.qubo import build_qubo, qubo_energy
from refquant.optimal.row import Row, weight_row
from refquant.quantizers.grid import Grid, QParams
from refquant.report.hard import Rounded, hard_network
from refquant.report.layer_sums import LayerSums, is_per_pixel, layer_sums


class LayerGap(NamedTuple):
    """One layer's distance to its optimum; see the module's table. None where nothing is known."""

    layer: str
    loss: float | None = None
    best: float | None = None
    gap: float | None = None
    surely: float | None = None
    exact: bool = False
    feasible: bool = False
    reason: str = ""


class Rows(NamedTuple):
    """A layer's channels: float weight and step that rounds, levels (c_out, d), and m."""

    w: Array
    qparams: QParams
    levels: Array
    factor: Array


def optimality_gaps(
    prepared: Network,
    reference: Network,
    layers: Mapping[str, Rounded],
    grids: Mapping[str, Grid],
    x: Array,
    max_exact: int = MAX_FREE,
) -> tuple[LayerGap, ...]:
    """Return the gap of every linear layer, in running order.

    Parameters
    ----------
    prepared, reference : Network
        Lowered: the quantized network with float weights, and the float network itself.
    layers, grids : mappings of layer name to rounded weights and their grid
        Empty where weights are real.
    x : array (n, *input_shape)
        Inputs over which the errors are averaged.
    max_exact : int
        Up to that many free weights a channel, 0..22, the optimum is found; beyond, a bound.
    """
    reasons = {name: _reason(layers, name) for name in linear_nodes(prepared)}
    known = [name for name, reason in reasons.items() if not reason]
    sums = layer_sums(hard_network(prepared, layers), reference, known, x)
    found = []
    for name, reason in reasons.items():
        if reason:
            found.append(LayerGap(name, reason=reason))
        else:
            rows = _rows(prepared, name, layers[name], grids[name])
            found.append(_layer(name, rows, sums[name], max_exact))
    return tuple(found)


def _reason(layers: Mapping[str, Rounded], name: str) -> str:
    """Why nothing can be said of a layer; empty if something can."""
    return "" if name in layers else "its weights are real numbers"


def _rows(prepared: Network, name: str, layer: Rounded, grid: Grid) -> Rows:
    w = prepared.params[(f"{name}.product", "w")].astype(np.float64)
    rounds, multiplies = (
        np.broadcast_to(step.astype(np.float64), (len(w),))
        for step in (layer.s_w if layer.s_w_in is None else layer.s_w_in, layer.s_w)
    )
    xi = prepared.params.get((name, "xi"), np.ones(()))
    scale = np.ones(()) if is_per_pixel(xi) else xi  # else it is in the sums
    shape = (-1, *(1,) * (w.ndim - 1))
    return Rows(
        w=w,
        qparams=QParams(rounds.reshape(shape), layer.zero_point, grid),
        levels=(layer.codes - layer.zero_point).reshape(len(w), -1),
        factor=np.broadcast_to(scale * multiplies / rounds, (len(w),)),
    )


def _layer(name: str, rows: Rows, sums: LayerSums, max_exact: int) -> LayerGap:
    """The sum over the channels, which are independent (P33)."""
    found = [_channel(rows, sums, c, max_exact) for c in range(len(rows.w))]
    return LayerGap(
        name,
        loss=_total([channel.loss for channel in found]),
        best=_total([channel.best for channel in found]),
        gap=_total([channel.gap for channel in found]),
        surely=_total([channel.surely for channel in found]),
        exact=all(channel.exact for channel in found),
        feasible=all(channel.feasible for channel in found),
    )


def _total(values: list[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    known = [value for value in values if value is not None]
    return float(nx.sum(np.array(known))) if len(known) == len(values) else None


def _channel(rows: Rows, sums: LayerSums, c: int, max_exact: int) -> LayerGap:
    """One channel: m^2 times the gap of its row. With m = 0 no code changes anything."""
    power, square = float(sums.power[c]) / sums.columns, float(rows.factor[c]) ** 2
    if square == 0.0:
        return LayerGap("", power, power, 0.0, 0.0, True, True)
    row, levels = weight_row(rows.w, rows.qparams, c), rows.levels[c]
    group = c * len(sums.gram) // len(rows.w)
    moments = InputMoments(_mean(sums.gram[group], sums.columns))
    cross = sums.cross[c] / (sums.columns * float(rows.factor[c]))
    target = Target(cross, power / square)
    gap = rounding_gap(row, levels, moments, max_exact, target)
    surely: float | None = gap.gap
    if not gap.exact:
        surely = _won_back(row, levels, moments, target) if gap.feasible else None
    return LayerGap(
        "",
        loss=square * gap.loss,
        best=square * gap.best,
        gap=square * gap.gap,
        surely=None if surely is None else square * surely,
        exact=gap.exact,
        feasible=gap.feasible,
    )


def _mean(gram: Array, columns: int) -> Array:
    """The Gram matrix as a mean, symmetric to the last bit."""
    return np.asarray((gram + gram.T) * (0.5 / columns))


def _won_back(row: Row, levels: Array, moments: InputMoments, target: Target) -> float:
    """What single flips win back, from the levels as they are."""
    qubo = build_qubo(row, moments, target)
    h = (levels - qubo.base)[qubo.free]
    return float(qubo_energy(qubo.q, h)) - one_flip(qubo.q, h).energy
