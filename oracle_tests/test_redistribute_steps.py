"""SmoothQuant, Outlier Suppression+ and CLE as steps: networks in, equal networks out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.network_samples import POINT, SAME, conv, everything, images, plain, real
from refquant.layers.geometry import Geometry
from refquant.methods.canonical import as_data
from refquant.methods.prepare_redistribution import (
    CrossLayerEqualization,
    OutlierSuppressionPlus,
    SmoothQuant,
    report,
)
from refquant.network import Network, evaluate, fold, lower, replace_params
from refquant.redistribute.channels import column_max, edge_max, row_max
from refquant.redistribute.os_plus import osplus_scale, osplus_thresholds

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = [np.float64, np.float32]
GROUPED = Geometry((3, 3), padding=(1, 1, 1, 1), groups=2)
DEPTHWISE = Geometry((3, 3), stride=(2, 2), padding=(1, 1, 1, 1), groups=6)
STEPS = [
    SmoothQuant(),
    SmoothQuant(alpha=0.75),
    CrossLayerEqualization(),
    CrossLayerEqualization(clip=(0.1, 10.0), passes=3),
]


def sample(dtype=np.float64, seed=0, bias=True, reach=3):
    """Return grouped conv -> relu -> depthwise -> leaky -> 1x1 -> 1x1 -> flatten -> linear.

    A writer of every kind of reader: depthwise, grouped by one, a convolution without padding
    behind another, and a classifier behind a flattening.
    """
    rng = np.random.default_rng(seed)
    nodes = (
        conv("a", "input", GROUPED),
        plain("r", "relu", "a"),
        conv("b", "r", DEPTHWISE),
        replace(plain("l", "identity", "b"), op="leaky_relu", attrs=(("slope", 0.25),)),
        conv("c", "l", Geometry((1, 1), groups=2)),
        conv("d", "c", POINT),
        plain("flat", "flatten", "d"),
        plain("fc", "linear", "flat"),
    )
    shapes = {"a": (6, 2, 3, 3), "b": (6, 1, 3, 3), "c": (4, 3, 1, 1), "d": (3, 4, 1, 1)}
    shapes["fc"] = (2, 12)
    params = {
        (n, "w"): rng.standard_normal(s) * 4.0 ** rng.integers(-2, reach) for n, s in shapes.items()
    }
    for name in "abcd" if bias else "":
        params[(name, "bias")] = rng.standard_normal(len(params[(name, "w")]))
    params[("a", "w")] = params[("a", "w")] * rng.uniform(0.05, 8.0, (6, 1, 1, 1))
    cast = {key: value.astype(dtype) for key, value in params.items()}
    network = Network("sample", (4, 4, 4), nodes, cast, (("body", ("b", "l", "c")),))
    return network, rng.standard_normal((5, 4, 4, 4)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", STEPS, ids=repr)
@given(seed=SEEDS, bias=st.booleans())
def test_the_float_function_is_unchanged(step, dtype, seed, bias):
    """P61, P65 through a whole network with depthwise, grouped and flattened readers."""
    network, x = sample(dtype, seed, bias)
    check_unchanged(network, step.apply(network, x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_osplus_leaves_the_float_function_unchanged(dtype, seed):
    """P60, with shifts into two readers and scales alone elsewhere."""
    network, x = sample(dtype, seed, bias=seed != 1, reach=-1)
    after = OutlierSuppressionPlus(4, 4, smallest=0.1).apply(network, x)
    check_unchanged(network, after, x)
    for key in (("d", "bias"), ("fc", "bias")):
        assert np.any(after.params[key] != network.params.get(key, 0.0))
    assert (("b", "bias") in after.params) == (seed != 1)


def check_unchanged(network, after, x):
    """Compare with the network in float64, to the size of its terms; names and dtypes stay."""
    dtype = x.dtype
    wide = {key: value.astype(np.float64) for key, value in network.params.items()}
    exact = replace_params(network, wide)(x.astype(np.float64))
    magnitudes = {key: np.abs(value) for key, value in wide.items()}
    size = replace_params(network, magnitudes)(np.abs(x).astype(np.float64)).max()
    assert np.abs(after(x) - exact).max() <= 2000 * np.finfo(dtype).eps * size
    assert after(x).dtype == dtype
    assert all(value.dtype == dtype for value in after.params.values())
    assert (after.nodes, after.blocks, after.name) == (network.nodes, network.blocks, network.name)


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
        x_max = edge_max(evaluate(after, x, [edge])[edge], channels)
        w_max = column_max(after.params[(reader, "w")], channels, groups)
        np.testing.assert_allclose(w_max, x_max, rtol=1e-12)
        before = edge_max(evaluate(network, x, [edge])[edge], channels)
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


def outlier_net(reader=POINT):
    """Return conv a -> conv b on 1x1 images, with one channel far from zero and one wide."""
    rng = np.random.default_rng(2)
    params = {
        ("a", "w"): np.diag([1.0, 1.0, 30.0])[:, :, None, None],
        ("a", "bias"): np.array([0.0, 50.0, 0.0]),
        ("b", "w"): rng.standard_normal((4, 3, *reader.kernel)),
    }
    nodes = (conv("a", "input", POINT), conv("b", "a", reader))
    return Network("outlier", (3, 2, 2), nodes, params), rng.uniform(-1, 1, (16, 3, 2, 2))


def test_osplus_shifts_to_the_middle_and_shrinks_what_sticks_out():
    """P60: x~ = (x - z) / sc, the scale is that of some threshold; the error falls."""
    network, x = outlier_net()
    step = OutlierSuppressionPlus(samples=16)
    (junction,) = step.explain(network)
    values = evaluate(network, x, ["a"])["a"]
    scale, shift = step.choose(network, junction, values)
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    np.testing.assert_allclose(shift, (low + high) / 2, rtol=1e-15)
    assert shift[1] > 49.0 and scale[2] > 1.5 and scale[:2].tolist() == [1.0, 1.0]
    after = step.apply(network, x)
    moved = evaluate(after, x, ["a"])["a"]
    wide = shift.reshape(1, 3, 1, 1), scale.reshape(1, 3, 1, 1)
    np.testing.assert_allclose(moved, (values - wide[0]) / wide[1], atol=1e-13)
    np.testing.assert_allclose(after(x), network(x), rtol=1e-12, atol=1e-11)
    bias = after.params[("b", "bias")]
    np.testing.assert_allclose(bias, network.params[("b", "w")][:, :, 0, 0] @ shift, rtol=1e-13)


def test_osplus_chooses_the_threshold_by_the_quantized_output():
    """The same search written out with plain NumPy: absmax rows, one affine range."""
    network, x = outlier_net()
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3, samples=5)
    values = evaluate(network, x, ["a"])["a"]
    scale, shift = step.choose(network, step.explain(network)[0], values)
    low, high = values.min(axis=(0, 2, 3)) - shift, values.max(axis=(0, 2, 3)) - shift
    tokens = values[:5].transpose(0, 2, 3, 1).reshape(-1, 3) - shift
    w = network.params[("b", "w")][:, :, 0, 0]
    losses, scales = [], []
    for t in osplus_thresholds(max(high.max(), -low.min())):
        sc = osplus_scale(low, high, float(t))
        s_w = np.abs(w * sc).max(axis=1, keepdims=True) / 3
        w_q = s_w * np.clip(np.rint(w * sc / s_w), -4, 3)
        v = tokens / sc
        s_x = (v.max() - v.min()) / 7
        zero = -np.rint(v.min() / s_x)
        x_q = s_x * (np.clip(np.rint(v / s_x) + zero, 0, 7) - zero)
        losses.append((((x_q @ w_q.T) - tokens @ w.T) ** 2).sum(axis=1).mean())
        scales.append(sc)
    np.testing.assert_array_equal(scale, scales[int(np.argmin(losses))])
    assert 0 < int(np.argmin(losses)) < len(losses) - 1


def test_osplus_adds_the_losses_of_all_readers():
    """A second reader, of one narrow channel, changes the choice; order does not matter."""
    network, x = outlier_net()
    other = network.params[("b", "w")] * np.array([9.0, 0.01, 0.01])[:, None, None]
    nodes = (*network.nodes, conv("c", "a", POINT), plain("sum", "add", "b", "c"))
    both = replace(network, nodes=nodes, params={**network.params, ("c", "w"): other})
    swapped = replace_params(both, {("b", "w"): other, ("c", "w"): network.params[("b", "w")]})
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3)
    values = evaluate(network, x, ["a"])["a"]
    alone, pair, turned = (
        step.choose(net, step.explain(net)[0], values)[0] for net in (network, both, swapped)
    )
    np.testing.assert_array_equal(pair, turned)
    assert pair[2] != alone[2]


def test_osplus_does_not_shift_what_a_reader_pads():
    """Scales alone; a ReLU between forbids the shift as well."""
    network, x = outlier_net(SAME)
    step = OutlierSuppressionPlus(power_of_two=True)
    after = step.apply(network, x)
    assert ("b", "bias") not in after.params
    np.testing.assert_array_equal(after(x), network(x))
    scale = network.params[("a", "bias")][1] / after.params[("a", "bias")][1]
    assert scale > 1.0 and np.log2(scale) % 1 == 0


def test_ranges_come_from_all_inputs_and_the_search_from_the_first():
    network, x = outlier_net()
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3, samples=4)
    (junction,) = step.explain(network)
    values = evaluate(network, x, ["a"])["a"]
    tail = np.concatenate([values[:4], values[4:][::-1]])
    found = [np.stack(step.choose(network, junction, v)) for v in (values, tail)]
    np.testing.assert_array_equal(*found)
    far = values.copy()
    far[-1, 0] = 1000.0
    assert step.choose(network, junction, far)[1][0] > 400.0


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
