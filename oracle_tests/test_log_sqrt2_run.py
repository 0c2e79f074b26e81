"""Log-sqrt2 as part of a run: where it stands, what it gives, its gradient, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

import refquant as rq
from oracle_tests.gradcheck import check_gradient
from oracle_tests.reconstruct_cases import images, residual
from refquant.cli.main import main
from refquant.components import LogSqrt2Activations, NearestActivations
from refquant.methods import METHODS, describe
from refquant.network import Network, Node
from refquant.quantizers.log_sqrt2 import log_sqrt2, log_sqrt2_slope
from refquant.sweeps import integer_equals_fake

BITS = {"weight_bits": 4, "act_bits": 3, "first_last_bits": 8, "steps": 8}


def mixture(gate="softmax"):
    """fc1 -> gate -> fc2 -> relu -> fc3: one edge holds probabilities, no edge needs a sign."""
    rng = np.random.default_rng(5)
    nodes = (
        Node("fc1", "linear", ("input",)),
        Node("p", gate, ("fc1",)),
        Node("fc2", "linear", ("p",)),
        Node("r", "relu", ("fc2",)),
        Node("fc3", "linear", ("r",)),
    )
    shapes = {"fc1": (8, 6), "fc2": (5, 8), "fc3": (3, 5)}
    params = {(layer, "w"): rng.normal(size=shape) for layer, shape in shapes.items()}
    return Network("mixture", (6,), nodes, params)


X = np.random.default_rng(1).normal(size=(64, 6))


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_only_the_edge_of_probabilities_has_other_levels(gate):
    """P64 in a run: the values behind the edge are the op's; the rest is the parent's bits."""
    found = rq.quantize(mixture(gate), X, "nearest+log-sqrt2", **BITS)
    parent = rq.quantize(mixture(gate), X, "nearest", **BITS)
    assert found.notes == ("LogSqrt2Activations: 1 of 'mixture': p",) and parent.notes == ()
    own, other = (dict(r.prepared.params) for r in (found, parent))
    assert set(own) - set(other) == {("p.q", "scale")}
    assert set(other) - set(own) == {("p.q", "s_x"), ("p.q", "zero_point")}
    assert all(np.array_equal(own[key], other[key]) for key in {*own} & {*other})
    node = found.prepared.node("p.q").attr("component")
    assert (node.bits, found.prepared.node("r.q").attr("component").bits) == (3, 8)
    # the values that fc2 reads, from the definition
    x_q = METHODS["nearest"].activations
    params = found.prepared.params_of("input.q")
    first = replace(x_q, bits=8).forward(X, params)[0] @ w_hat(found, "fc1").T
    p = rq.Network("g", (8,), (Node("p", gate, ("input",)),), {})(first)
    read = log_sqrt2(p, own[("p.q", "scale")], 3).y
    last = replace(x_q, bits=8).forward(
        np.maximum(read @ w_hat(found, "fc2").T, 0.0), found.prepared.params_of("r.q")
    )[0]
    np.testing.assert_allclose(found.network(X), last @ w_hat(found, "fc3").T, rtol=1e-12)


def w_hat(result, layer):
    one = result.layers[layer]
    return np.reshape(one.s_w, (-1, 1)) * (one.codes - one.zero_point)


@pytest.mark.parametrize("method", ["nearest", "qdrop", "aquant"])
def test_a_network_without_probabilities_stays_as_it_is(method):
    """Bit for bit, and the notes say so."""
    network = residual()
    found, parent = (
        rq.quantize(network, images(network), name, **BITS)
        for name in (f"{method}+log-sqrt2", method)
    )
    (line,) = found.notes
    assert line == (
        f"LogSqrt2Activations: its pattern is absent from {network.name!r}, which stays as it is"
    )
    for name, layer in found.layers.items():
        np.testing.assert_array_equal(layer.codes, parent.layers[name].codes)
    np.testing.assert_array_equal(found.network(images(network)), parent.network(images(network)))


@pytest.mark.parametrize(
    "method", ["adaround", "brecq", "qdrop", "aquant+closed-form", "adaqtransform"]
)
def test_methods_learn_around_it(method):
    """On feature maps and on patches; the step that is not there is not learnt."""
    found = rq.quantize(mixture(), X, f"{method}+log-sqrt2", **BITS)
    edge = "fc2.patches" if found.setting.placement == "input" else "p"
    assert found.notes[-1] == f"LogSqrt2Activations: 1 of 'mixture': {edge}"
    assert set(found.prepared.params_of(f"{edge}.q")) == {"scale"}
    assert np.isfinite(found.network(X)).all() and integer_equals_fake(found, X) is None


def test_repq_is_both_of_its_parts():
    found = rq.quantize(mixture(), X, "nearest+repq+log-sqrt2", **BITS)
    assert [line.partition(":")[0] for line in found.notes] == [
        "ScaleReparameterization",
        "LogSqrt2Activations",
    ]
    assert "probabilities: LogSqrt2Activations" in describe("nearest+repq+log-sqrt2")
    assert json.loads(found.setting.to_json())["probabilities"]["is"] == "LogSqrt2Activations"
    assert "probabilities" not in json.loads(METHODS["nearest"].to_json())


def test_integers_are_refused_with_the_node_and_the_fix(tmp_path):
    """The contract defines no integer product of such levels; everything else works."""
    found = rq.quantize(mixture(), X, "nearest+log-sqrt2", **BITS)
    for epilogue in ("float", "fixed"):
        with pytest.raises(ValueError, match=r"node 'fc2' is .*'p\.q'.*Leave out 'log-sqrt2'"):
            found.integer(X, epilogue)
    assert "real" in found.plan.describe() and "input.q" in found.plan.describe()
    assert len(found.optimality_gap(X)) == 3
    saved = found.save(tmp_path / "out")
    assert json.loads((saved / "manifest.json").read_text())["notes"] == list(found.notes)


def test_the_slope_is_autodiff_with_the_rounding_taken_out():
    """y = d 2^(-(r - 2 log2(x / d)) / 2) with r frozen, by central differences; masks by hand."""
    rng = np.random.default_rng(3)
    component, scale = LogSqrt2Activations(bits=3), np.array(0.75)
    x = rng.uniform(0.08, 0.85, 40)
    y, cache = component.forward(x, {"scale": scale})
    r = -2.0 * np.log2(y / scale) + 2.0 * np.log2(x / scale)
    d_y = rng.normal(size=40)
    d_x, none = component.backward(d_y, cache)
    assert none == {}

    def loss(at):
        return float((d_y * scale * 2.0 ** (-(r - 2.0 * np.log2(at / scale)) / 2.0)).sum())

    check_gradient(loss, x, d_x, name="x")
    # d = 1/2, 2 bits: clipped to d above 2^(1/4) d, a level, the last one, decoded to 0, and 0
    at = np.array([0.6, 0.59, 0.25, 0.17, 0.145, 0.0])
    slope = log_sqrt2_slope(at, np.array(0.5), 2)
    expected = [0.0, 0.5 / 0.59, 1.0, 0.17677669529663687 / 0.17, 0.0, 0.0]
    np.testing.assert_allclose(slope, expected, rtol=1e-15, atol=0.0)


def test_contradictions_are_refused_when_the_setting_is_made():
    probabilities = LogSqrt2Activations()
    with pytest.raises(ValueError, match="beside real activations"):
        replace(METHODS["nearest"], activations=None, probabilities=probabilities)
    with pytest.raises(ValueError, match=r"Use LogSqrt2Activations\(\)"):
        replace(METHODS["nearest"], probabilities=NearestActivations())
    with pytest.raises(ValueError, match="both sides of the last plus set the component of prob"):
        rq.METHODS.find("nearest+log-sqrt2+log-sqrt2")
    with pytest.raises(ValueError, match=r"bits is 1; expected .*in 2\.\.16"):
        LogSqrt2Activations(bits=1)
    with pytest.raises(ValueError, match=r"shares is \(1\.5,\)"):
        LogSqrt2Activations(shares=(1.5,))


def test_the_command_line_says_that_the_pattern_is_absent(capsys):
    arguments = ["quantize", "digits-mlp", "--method", "nearest+cle+log-sqrt2", "--quiet"]
    assert main([*arguments, "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert notes[0].startswith("CrossLayerEqualization: 2 of 'digits-mlp")
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "\n".join(notes) in text and "absent from 'digits-mlp" in text
