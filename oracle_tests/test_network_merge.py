"""Merged units (MRECG): nodes between them belong to them, and the function stays the same."""

import numpy as np
import pytest

from oracle_tests.network_samples import mlp_like, resnet_like
from oracle_tests.reconstruct_cases import images, residual
from refquant.network import cut, forward, lower


def test_neighbours_are_joined_in_groups():
    """Sizes cover the first units; what they do not cover stays as it is."""
    network = lower(resnet_like())
    stem, a, b, fc = cut(network, "block")
    first, joined, last = cut(network, "block", (1, 2))
    assert (first, last) == (stem, fc)
    assert joined.name == "A+B" and joined.inputs == a.inputs and joined.output == b.output
    assert joined.layers == (*a.layers, *b.layers)
    assert joined.nodes == (*a.nodes, *b.nodes)
    assert cut(network, "block", ()) == cut(network, "block", (1, 1)) == (stem, a, b, fc)


def test_nodes_between_the_units_are_taken_in():
    """Pooling between stem and A; pooling and flatten between B and the classifier."""
    network = lower(resnet_like())
    units = cut(network, "block")
    (head, tail) = cut(network, "block", (2, 2))
    between = set(head.nodes) - {n for unit in units[:2] for n in unit.nodes}
    assert between == {"pool"} and head.inputs == ("input",)
    assert {"flat"} <= set(tail.nodes) - {n for unit in units[2:] for n in unit.nodes}
    (whole,) = cut(network, "block", (4,))
    assert set(whole.nodes) == {node.name for node in network.nodes}


def test_merged_units_compute_the_network():
    """Run one after the other from their inputs, they give every value bit for bit."""
    network = lower(residual())
    values = forward(network, images(network)).values
    for unit in cut(network, "block", (1, 2)):
        own = forward(network, {edge: values[edge] for edge in unit.inputs}, unit.nodes).values
        np.testing.assert_array_equal(own[unit.output], values[unit.output])


def test_a_scheme_of_another_network_is_refused():
    """With the units there are."""
    with pytest.raises(ValueError, match=r"merge is \(1, 3\), 4 units.*at most the 3 of"):
        cut(lower(mlp_like()), "block", (1, 3))
