"""Second moments of every layer's input and of what its product shall be, in one pass.

    symbol   here       shape      meaning
    xh       --         (d, l)     patches that the quantized network gives the layer, of one group
    y        --         (c, l)     the layer's output in the float network, batch norm included
    r        --         (c, l)     y - b - eta
    --       gram       (g, d, d)  sum of xh xh^T; g groups
    --       cross      (c, d)     sum of r xh^T
    --       power      (c,)       sum of r^2
    l        columns    --         samples times positions

A scale per pixel differs from column to column, so it goes with the input: every channel is then a
group of its own, with xi xh for xh.

float64, whatever the network's dtype; a few samples at a time, as patches are large.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, TypeGuard

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network import Network
from refquant.network.lower import norm_behind
from refquant.quantizers.transform import lined_up
from refquant.report.hard import values_of

SAMPLES = 32  # in one pass


class LayerSums(NamedTuple):
    """See the module's table."""

    gram: Array
    cross: Array
    power: Array
    columns: int


def layer_sums(
    network: Network, reference: Network, layers: Collection[str], x: Array
) -> dict[str, LayerSums]:
    """Return the sums of some layers.

    Parameters
    ----------
    network : Network
        Quantized, with its rounded weights in place.
    reference : Network
        The float network, with the same layers.
    layers : collection of str
    x : array (n, *input_shape)
    """
    wanted = {name: _end(reference, name) for name in layers}
    given = {name: network.node(f"{name}.product").inputs[0] for name in layers}
    sums: dict[str, LayerSums] = {}
    quantized = values_of(network, x, tuple(given.values()), SAMPLES)
    real = values_of(reference, x, tuple(wanted.values()), SAMPLES)
    for values, targets in zip(quantized, real, strict=True):
        for name in layers:
            rest = _for_the_product(network, name, targets[wanted[name]])
            found = _sums(_pairs(network, name, values[given[name]], rest))
            sums[name] = _plus(sums[name], found) if name in sums else found
    return sums


def _end(reference: Network, layer: str) -> str:
    """The edge of the float network that a layer's output stands for."""
    norm = norm_behind(reference, layer)
    return norm.name if norm else layer


def _for_the_product(network: Network, name: str, y: Array) -> Array:
    """y - b - eta."""
    for parameter in ("bias", "eta"):
        value = network.params.get((name, parameter))
        if value is not None:
            y = y - (lined_up(value, y[0]) if value.ndim == 1 else value)
    return y


def _pairs(
    network: Network, name: str, patches: Array, rest: Array
) -> Iterator[tuple[Array, Array]]:
    """Yield xh (d, l) and r (channels, l) of each group; of each channel where xi is per pixel."""
    groups = network.node(f"{name}.product").attr("groups")
    columns, xi = _columns(patches, groups), network.params.get((name, "xi"))
    if not is_per_pixel(xi):
        yield from zip(columns, _columns(rest, groups), strict=True)
        return
    channels = len(xi)
    scales = np.tile(xi.reshape(channels, -1).astype(np.float64), len(patches))
    for c, r in enumerate(_columns(rest, channels)):
        yield scales[c] * columns[c * groups // channels], r


def is_per_pixel(xi: Array | None) -> TypeGuard[Array]:
    """Return whether a scale differs from position to position, (c, h, w)."""
    return xi is not None and xi.ndim > 1


def _columns(value: Array, groups: int) -> Array:
    """(n, g c, ...) as (g, c, columns), in float64."""
    rows = value.reshape(len(value), value.shape[1], -1).astype(np.float64)
    return np.moveaxis(rows, 0, 1).reshape(groups, value.shape[1] // groups, -1)


def _sums(pairs: Iterable[tuple[Array, Array]]) -> LayerSums:
    gram, cross, power, columns = list[Array](), list[Array](), list[Array](), 0
    for x, r in pairs:
        gram.append(nx.matmul(x, x.T))
        cross.append(nx.matmul(r, x.T))
        power.append(nx.sum(r * r, axis=1))
        columns = x.shape[1]
    return LayerSums(np.stack(gram), np.concatenate(cross), np.concatenate(power), columns)


def _plus(a: LayerSums, b: LayerSums) -> LayerSums:
    parts = (a.gram + b.gram, a.cross + b.cross, a.power + b.power)
    return LayerSums(*parts, a.columns + b.columns)
