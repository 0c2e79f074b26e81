"""Folding batch norm (P04), taking it out again, and which batch norms have to stay."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.network_samples import (
    EPS,
    conv,
    dyadic,
    everything,
    images,
    norm,
    norm_params,
    plain,
    real,
)
from refquant.layers.geometry import Geometry
from refquant.network import Network, fold, forward, replace_params, unfold


def one_conv(draw, seed, geometry=None, bias=True):
    """Return conv -> batch norm from 4 to 6 channels, and an input for it."""
    rng = np.random.default_rng(seed)
    geometry = geometry or Geometry((3, 3), padding=(1, 1, 1, 1))
    params = {("c", "w"): draw(rng, 6, 4 // geometry.groups, *geometry.kernel)}
    if bias:
        params[("c", "bias")] = draw(rng, 6)
    params |= {("n", key): value for key, value in norm_params(rng, 6, draw).items()}
    network = Network("one", (4, 5, 5), (conv("c", "input", geometry), norm("n", "c")), params)
    return network, draw(rng, 2, 4, 5, 5)


def test_folding_keeps_names_blocks_and_all_other_parameters():
    network = everything()
    folded = fold(network)
    expected = [node.name for node in network.nodes if node.name not in ("n1", "n2")]
    assert [node.name for node in folded.nodes] == expected
    assert folded.node("r1").inputs == ("c1",) and folded.node("sum").inputs == ("c2", "r1")
    assert folded.node("n3") == network.node("n3")
    assert folded.blocks == (("body", ("c2", "sum", "act")),)
    gone = {("n1", p) for p in ("gamma", "beta", "mean", "var")}
    gone |= {("n2", p) for p in ("gamma", "beta", "mean", "var")}
    assert set(folded.params) == set(network.params) - gone | {("c1", "bias")}
    for key in (("c3", "w"), ("fc", "bias"), ("n3", "gamma")):
        assert folded.params[key] is network.params[key]


def test_folding_by_hand():
    """One weight w = 3, no bias; gamma 2, beta 5, mean 1, var 3.75: sd 2, w' = 3, b' = 4."""
    values = {"gamma": 2.0, "beta": 5.0, "mean": 1.0, "var": 3.75}
    params = {("n", key): np.array([value]) for key, value in values.items()}
    nodes = (plain("f", "linear", "input"), norm("n", "f"))
    folded = fold(Network("hand", (1,), nodes, {("f", "w"): np.array([[3.0]]), **params}))
    assert [node.name for node in folded.nodes] == ["f"] and folded.output == "f"
    assert folded.params[("f", "w")].item() == 3.0 and folded.params[("f", "bias")].item() == 4.0


def test_p04_folding_changes_no_value_where_every_sum_is_exact():
    network, x = everything(dyadic), images(dyadic)
    before, after = forward(network, x).values, forward(fold(network), x).values
    for edge, value in after.items():
        same = {"c1": "n1", "c2": "n2"}.get(edge, edge)
        np.testing.assert_array_equal(value, before[same], err_msg=edge)


@given(
    seed=st.integers(0, 2**20),
    kernel=st.sampled_from([(1, 1), (3, 3), (2, 3)]),
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 2),
    bias=st.booleans(),
)
def test_p04_for_any_geometry(seed, kernel, groups, stride, bias):
    geometry = Geometry(kernel, stride=(stride, 1), padding=(1, 0, 0, 1), groups=groups)
    network, x = one_conv(dyadic, seed, geometry, bias)
    np.testing.assert_array_equal(fold(network)(x), network(x))


def test_p04_on_real_numbers_within_the_rounding_bound():
    """Both sides are sums of K + 2 terms, each rounded a few times: K + 10 halves of an ulp.

    The bound is relative to the sum of the absolute terms, which is the same network run on
    absolute values with mean and beta of one sign.
    """
    network, x = one_conv(real, 8)
    p = {key[1]: np.abs(v) for key, v in network.params.items() if key[0] == "n"}
    sizes = {key: np.abs(value) for key, value in network.params.items()}
    sizes |= {("n", "mean"): -p["mean"], ("n", "gamma"): p["gamma"]}
    magnitude = replace_params(network, sizes)(np.abs(x))
    error = np.abs(fold(network)(x) - network(x))
    assert np.all(error <= (36 + 10) * 2.0**-53 * 2.0 * magnitude)
    assert np.any(error > 0.0)


def test_folding_twice_is_folding_once_and_without_norms_nothing():
    folded = fold(everything())
    assert fold(folded) is folded


def fan_out():
    """Return a conv read by a batch norm and by an addition."""
    network, _ = one_conv(dyadic, 1)
    return replace(network, nodes=(*network.nodes, plain("s", "add", "c", "n")))


def on_the_input():
    params = {("n", key): np.ones(4) for key in ("gamma", "beta", "mean", "var")}
    return Network("n", (4, 5, 5), (norm("n", "input"),), params)


def behind_a_relu():
    network, _ = one_conv(dyadic, 1)
    c, n = network.nodes
    return replace(network, nodes=(c, plain("r", "relu", "c"), replace(n, inputs=("r",))))


def read_twice():
    """Return a conv read by two batch norms."""
    network, _ = one_conv(dyadic, 1)
    own = {("m", key): value for key, value in network.params_of("n").items()}
    nodes = (*network.nodes, norm("m", "c"), plain("s", "add", "n", "m"))
    return replace(network, nodes=nodes, params={**network.params, **own})


@pytest.mark.parametrize("make", [fan_out, on_the_input, behind_a_relu, read_twice])
def test_what_cannot_be_folded_stays(make):
    network = make()
    assert fold(network) is network
    assert unfold(network, network).params.keys() == network.params.keys()


def test_a_norm_behind_a_folded_norm_stays():
    network, x = one_conv(dyadic, 1)
    own = {("m", key): value for key, value in network.params_of("n").items()}
    nodes = (*network.nodes, norm("m", "n"))
    network = replace(network, nodes=nodes, params={**network.params, **own})
    folded = fold(network)
    assert [node.name for node in folded.nodes] == ["c", "m"]
    np.testing.assert_array_equal(folded(x), network(x))


def test_a_block_of_folded_norms_alone_disappears():
    network, _ = one_conv(dyadic, 1)
    blocks = (("conv", ("c",)), ("norm", ("n",)))
    assert fold(replace(network, blocks=blocks)).blocks == (("conv", ("c",)),)


@pytest.mark.parametrize("draw", [dyadic, real])
def test_unfolding_restores_what_was_folded(draw):
    """Two products and two quotients apart: within 4 ulps for w, exact for what had no bias."""
    network = everything(draw)
    back = unfold(fold(network), network)
    assert back.nodes == network.nodes and back.blocks == network.blocks
    assert set(back.params) == set(network.params)
    for key, value in network.params.items():
        if key == ("c2", "bias"):  # a difference of numbers near 1, so no ulps of the result
            np.testing.assert_allclose(back.params[key], value, rtol=0.0, atol=2.0**-50)
        else:
            np.testing.assert_array_max_ulp(back.params[key], value, maxulp=4)
    assert fold(back).params.keys() == fold(network).params.keys()


def test_unfolding_carries_what_was_learnt_since():
    """The un-folded network computes what the folded one does; exact in fractions by hand."""
    network, x = one_conv(dyadic, 4, bias=False)
    folded = fold(network)
    learnt = {key: value + 0.5 for key, value in folded.params.items()}
    changed = replace_params(folded, learnt)
    back = unfold(changed, network)
    np.testing.assert_allclose(back(x), changed(x), rtol=0.0, atol=1e-13)
    p = {key: Fraction(network.params[("n", key)][2]) for key in ("gamma", "beta", "mean", "var")}
    sd = {1: 1, 4: 2}[p["var"] + Fraction(EPS)]
    bias = p["mean"] + (Fraction(learnt[("c", "bias")][2]) - p["beta"]) * sd / p["gamma"]
    assert abs(back.params[("c", "bias")][2] - float(bias)) <= 2.0**-50
    w = Fraction(learnt[("c", "w")][2, 1, 0, 1]) * sd / p["gamma"]
    assert abs(back.params[("c", "w")][2, 1, 0, 1] - float(w)) <= 2.0**-50


def test_unfolding_carries_layers_that_were_not_folded():
    network = everything(dyadic)
    folded = replace_params(fold(network), {("fc", "w"): np.ones((3, 4))})
    np.testing.assert_array_equal(unfold(folded, network).params[("fc", "w")], np.ones((3, 4)))


def test_a_channel_that_folding_lost_cannot_be_unfolded():
    network, x = one_conv(dyadic, 1)
    gamma = network.params[("n", "gamma")].copy()
    gamma[3] = 0.0
    network = replace_params(network, {("n", "gamma"): gamma})
    folded = fold(network)
    np.testing.assert_array_equal(folded(x), network(x))
    with pytest.raises(ValueError, match="gamma of 'n' with a zero"):
        unfold(folded, network)
