"""The front door: what it refuses, that refusing changes nothing, and what may stay real."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    ADAQT,
    CASE_112,
    TABLE,
    adaround,
    images,
    residual,
)
from refquant._bundle import read_bundle
from refquant.methods.nearest import NEAREST
from refquant.network import Network, Node, evaluate
from refquant.network.run import group_by_node
from refquant.pipeline import quantize
from refquant.progress import bar, choose, silent
from refquant.result import deployed

NETWORK = residual()
X = images(NETWORK)


def spoilt(index, value):
    x = X.copy()
    x[index] = value
    return x


def with_param(key, value):
    return replace(NETWORK, params={**NETWORK.params, key: value})


def no_layers():
    return Network("relu", (2, 4, 4), (Node("r", "relu", ("input",)),), {})


NAN_BIAS = with_param(("fc", "bias"), np.array([0.0, np.nan, 0.0]))
INF_WEIGHT = with_param(("dw", "w"), np.full((4, 1, 3, 3), np.inf))

BAD = {
    "shape": ({"x": X[:, :1]}, ValueError, r"x is of shape \(24, 1, 4, 4\); expected \(n, 2, 4, 4"),
    "one image": ({"x": X[0]}, ValueError, r"of shape \(2, 4, 4\)"),
    "no axes": ({"x": np.array(1.0)}, ValueError, r"of shape \(\)"),
    "empty": ({"x": X[:0]}, ValueError, "n >= 1"),
    "integers": ({"x": X.astype(int)}, TypeError, "float32 or float64"),
    "half": ({"x": X.astype(np.float16)}, TypeError, "float16"),
    "list": ({"x": X.tolist()}, TypeError, "x is list"),
    "nan": ({"x": spoilt((3, 1, 0, 2), np.nan)}, ValueError, r"nan at index \(3, 1, 0, 2\)"),
    "inf": ({"x": spoilt((0, 0, 0, 0), -np.inf)}, ValueError, r"-inf at index \(0, 0, 0, 0\)"),
    "not a network": ({"network": lambda x: x}, TypeError, "a refquant Network"),
    "nan in the network": ({"network": NAN_BIAS}, ValueError, "'bias' of node 'fc' is nan"),
    "inf in the network": ({"network": INF_WEIGHT}, ValueError, "'w' of node 'dw' is inf"),
    "nothing to quantize": ({"network": no_layers()}, ValueError, "without a convolution"),
    "unknown method": ({"method": "adaronud"}, ValueError, "Did you mean 'adaround'"),
    "method of a wrong type": ({"method": 7}, TypeError, "a name or a Setting"),
    "composition": ({"method": "qdrop+olls"}, ValueError, "Did you mean 'ols'"),
    "weight bits 1": ({"weight_bits": 1}, ValueError, "weight_bits is 1; expected .* in 2..16"),
    "weight bits 17": ({"weight_bits": 17}, ValueError, "2..16"),
    "weight bits 4.0": ({"weight_bits": 4.0}, TypeError, "an integer"),
    "weight bits True": ({"weight_bits": True}, TypeError, "True"),
    "act bits": ({"act_bits": 0}, ValueError, "act_bits is 0"),
    "act bits None": ({"act_bits": None}, TypeError, "act_bits"),
    "first and last": ({"first_last_bits": 20}, ValueError, "first_last_bits is 20"),
    "seed": ({"seed": -1}, ValueError, "seed is -1; expected an integer"),
    "seed 0.5": ({"seed": 0.5}, TypeError, "seed"),
    "seed beyond the generator": ({"seed": 2**64}, ValueError, "seed"),
    "steps 0": ({"steps": 0}, ValueError, "steps is 0; expected an integer at least 1"),
    "steps 1.5": ({"steps": 1.5}, TypeError, "steps"),
    "dtype": ({"dtype": "float16"}, ValueError, "'float16'; expected one of"),
    "progress": ({"progress": "bar"}, TypeError, "progress is str"),
    "progress 1": ({"progress": 1}, TypeError, "progress is int"),
    "no labels": (
        {"method": "qat-lsq"},
        ValueError,
        "labels is None with 'qat-lsq'; expected the class of every calibration input. Pass labels",
    ),
    "labels as rows": ({"labels": np.eye(24)}, TypeError, "labels is float64; .* not one-hot"),
    "a list of labels": ({"labels": [0] * 24}, TypeError, "labels is list"),
    "a label too few": ({"labels": np.zeros(23, int)}, ValueError, r"shape \(23,\); .*\(24,\)"),
    "a class too many": (
        {"method": "qat-lsq", "labels": np.arange(24) % 4},
        ValueError,
        r"labels is in 0..3, with an output of shape \('n', 3\)",
    ),
    "a negative class": ({"method": "qat-lsq", "labels": -np.ones(24, int)}, ValueError, "-1..-1"),
    "checkpoint": ({"checkpoint": 3}, TypeError, "checkpoint is int"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_are_refused_and_nothing_happens(what, tmp_path):
    """The message says what was got and what was expected; no folder appears, nothing ticks."""
    bad, error, message = BAD[what]
    ticks = []
    folder = tmp_path / "checkpoint"
    progress = lambda label, steps: lambda: ticks.append(label)  # noqa: E731
    arguments = {"network": NETWORK, "x": X, "method": adaround(), "steps": 2}
    options = {"checkpoint": folder, "progress": progress, **bad}
    before = X.tobytes()
    with pytest.raises(error, match=message) as caught:
        quantize(**{**arguments, **options})
    assert str(caught.value).startswith(("quantize():", "resolve():"))
    assert not folder.exists() and not ticks and X.tobytes() == before


def test_a_checkpoint_that_cannot_be_written_is_refused(tmp_path):
    """A file in the way, or a file among its parents; before anything is learnt."""
    file = tmp_path / "file"
    file.write_text("mine")
    ticks = []
    progress = lambda label, steps: lambda: ticks.append(label)  # noqa: E731
    for place in (file, file / "below", str(file)):
        with pytest.raises(ValueError, match=r"a writable path\. Choose a directory"):
            quantize(NETWORK, X, adaround(), steps=2, checkpoint=place, progress=progress)
    assert file.read_text() == "mine" and not ticks


@pytest.mark.parametrize("network_dtype", ["float32", "float64"])
@pytest.mark.parametrize("x_dtype", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_the_run_has_the_dtype_asked_for_or_the_networks(network_dtype, x_dtype, dtype):
    """Images follow; every combination runs."""
    cast = {key: value.astype(network_dtype) for key, value in NETWORK.params.items()}
    network = replace(NETWORK, params=cast)
    result = quantize(network, X.astype(x_dtype), adaround(), steps=1, dtype=dtype)
    kind = dtype or network_dtype
    assert {v.s_w.dtype for v in result.layers.values()} == {np.dtype(kind)}
    assert all(v.dtype == kind for k, v in result.prepared.params.items() if k[1] == "s_x")


def test_one_image_is_enough_and_more_than_a_batch_too():
    """Batches shrink to the images there are."""
    for n in (1, 3):
        result = quantize(NETWORK, X[:n], adaround(), steps=2)
        assert len(result.history) == 4
        assert np.isfinite(result.network(X)).all()


# What a method leaves real.


def test_weights_alone():
    """`network` runs on dequantized weights; `integer` names the first node that reads reals."""
    result = quantize(NETWORK, X, adaround_with(activations=None), steps=2)
    weights = {
        (name, "w"): np.moveaxis(layer.s_w * np.moveaxis(layer.codes, 0, -1), -1, 0)
        for name, layer in result.layers.items()
    }
    expected = evaluate(replace(NETWORK, params={**NETWORK.params, **weights}), X, ("fc",))["fc"]
    np.testing.assert_allclose(result.network(X), expected, rtol=1e-10)
    with pytest.raises(ValueError, match=r"node 'stem' is a linear layer .* in real numbers"):
        result.integer(X)


def adaround_with(**fields):
    return replace(adaround(), **fields)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("phases", [(), "s_x"])
def test_activations_alone(dtype, phases, tmp_path):
    """`network` runs on float weights and quantized edges, in float64; `integer` says why not."""
    learnt = (replace(CASE_112.phases[0], learn=(CASE_112.phases[0].learn[1],), penalty=None),)
    setting = replace(NEAREST, name="activations", weights=None, phases=learnt if phases else ())
    result = quantize(NETWORK, X, setting, act_bits=3, steps=3, dtype=dtype)
    assert result.layers == {} and result.plan is None and len(result.history) == len(phases)
    logits = result.network(X)
    assert logits.dtype == np.float64
    edges = {k: v.astype(float) for k, v in result.prepared.params.items() if k[0].endswith(".q")}
    assert {k[1] for k in edges} == {"s_x", "zero_point"}
    start = quantize(NETWORK, X, replace(setting, phases=()), act_bits=3, dtype=dtype)
    moved = np.any(start.network(X) != logits)
    assert moved == bool(phases)
    expected = by_hand({k: v.astype(dtype) for k, v in NETWORK.params.items()}, edges)
    np.testing.assert_allclose(logits, expected, atol=1e-12)
    with pytest.raises(ValueError, match=r"Result.integer\(\): node 'stem' .* weights are real"):
        result.integer(X)
    with pytest.raises(ValueError, match="node 'stem'"):
        deployed(result)
    _, arrays = read_bundle(result.save(tmp_path / "saved"))
    assert "stem.product/w" in arrays and "input.q/s_x" in arrays


def by_hand(params, edges):
    """Walk the network from quantizer to quantizer, in float64."""
    network = replace(NETWORK, params={key: value.astype(float) for key, value in params.items()})
    own, values = group_by_node(edges), {}
    for node, sources in (("input", ()), ("r0", ("input",)), ("r1", ("r0",)), ("r2", ("r1", "r0"))):
        real = evaluate(network, {e: values[e] for e in sources}, (node,))[node] if sources else X
        values[node] = nearest(real, own[f"{node}.q"], 8 if node == "input" else 3)
    gap = evaluate(network, {"r2": values["r2"]}, ("gap",))["gap"]
    return evaluate(network, {"gap": nearest(gap, own["gap.q"], 8)}, ("fc",))["fc"]


def nearest(x, own, bits):
    step, zero = own["s_x"], own["zero_point"]
    return step * np.clip(np.rint(x / step), -zero, 2**bits - 1 - zero)


def test_weights_and_outputs_alone_are_learnt_too():
    """alpha without activation quantizers; xi and eta in front of float activations."""
    for setting in (
        replace(ADAQT, activations=None, phases=(without_s_x(ADAQT.phases[0]),)),
        replace(ADAQT, weights=None, phases=(without_alpha(ADAQT.phases[0]),)),
    ):
        result = quantize(NETWORK, X, setting, steps=3)
        assert result.history[0].loss[-1] > 0.0
        assert np.any(result.network(X) != NETWORK(X))
        assert np.any(result.prepared.params[("fc", "xi")] != 1.0)


def without_s_x(phase):
    return replace(phase, learn=tuple(pair for pair in phase.learn if pair[0] != "s_x"))


def without_alpha(phase):
    learn = tuple(pair for pair in phase.learn if pair[0] != "alpha")
    return replace(phase, learn=learn, penalty=None)


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_more_bits_lose_less(setting):
    """A sanity check on real numbers: W8A8 is near the float network, W2A2 is not."""
    error = [
        np.abs(
            quantize(
                NETWORK, X, setting, weight_bits=b, act_bits=b, first_last_bits=b, steps=2
            ).network(X)
            - NETWORK(X)
        ).max()
        for b in (2, 8)
    ]
    assert error[1] < 0.2 < error[0]


def test_progress_is_chosen(capsys):
    """None and False are silent, True is a bar on standard error that ends with the last tick."""
    assert choose(None) is choose(False) is silent and choose(True) is bar
    own = lambda label, steps: lambda: None  # noqa: E731
    assert choose(own) is own
    quantize(NETWORK, X[:4], adaround(), steps=2, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "stem" in err and "fc" in err
    silent("stem", 3)()
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_closed_after_its_last_tick(monkeypatch):
    """Not before, and not twice."""
    calls = []

    class Fake:
        def __init__(self, total, desc, **options):
            self.n = 0
            calls.append((desc, total))

        def update(self):
            self.n += 1
            calls.append(self.n)

        def close(self):
            calls.append("closed")

    monkeypatch.setattr("tqdm.tqdm", Fake)
    tick = bar("stem", 2)
    tick()
    tick()
    assert calls == [("stem", 2), 1, 2, "closed"]
