"""The loss of a unit: the terms of a phase, and where their gradients enter the network."""

from collections.abc import Mapping, Sequence

from refquant._types import Array
from refquant.losses.reconstruction import reconstruction_loss
from refquant.methods.setting import Term
from refquant.network.units import Unit


def sites(unit: Unit, terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the edges whose float values the terms are measured against."""
    edges: list[str] = []
    for term in terms:
        edges.extend((unit.output,) if term.at == "unit" else unit.layers)
    return tuple(dict.fromkeys(edges))


def loss_and_cotangents(
    values: Mapping[str, Array], targets: Mapping[str, Array], unit: Unit, terms: Sequence[Term]
) -> tuple[float, dict[str, Array]]:
    """Return the loss and dL/dvalue at every site.

    Parameters
    ----------
    values, targets : mapping of edge name to array
        What the quantized and the float network have there, for the same samples.
    unit : Unit
    terms : sequence of Term
        "lp" terms at the unit's output or at each of its layers, summed (methods.md 5.1).
    """
    total = 0.0
    cotangents: dict[str, Array] = {}
    for term in terms:
        for edge in sites(unit, (term,)):
            loss, d_z = reconstruction_loss(values[edge], targets[edge], term.p)
            total += term.weight * loss
            d_z = d_z * float(term.weight)
            cotangents[edge] = cotangents[edge] + d_z if edge in cotangents else d_z
    return total, cotangents
