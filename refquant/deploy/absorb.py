"""Batch norms that were not folded become scale and shift of the layer before them, exactly.

Reference: AdaQTransform, equation 10; methods 15.3 and decision D19 (P43).

    gamma (core + b - mu)/sd + beta = xi core + b + eta
    xi = gamma / sd        eta = beta + (b - mu) gamma / sd - b

This is the map of `refquant.optimal.batch_norm_map` for the batch norm that does nothing
(gamma = sd, beta = mu), so the way back is its inverse.
"""

from dataclasses import replace

import numpy as np

from refquant._types import Array
from refquant.network import Network, bypass, linear_nodes
from refquant.network.graph import Key
from refquant.network.lower import norm_behind
from refquant.optimal.batch_norm_map import FoldedNorm, batch_norm_to_transform
from refquant.quantizers.transform import lined_up


def absorb_norms(network: Network) -> tuple[Network, dict[Key, Array]]:
    """Return the network without the batch norms right behind layers, and the layers' xi and eta.

    Parameters
    ----------
    network : Network
        Lowered. A layer with xi and eta of its own keeps their effect.

    Returns
    -------
    network : Network
        The norms are identities without parameters.
    found : mapping of (layer, "xi" or "eta") to array
        (c_out,), or as the layer's own.
    """
    norms = {name: norm_behind(network, name) for name in linear_nodes(network)}
    found: dict[Key, Array] = {}
    for layer, norm in norms.items():
        if norm is not None:
            p, bias = network.params_of(norm.name), network.params.get((layer, "bias"))
            idle = idle_norm(p["mean"], p["var"], norm.attr("eps"), bias)
            pair = batch_norm_to_transform(p["gamma"], p["beta"], idle)
            own = network.params_of(layer)
            found[(layer, "xi")] = _times(pair.scale, own["xi"]) if "xi" in own else pair.scale
            found[(layer, "eta")] = pair.shift
            if "eta" in own:
                shift = lined_up(pair.shift, own["eta"])
                found[(layer, "eta")] = shift + _times(pair.scale, own["eta"])
    gone = {norm.name for norm in norms.values() if norm is not None}
    kept = {key: value for key, value in network.params.items() if key[0] not in gone}
    return replace(bypass(network, gone), params=kept), found


def _times(scale: Array, own: Array) -> Array:
    """The norm's (c_out,) scale times the layer's own parameter."""
    return np.asarray(lined_up(scale, own) * own)


def idle_norm(mean: Array, var: Array, eps: float, bias: Array | None) -> FoldedNorm:
    """Return the batch norm with these statistics that changes nothing."""
    sd = np.sqrt(var + np.asarray(eps, var.dtype))
    return FoldedNorm(sd, mean, mean, sd, bias)
