"""The loss of a unit: the terms of a phase, and where their gradients enter the network.

kind          reads beside the float value     methods.md
lp            --; the power, if normalised     5.1
fisher_*      felt, at the unit's output       5.2
kl            --; at the logits                5.3
cross_entropy labels, in its place             12
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.squared_error import squared_error
from refquant.layers.softmax_cross_entropy import (
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from refquant.losses.fisher import fisher_diag_loss, fisher_full_loss, fisher_weights
from refquant.losses.kl_logits import kl_logits_loss
from refquant.losses.reconstruction import mean_places, reconstruction_loss
from refquant.methods.setting import Term
from refquant.network.units import Unit

FISHER = ("fisher_diag", "fisher_full")


class Goal(NamedTuple):
    """What some samples are measured against.

    Attributes
    ----------
    targets : mapping of edge name to array
        Float values at the sites.
    felt : mapping of edge name to array
        dL_KL/dz at the unit's output; empty where no term is weighted by it.
    powers : mapping of (edge name, term) to float
        What a normalised term divides by, of the whole calibration set.
    logits : str
        The edge that holds the network's output.
    labels : mapping of edge name to array
        Classes of the samples, at the logits; empty where no term reads them.
    """

    targets: Mapping[str, Array]
    felt: Mapping[str, Array]
    powers: Mapping[tuple[str, Term], float]
    logits: str
    labels: Mapping[str, Array] = MappingProxyType({})


def sites(unit: Unit, terms: Sequence[Term], logits: str) -> tuple[str, ...]:
    """Return the edges at which the terms measure."""
    edges: list[str] = []
    for term in terms:
        at = {"unit": (unit.output,), "layers": unit.measured, "logits": (logits,)}
        edges.extend(at[term.at])
    return tuple(dict.fromkeys(edges))


def loss_and_cotangents(
    values: Mapping[str, Array], goal: Goal, unit: Unit, terms: Sequence[Term]
) -> tuple[float, dict[str, Array]]:
    """Return the loss and dL/dvalue at every site.

    Parameters
    ----------
    values : mapping of edge name to array
        What the quantized network has at the sites, for the samples of `goal`.
    goal : Goal
    unit : Unit
    terms : sequence of Term
        Summed, and each of them over its sites.
    """
    total = 0.0
    cotangents: dict[str, Array] = {}
    for term in terms:
        for edge in sites(unit, (term,), goal.logits):
            loss, d_z = _measured(term, edge, values[edge], goal)
            total += term.weight * loss
            d_z = d_z if term.weight == 1.0 else d_z * float(term.weight)
            cotangents[edge] = cotangents[edge] + d_z if edge in cotangents else d_z
    return total, cotangents


def _measured(term: Term, edge: str, z: Array, goal: Goal) -> tuple[float, Array]:
    """Return one term at one site, without its factor."""
    if term.kind == "cross_entropy":
        loss_of_labels, cache = softmax_cross_entropy_forward(z, goal.labels[edge])
        return float(loss_of_labels), softmax_cross_entropy_backward(1.0, cache)
    target = goal.targets[edge]
    if term.kind == "kl":
        return kl_logits_loss(z, target, term.temperature)
    if term.kind in FISHER:
        g = fisher_weights(goal.felt[edge], term.offset)
        if term.kind == "fisher_full":
            return fisher_full_loss(z, target, g, term.divisor)
        return fisher_diag_loss(z, target, g)
    loss, d_z = _distance(term, z, target)
    if term.normalize == "none":
        return loss, d_z
    power = goal.powers[(edge, term)]
    return loss / power, d_z / power


def _distance(term: Term, z: Array, target: Array) -> tuple[float, Array]:
    """Return the loss of one site: the definition, or its kernel."""
    if nx.current().mode == "fast" and term.p == 2.0:
        places = mean_places("reconstruction_loss", z, target, channel_axis=1)
        return squared_error(z, target, z.size if term.reduction == "mean" else places)
    return reconstruction_loss(z, target, term.p, reduction=term.reduction)
