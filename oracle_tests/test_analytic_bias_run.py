"""Analytic bias correction as part of a run: which layers, with what, and what it repairs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import refquant as rq
from oracle_tests.reconstruct_cases import images, residual
from refquant.cli.main import main
from refquant.components.seen import Seen
from refquant.layers.geometry import Geometry
from refquant.methods import METHODS, resolve
from refquant.methods.finish import CorrectBiasAnalytic
from refquant.network import Network, Node, fold, lower
from refquant.network.normals import normal_behind, with_normals

ADDED = "analytic-bias-correction"
BITS = {"weight_bits": 3, "act_bits": 8, "first_last_bits": None}
POINT = Geometry((1, 1))


def network(gamma=(1.0, 0.5, -2.0, 0.25), act="relu", between=()):
    """fc1 -> norm -> act -> ... -> fc2; inputs N(0, 1) are what the batch norm was trained on."""
    rng = np.random.default_rng(2)
    w1 = rng.normal(size=(4, 6))
    nodes = [
        Node("fc1", "linear", ("input",)),
        Node("n", "batch_norm", ("fc1",), (("eps", 0.0),)),
        Node("act", act, ("n",)),
    ]
    for name in between:
        nodes.append(Node(name, name, (nodes[-1].name,)))
    nodes.append(Node("fc2", "linear", (nodes[-1].name,)))
    params = {
        ("fc1", "w"): w1,
        ("n", "gamma"): np.array(gamma),
        ("n", "beta"): np.array([0.5, -0.25, 1.5, 5.75]),
        ("n", "mean"): np.zeros(4),
        ("n", "var"): np.square(w1).sum(axis=1),
        ("fc2", "w"): rng.normal(size=(3, 4)),
        ("fc2", "bias"): rng.normal(size=3),
    }
    return Network("net", (6,), tuple(nodes), params)


X = np.random.default_rng(0).normal(size=(4096, 6))


def mean_of(beta, gamma, top=np.inf):
    """The mean of N(beta, gamma^2) clipped to [0, top], from the truncated normal of scipy."""
    g = np.abs(gamma)
    low, high = -beta / g, (top - beta) / g
    inside = norm.cdf(high) - norm.cdf(low)
    above = 0.0 if np.isinf(top) else top * norm.sf(high)
    return g * (norm.pdf(low) - norm.pdf(high)) + beta * inside + above


def w_hat(result, layer):
    one = result.layers[layer]
    levels = (one.codes - one.zero_point).reshape(len(one.codes), -1)
    return np.reshape(one.s_w, (-1, 1)) * levels


@pytest.mark.parametrize(("act", "top"), [("relu", np.inf), ("relu6", 6.0)])
def test_the_bias_is_the_definition_and_nothing_else_changes(act, top):
    """b - (What - W) E, E from scipy; codes and steps are the parent's, bit for bit."""
    net = network(act=act)
    found, parent = (rq.quantize(net, X[:256], m, **BITS) for m in (f"nearest+{ADDED}", "nearest"))
    assert found.notes == ("CorrectBiasAnalytic: 1 of 'net': fc2",)
    own = net.params
    mean = mean_of(own["n", "beta"], own["n", "gamma"], top)
    expected = own["fc2", "bias"] - (w_hat(found, "fc2") - own["fc2", "w"]) @ mean
    got, other = found.prepared.params, parent.prepared.params
    np.testing.assert_allclose(got["fc2", "bias"], expected, rtol=1e-13)
    assert set(got) - set(other) == {("fc1", "normal_mean"), ("fc1", "normal_std")}
    same = [np.array_equal(got[key], other[key]) for key in other if key != ("fc2", "bias")]
    assert all(same) and not np.array_equal(got["fc2", "bias"], other["fc2", "bias"])
    for name, layer in found.layers.items():
        np.testing.assert_array_equal(layer.codes, parent.layers[name].codes)
    np.testing.assert_array_equal(found.network(X[:64]), found.integer(X[:64]))


