"""SmoothQuant, Outlier Suppression+ and CLE as steps: networks in, equal networks out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.network_samples import conv, everything, images, plain, real
from oracle_tests.redistribute_cases import check_unchanged, sample
from refquant.methods.canonical import as_data
from refquant.methods.notes import report
from refquant.methods.prepare_redistribution import (
    CrossLayerEqualization,
    OutlierSuppressionPlus,
    SmoothQuant,
)
from refquant.methods.prepare_repq import ScaleReparameterization
from refquant.network import Network, evaluate, fold, lower, replace_params
from refquant.redistribute.channels import column_max, row_max

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = [np.float64, np.float32]
STEPS = [
    SmoothQuant(),
    SmoothQuant(alpha=0.75),
    CrossLayerEqualization(),
    CrossLayerEqualization(clip=(0.1, 10.0), passes=3),
    ScaleReparameterization(),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", STEPS, ids=repr)
@given(seed=SEEDS, bias=st.booleans())
def test_the_float_function_is_unchanged(step, dtype, seed, bias):
    """P61, P65 through a whole network with depthwise, grouped and flattened readers."""
    network, x = sample(dtype, seed, bias)
    check_unchanged(network, step.apply(network, x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "step",
    [
        SmoothQuant(power_of_two=True),
        CrossLayerEqualization(power_of_two=True, passes=2),
        CrossLayerEqualization(power_of_two=True, clip=(0.1, 10.0)),
    ],
    ids=repr,
)
@given(seed=SEEDS, bias=st.booleans())
def test_with_powers_of_two_not_a_bit_changes(step, dtype, seed, bias):
    """P61, P65 exactly: every product and sum is the old one times a power of two."""
    network, x = sample(dtype, seed, bias)
    after = step.apply(network, x)
    np.testing.assert_array_equal(after(x), network(x))
    moved = [key for key in network.params if np.any(after.params[key] != network.params[key])]
    assert len([key for key in moved if key[1] == "w"]) >= 3


def test_smoothquant_balances_every_junction():
    """P61: x_max = w_max at all of them in the end, also for groups and a flattening."""
    network, x = sample()
    after = SmoothQuant().apply(network, x)
    for edge, reader, channels, groups in (
        ("r", "b", 6, 6),
        ("l", "c", 6, 2),
        ("flat", "fc", 3, 1),
    ):
        before, x_max = (
            np.abs(evaluate(net, x, [edge])[edge]).reshape(len(x), channels, -1).max(axis=(0, 2))
            for net in (network, after)
        )
        w_max = column_max(after.params[(reader, "w")], channels, groups)
        np.testing.assert_allclose(w_max, x_max, rtol=1e-12)
        assert not np.allclose(x_max, before)


def test_smoothquant_takes_the_largest_weight_of_all_readers():
    """x_max = 1; readers 4 and 16: sc = 1/4 for both, where 1/2 would be right for the first."""
    nodes = (
        plain("f", "linear", "input"),
        plain("g", "linear", "f"),
        plain("h", "linear", "f"),
        plain("sum", "add", "g", "h"),
    )
    values = {"f": [[1.0]], "g": [[-4.0]], "h": [[16.0]]}
    params = {(name, "w"): np.array(value) for name, value in values.items()}
    network = Network("two", (1,), nodes, params)
    after = SmoothQuant().apply(network, np.array([[1.0], [-0.5]]))
    assert [after.params[(n, "w")].item() for n in "fgh"] == [4.0, -1.0, 4.0]
    assert set(after.params) == set(params)  # no bias appeared


def test_a_batch_norm_is_scaled_in_gamma_and_beta():
    """Unfolded: n3 -> leak -> c3 of the sample network."""
    network = everything(draw=real)
    x = images(draw=real)
    after = SmoothQuant().apply(network, x)
    np.testing.assert_allclose(after(x), network(x), rtol=1e-11, atol=1e-11)
    ratio = network.params[("n3", "gamma")] / after.params[("n3", "gamma")]
    np.testing.assert_allclose(ratio * after.params[("n3", "beta")], network.params[("n3", "beta")])
    assert not np.allclose(ratio, 1.0)
    for key in (("n3", "mean"), ("n3", "var"), ("n1", "gamma"), ("c1", "w"), ("fc", "bias")):
        assert after.params[key] is network.params[key]


@pytest.mark.parametrize("clip", [None, (0.5, 2.0)])
def test_cle_by_hand(clip):
    """Ranges 2 and 8 meet at 4 (sc = 2); 1 and 100 at 10, or at 2 and 50 when clipped."""
    nodes = (plain("f", "linear", "input"), plain("r", "relu", "f"), plain("g", "linear", "r"))
    params = {
        ("f", "w"): np.array([[2.0, -1.0], [0.5, -1.0]]),
        ("f", "bias"): np.array([1.0, -3.0]),
        ("g", "w"): np.array([[4.0, 100.0], [-8.0, 1.0]]),
        ("g", "bias"): np.array([7.0, 5.0]),
    }
    after = CrossLayerEqualization(clip).apply(Network("two", (2,), nodes, params), np.ones((1, 2)))
    second = 10.0 if clip is None else 2.0
    assert after.params[("f", "w")].tolist() == [[4.0, -2.0], [0.5 * second, -second]]
    assert after.params[("f", "bias")].tolist() == [2.0, -3.0 * second]
    assert after.params[("g", "w")].tolist() == [[2.0, 100.0 / second], [-4.0, 1.0 / second]]
    assert after.params[("g", "bias")].tolist() == [7.0, 5.0]


def test_cle_makes_the_last_pair_equal_and_many_passes_all():
    """P65 for depthwise, grouped and flattened readers; dead channels keep their weights."""
    network, x = sample(seed=4)
    w = network.params[("a", "w")].copy()
    w[2] = 0.0
    network = replace_params(network, {("a", "w"): w})
    pairs = (("a", "b", 6, 6), ("b", "c", 6, 2), ("c", "d", 4, 1), ("d", "fc", 3, 1))

    def gaps(after):
        rows = [row_max(after.params[(a, "w")]) for a, _, _, _ in pairs]
        columns = [column_max(after.params[(b, "w")], c, g) for _, b, c, g in pairs]
        return [
            float(np.abs(np.log(r[r > 0] / c[r > 0])).max())
            for r, c in zip(rows, columns, strict=True)
        ]

    once = gaps(CrossLayerEqualization().apply(network, x))
    assert once[-1] < 1e-12 < once[0]
    assert max(gaps(CrossLayerEqualization(passes=200).apply(network, x))) < 1e-6
    after = CrossLayerEqualization().apply(network, x)
    assert not after.params[("a", "w")][2].any()
    r1, r2 = row_max(w)[:2], column_max(network.params[("b", "w")], 6, 6)[:2]
    first = CrossLayerEqualization().apply(network, x).params[("a", "w")][:2]
    np.testing.assert_allclose(row_max(first), np.sqrt(r1 * r2), rtol=1e-14)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_network_without_the_pattern_is_returned_as_it_is(step):
    nodes = (conv("a", "input"), plain("s", "sigmoid", "a"), conv("b", "s"))
    rng = np.random.default_rng(0)
    params = {(name, "w"): rng.standard_normal((2, 2, 3, 3)) for name in "ab"}
    network = Network("absent", (2, 4, 4), nodes, params)
    assert step.explain(network) == ()
    assert step.apply(network, rng.standard_normal((2, 2, 4, 4))) is network
    assert report(step, network).endswith("absent from 'absent', which stays as it is")


def test_report_names_the_places():
    network, _ = sample()
    text = report(CrossLayerEqualization(), network)
    paths = "a -> r -> b; b -> l -> c; c -> d; d -> flat -> fc"
    assert text == f"CrossLayerEqualization: 4 of 'sample': {paths}"
    assert report(CrossLayerEqualization(), fold(everything())).count("->") == 3


def test_steps_are_data():
    """Hashable, canonical, and equal when written the same."""
    assert len({*STEPS, *STEPS}) == len(STEPS)
    written = json.dumps(as_data(CrossLayerEqualization(clip=(0.1, 10.0))))
    assert json.loads(written)["clip"] == [0.1, 10.0]


def test_bad_settings_are_refused():
    for alpha in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="SmoothQuant"):
            SmoothQuant(alpha)
    for clip in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="clip"):
            CrossLayerEqualization(clip)
    with pytest.raises(ValueError, match="passes"):
        CrossLayerEqualization(passes=0)
    for wrong in ({"weight_bits": 1}, {"act_bits": 17}, {"smallest": 0.0}, {"samples": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            OutlierSuppressionPlus(**wrong)
    network, x = sample()
    for step in STEPS:
        with pytest.raises(ValueError, match="lowered"):
            step.apply(lower(network), x)
    with pytest.raises(ValueError, match="shape"):
        SmoothQuant().apply(network, x[:, :1])