def test_the_mean_error_of_normal_inputs_goes_away():
    """P50 for an expected input; 4,096 inputs have a standard error of |What - W| sd / 64."""
    net = network()
    real = replace(METHODS["nearest"], activations=None)
    errors = []
    for setting in (real, replace(real, finish=(CorrectBiasAnalytic(),))):
        result = rq.quantize(net, X[:256], setting, weight_bits=2, first_last_bits=None)
        own = result.prepared.params
        y = np.maximum(fold(net).params["fc1", "w"] @ X.T + own["fc1", "bias"][:, None], 0.0)
        wrong = w_hat(result, "fc2") @ y + own["fc2", "bias"][:, None]
        right = net.params["fc2", "w"] @ y + net.params["fc2", "bias"][:, None]
        errors.append((wrong - right).mean(axis=1))
        spread = (w_hat(result, "fc2") - net.params["fc2", "w"]) @ y
    before, after = np.abs(errors)
    assert np.all(after <= 4.0 * spread.std(axis=1) / 64.0) and before.max() > 20.0 * after.max()


def test_a_constant_input_is_repaired_exactly():
    """gamma = 0: fc1 writes beta whatever comes, and fc2's error is its error on that alone."""
    net = network(gamma=(0.0,) * 4)
    setting = replace(METHODS["nearest"], activations=None, finish=(CorrectBiasAnalytic(),))
    result = rq.quantize(net, X[:64], setting, weight_bits=2)
    np.testing.assert_allclose(result.network(X[:64]), net(X[:64]), rtol=1e-14)


def test_equalization_takes_the_distribution_along():
    """Behind +cle the channels, and so E, have the scale of the rows; the paper's own pair."""
    net = network()
    result = rq.quantize(net, X[:256], f"nearest+cle+{ADDED}", **BITS)
    assert [line.partition(":")[0] for line in result.notes] == [
        "CrossLayerEqualization",
        "CorrectBiasAnalytic",
    ]
    got, folded = result.prepared.params, fold(net).params
    scale = got["fc1.product", "w"][:, 0] / folded["fc1", "w"][:, 0]
    assert np.all(np.abs(scale - 1.0) > 0.01)
    mean = scale * mean_of(net.params["n", "beta"], net.params["n", "gamma"])
    expected = net.params["fc2", "bias"] - (w_hat(result, "fc2") - got["fc2.product", "w"]) @ mean
    np.testing.assert_allclose(got["fc2", "bias"], expected, rtol=1e-12)


@pytest.mark.parametrize("act", ["relu", "identity"])
@pytest.mark.parametrize("other", ["smoothquant", "os-plus", "repq"])
def test_every_redistribution_takes_it_along(other, act):
    """Mean and spread of fc1's own output on many inputs, in whatever units it has now.

    Only where no ReLU stands in between are the channels shifted too.
    """
    folded = fold(with_normals(network(act=act)))
    (step,) = resolve(f"nearest+{other}").prepare[1:]
    moved = step.apply(folded, X[:256])
    ratio = moved.params["fc1", "w"][:, 0] / folded.params["fc1", "w"][:, 0]
    scaled = np.allclose(moved.params["fc1", "bias"], ratio * folded.params["fc1", "bias"])
    assert scaled == (act == "relu" or other == "smoothquant")
    y = moved.params["fc1", "w"] @ X.T + moved.params["fc1", "bias"][:, None]
    normal = normal_behind(lower(moved), "fc2")
    np.testing.assert_allclose(y.mean(axis=1), normal.mean, atol=4.0 * normal.std.max() / 64.0)
    np.testing.assert_allclose(y.std(axis=1), normal.std, rtol=0.05)


def test_what_stands_behind_the_product_counts():
    """Mean of xi What E + b + eta, for xi and eta of every shape; a missing bias is added."""
    net = network()
    step, rng = CorrectBiasAnalytic(), np.random.default_rng(1)
    w, w_q, mean = net.params["fc2", "w"], rng.normal(size=(3, 4)), rng.uniform(size=4)
    for shape in ((), (3,), (3, 2, 2)):
        xi, eta = rng.normal(size=shape), rng.normal(size=shape)
        own = {"xi": xi, "eta": eta}
        bias = step.fit(Seen(mean, mean, own, w, w_q, 1, None))["bias"]
        xi, eta = (
            np.broadcast_to(v.reshape(*shape, *(1,) * (3 - v.ndim)), (3, 2, 2)) for v in (xi, eta)
        )
        out = xi * (w_q @ mean)[:, None, None] + bias[:, None, None] + eta
        np.testing.assert_allclose(out.mean(axis=(1, 2)), w @ mean, rtol=1e-12)


CHAINS = {
    "pooled": (("avg", "global_average_pool"), "relu", True),
    "padded": (("avg", "average_pool", True), "relu", False),
    "padded, not counted": (("avg", "average_pool", False), "relu", True),
    "largest": (("max", "max_pool"), "relu", False),
    "twice": (("again", "relu"), "relu", False),
    "after the mean": (("again", "relu"), "global_average_pool", False),
    "sigmoid": (("s", "sigmoid"), "identity", False),
}


@pytest.mark.parametrize("name", CHAINS)
def test_where_the_mean_is_known(name):
    """Averages and reshaping keep it; a ReLU is right behind the batch norm, and there is one."""
    (last, op, *counted), first, known = CHAINS[name]
    padded = Geometry((2, 2), stride=(2, 2), padding=(1, 1, 1, 1))
    attrs = (("geometry", Geometry((2, 2))),) if op == "max_pool" else ()
    attrs += tuple(
        pair for c in counted for pair in (("geometry", padded), ("count_include_pad", c))
    )
    nodes = (
        Node("c", "conv2d", ("input",), (("geometry", POINT),)),
        Node("n", "batch_norm", ("c",), (("eps", 1e-3),)),
        Node("first", first, ("n",)),
        Node(last, op, ("first",), attrs),
        Node("flat", "flatten", (last,)),
        Node("fc", "linear", ("flat",)),
    )
    size = 1 if "global_average_pool" in (op, first) or op == "max_pool" else 4
    params = {("c", "w"): np.ones((2, 1, 1, 1)), ("fc", "w"): np.ones((3, 2 * size))}
    params |= {("n", k): np.array([0.5, 1.0]) for k in ("gamma", "beta", "mean", "var")}
    net = Network("chain", (1, 2, 2), nodes, params)
    for given in (net, fold(with_normals(net))):
        assert (normal_behind(lower(given), "fc") is not None) == known


def test_flattening_repeats_channels():
    """A map of 2 channels and 4 places: E is (e0, e0, e0, e0, e1, ...)."""
    nodes = (
        Node("c", "conv2d", ("input",), (("geometry", POINT),)),
        Node("n", "batch_norm", ("c",), (("eps", 0.0),)),
        Node("flat", "flatten", ("n",)),
        Node("fc", "linear", ("flat",)),
    )
    w = np.arange(24.0).reshape(3, 8) / 7.0
    params = {("c", "w"): np.ones((2, 1, 1, 1)), ("fc", "w"): w}
    params |= {("n", "gamma"): np.zeros(2), ("n", "beta"): np.array([0.5, 2.0])}
    params |= {("n", "mean"): np.zeros(2), ("n", "var"): np.ones(2)}
    net = Network("flat", (1, 2, 2), nodes, params)
    x = np.random.default_rng(0).normal(size=(32, 1, 2, 2))
    setting = replace(METHODS["nearest"], activations=None, finish=(CorrectBiasAnalytic(),))
    result = rq.quantize(net, x, setting, weight_bits=2, first_last_bits=None)
    np.testing.assert_allclose(result.network(x), net(x), rtol=1e-13)


def test_without_a_batch_norm_nothing_changes_and_the_notes_say_so():
    net = residual()
    found, parent = (
        rq.quantize(net, images(net), m, **BITS) for m in (f"nearest+{ADDED}", "nearest")
    )
    (line,) = found.notes
    assert line.startswith("CorrectBiasAnalytic: its pattern is absent from 'residual'")
    np.testing.assert_array_equal(found.network(images(net)), parent.network(images(net)))


def test_a_learnt_bias_is_not_overwritten():
    with pytest.raises(ValueError, match="CorrectBiasAnalytic, which overwrites 'bias'"):
        resolve(f"case-2.2-bias+{ADDED}")


def test_the_command_line_lists_the_layers(capsys):
    words = ["quantize", "digits-mobilenet", "--method", f"nearest+{ADDED}", "--quiet", "--json"]
    assert main(words) == 0
    (line,) = json.loads(capsys.readouterr().out)["notes"]
    assert line.startswith("CorrectBiasAnalytic: 13 of 'digits-mobilenet:1': block1.expand; ")
