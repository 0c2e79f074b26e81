"""xi and eta by layer, pixel and network, a bias that is learnt, batch norm that is not folded."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    BITS,
    changed,
    classes,
    dense,
    images,
    normed,
    residual,
    run_of,
    task_of,
)
from refquant.components import XiEta
from refquant.deploy import absorb_norms, run_fake, run_integer
from refquant.methods import METHODS, Learn
from refquant.methods.adaqtransform import ADAQTRANSFORM, GRANULARITIES
from refquant.methods.finish import FitTransform
from refquant.methods.nearest import NEAREST
from refquant.methods.paradigm import BN_UNFOLDED, CASE_22, CASE_22_BIAS
from refquant.network import fold, forward
from refquant.optimal.batch_norm_map import (
    FoldedNorm,
    batch_norm_to_transform,
    transform_to_batch_norm,
)
from refquant.pipeline import quantize

SLOW = Learn(lr=0.01, keep_travel=False)
LAYERS = ("stem", "dw", "point", "fc")
SHAPES = {
    "adaqtransform-layer": dict.fromkeys(LAYERS, ()),
    "adaqtransform-pixel": {"stem": (4, 4, 4), "dw": (4, 4, 4), "point": (4, 4, 4), "fc": (3,)},
    "adaqtransform-network": {"fc": (3,)},
}


def slowly(setting):
    """The setting in small batches, everything behind the product learnt at one slow rate."""
    behind = setting.output.learnable
    learn = tuple((n, SLOW if n in behind else how) for n, how in setting.phases[0].learn)
    return changed(setting, learn=learn, batch=8)


@pytest.mark.parametrize("setting", GRANULARITIES, ids=lambda s: s.name)
def test_granularities_deploy_what_they_learn(setting):
    """15.6: shapes, gradients that move each number on its own, and codes equal in integers."""
    network, x = residual(), images(residual())
    result = quantize(network, x, slowly(setting), weight_bits=3, act_bits=4, steps=4)
    wanted = SHAPES[setting.name]
    for name, layer in result.layers.items():
        if name not in wanted:
            assert layer.xi is None and layer.eta is None
            continue
        assert layer.xi.shape == layer.eta.shape == wanted[name]
        assert len(np.unique(layer.xi)) > layer.xi.size // 2 and np.all(layer.eta != 0.0)
    y = images(network, 9, seed=4)
    fake, integer = run_fake(result.plan, y), run_integer(result.plan, y)
    assert all(np.array_equal(fake.codes[edge], integer.codes[edge]) for edge in fake.codes)
    assert fake.output.tobytes() == integer.output.tobytes()
    last, own = result.layers["fc"], result.prepared.params
    s_x = own[("flat.q" if ("flat.q", "s_x") in own else "gap.q", "s_x")]
    product = integer.accumulators["fc"] * (last.s_w * s_x)
    expected = last.xi * product + own[("fc", "bias")] + last.eta
    np.testing.assert_allclose(integer.output, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["adaquant", "qat-lsq", "case-2.2-bias"])
def test_on_top_of_a_learnt_bias(name):
    """P47: with xi = 1 and eta = 0 kept it is the method itself, bit for bit; learnt, both move."""
    network, x = residual(), images(residual())
    options = {"weight_bits": 3, "act_bits": 3, "steps": 3, "labels": classes(x)}
    whole = METHODS[f"{name}+adaqtransform"]
    (phase,) = whole.phases
    still = tuple(entry for entry in phase.learn if entry[0] not in ("xi", "eta"))
    parent = quantize(network, x, name, **options)
    neutral = quantize(network, x, changed(whole, learn=still, batch=phase.batch), **options)
    assert neutral.network(x).tobytes() == parent.network(x).tobytes()
    for layer, found in quantize(network, x, whole, **options).layers.items():
        np.testing.assert_array_equal(neutral.layers[layer].codes, parent.layers[layer].codes)
        assert np.all(neutral.layers[layer].xi == 1.0) and np.all(neutral.layers[layer].eta == 0.0)
        assert np.any(found.xi != 1.0) and np.any(found.eta != 0.0)


def test_only_pixels_have_no_fixed_point():
    """A multiplier a channel cannot carry them, and the message says which node and what helps."""
    network, x = residual(), images(residual())
    for setting in GRANULARITIES:
        result = quantize(network, x, slowly(setting), weight_bits=4, act_bits=8, steps=2)
        if setting.output.xi != "pixel":
            fixed, exact = result.integer(x, epilogue="fixed"), result.integer(x)
            assert np.abs(fixed - exact).max() < 0.2 * np.abs(exact).max()
            continue
        message = r"node 'stem' is xi or eta per pixel.*Use epilogue='float', or xi and eta per"
        with pytest.raises(ValueError, match=message):
            result.integer(x, epilogue="fixed")


def test_xi_and_eta_may_be_shared_differently():
    """One scale a layer beside one shift a pixel, as `quantizers.transform` allows."""
    setting = replace(ADAQTRANSFORM, output=XiEta(xi="layer", eta="pixel"))
    network, x = residual(), images(residual())
    result = quantize(network, x, slowly(setting), weight_bits=3, act_bits=4, steps=2)
    assert result.layers["dw"].xi.shape == () and result.layers["dw"].eta.shape == (4, 4, 4)
    assert result.network(x).tobytes() == result.integer(x).tobytes()


def test_fits_are_nested_by_granularity():
    """P48 in the pipeline: pixel <= channel <= layer <= none at a layer whose input is given."""
    network, x = residual(), images(residual(), 40)
    wanted = forward(network, x).values["stem"]
    errors = []
    for kind in (None, "layer", "channel", "pixel"):
        setting = NEAREST
        if kind is not None:
            fit = (FitTransform(granularity=kind),)
            setting = replace(NEAREST, output=XiEta(xi=kind, eta=kind), finish=fit)
        result = quantize(network, x, setting, weight_bits=2, first_last_bits=None)
        own, layer = result.prepared.params, result.layers["stem"]
        step = layer.s_w.reshape(-1, 1, 1, 1)
        weights = {("stem.product", "w"): (layer.codes - layer.zero_point) * step}
        y = forward(result.prepared, x, params={**own, **weights}).values["stem"]
        errors.append(((y - wanted) ** 2).mean())
    assert errors == sorted(errors, reverse=True) and errors[3] < errors[2] < errors[1] < errors[0]
    with pytest.raises(ValueError, match="granularity"):
        FitTransform(granularity="network")


def test_a_learnt_bias_is_the_offset():
    """AT eq. 7: b' moves, a layer without a bias gets one, and it is what is deployed."""
    network = residual()
    bare = {key: v for key, v in network.params.items() if key != ("dw", "bias")}
    network, x = replace(network, params=bare), images(network)
    result = quantize(network, x, slowly(CASE_22_BIAS), weight_bits=3, act_bits=4, steps=4)
    for name in LAYERS:
        learnt = result.prepared.params[(name, "bias")]
        before = network.params.get((name, "bias"), np.zeros(len(learnt)))
        assert np.all(learnt != before) and np.abs(learnt - before).max() <= 0.05
        np.testing.assert_array_equal(result.plan.layers[name].offset, learnt)
    one, two = (run_of(residual(), case, steps=1)[2][0] for case in (CASE_22, CASE_22_BIAS))
    assert one.loss == two.loss and one.hard_start == two.hard_start  # P53


@pytest.fixture(scope="module")
def unfolded():
    """Network, inputs, what the loop ended with, and the deployed result."""
    network, x, setting = normed(), images(normed()), slowly(BN_UNFOLDED)
    model, state, _ = run_of(network, setting, x, steps=4)
    bits = {"weight_bits": 3, "act_bits": 4, "first_last_bits": None}
    return network, x, model, state, quantize(network, x, setting, steps=4, **bits)


def test_an_unfolded_norm_is_deployed_exactly(unfolded):
    """P43: the network with its norms, as the loop saw it, is the one with xi and eta instead."""
    network, x, model, state, result = unfolded
    weights = {}
    for name, layer in result.layers.items():
        np.testing.assert_array_equal(layer.codes, state[(name, "codes")])
        step = layer.s_w.reshape(-1, *[1] * (layer.codes.ndim - 1))
        weights[(f"{name}.product", "w")] = layer.codes * step
    seen = forward(model.network, x, params={**state, **weights}).values["fc"]
    np.testing.assert_allclose(result.network(x), seen, rtol=1e-10, atol=1e-12)
    assert result.network(x).tobytes() == result.integer(x).tobytes()
    assert result.integer(x, epilogue="fixed").shape == (24, 3)
    assert "batch_norm" not in {node.op for node in result.prepared.nodes}
    for layer, norm in (("dw", "n1"), ("point", "n2")):
        for name in ("gamma", "beta"):
            assert np.all(state[(norm, name)] != network.params[(norm, name)])
        assert result.layers[layer].xi is not None
    assert result.layers["stem"].xi is None and ("fc", "xi") not in result.prepared.params


def test_an_unfolded_norm_is_a_transform_of_the_folded_layer_and_back(unfolded):
    """AT eq. 10, D19: the same codes behind the folded network with xi and eta of the map."""
    network, _, _, state, result = unfolded
    folded = fold(network)
    for layer, norm in (("dw", "n1"), ("point", "n2")):
        p = network.params_of(norm)
        sd = np.sqrt(p["var"] + network.node(norm).attr("eps"))
        was = FoldedNorm(p["gamma"], p["beta"], p["mean"], sd, network.params[(layer, "bias")])
        learnt = state[(norm, "gamma")], state[(norm, "beta")]
        xi, eta = batch_norm_to_transform(*learnt, was)
        found = result.layers[layer]
        y0 = np.random.default_rng(0).normal(size=(5, 4))
        before = found.xi * y0 + network.params[(layer, "bias")] + found.eta
        behind = xi * (p["gamma"] / sd * y0) + folded.params[(layer, "bias")] + eta
        np.testing.assert_allclose(before, behind, rtol=1e-12)
        for back, value in zip(transform_to_batch_norm(xi, eta, was), learnt, strict=True):
            np.testing.assert_allclose(back, value, rtol=1e-13)


def test_errors_are_measured_behind_the_norm():
    """Otherwise a norm's own layer would have no part in its gradient."""
    task, _ = task_of(normed(), images(normed()), BN_UNFOLDED)
    assert task.unit.measured == ("stem", "n1", "n2", "fc") and task.targets.keys() == {
        *task.unit.measured
    }


def test_a_transform_in_front_of_a_norm_keeps_its_effect():
    """absorb_norms: gamma (xi y0 + b + eta - mu)/sd + beta, whatever shares xi and eta."""
    network, x = normed(), images(normed())
    for kind in ("channel", "layer", "pixel"):
        setting = replace(NEAREST, prepare=(), output=XiEta(xi=kind, eta=kind))
        model, state, _ = run_of(network, setting, x)
        rng, moved = np.random.default_rng(3), {}
        for key, value in state.items():
            if key[1] in ("xi", "eta"):
                moved[key] = np.asarray(rng.uniform(0.5, 1.5, value.shape))
        own = {**model.network.params, **state, **moved}
        full = replace(model.network, params=own)
        bare, found = absorb_norms(full)
        assert found.keys() == {(n, p) for n in ("dw", "point") for p in ("xi", "eta")}
        absorbed = replace(bare, params={**bare.params, **found})
        left, right = (forward(n, x).values["fc"] for n in (full, absorbed))
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)
        assert not any(key[0] in ("n1", "n2") for key in bare.params)


def test_a_scale_that_is_not_positive_is_warned_of():
    """D33, outside folding too: the layer, the channel and why it matters."""
    network = normed()
    params = {**network.params, ("n2", "gamma"): np.array([1.0, 2.0, -0.5, 1.0])}
    network = replace(network, params=params)
    with pytest.warns(UserWarning, match=r"layer 'point': xi is -0\.\d+ at channel 2; a fixed"):
        result = quantize(network, images(network), replace(NEAREST, prepare=()))
    x = images(network, 5, seed=2)
    assert result.network(x).tobytes() == result.integer(x).tobytes()
    pixels = replace(METHODS["adaqtransform-pixel"], phases=())
    quantize(residual(), images(residual()), pixels)  # neutral: no warning, or an error here


def test_without_a_norm_the_rest_is_learnt():
    """A network whose pattern is absent runs all the same, and nothing is behind its products.

    The notes of a result say which norms there are, or that there is none.
    """
    model, state, records = run_of(residual(), slowly(BN_UNFOLDED), steps=2, bits=BITS)
    assert not {key for key in state if key[1] in ("gamma", "beta")} and len(records) == 1
    (absent,) = model.notes
    assert absent == "NormAffine: its pattern is absent from 'residual', which stays as it is"
    still = replace(BN_UNFOLDED, phases=())
    assert quantize(normed(), images(normed()), still).notes == (
        "NormAffine: 2 of 'normed': n1; n2",
    )


def test_redistribution_stands_inside_the_transform():
    """AT eq. 12, 13: y = xi (Q(W sc) Q(x / sc)) + b + eta, with every part of it by hand."""
    network = dense(sizes=(6, 5, 3))
    x = images(network, 60)
    bits = {"weight_bits": 3, "act_bits": 4, "first_last_bits": None}
    result = quantize(network, x, "nearest+smoothquant+ols", **bits)
    w1, w2 = (network.params[(n, "w")] for n in ("fc1", "fc2"))
    b1, b2 = (network.params[(n, "bias")] for n in ("fc1", "fc2"))
    hidden = np.maximum(x @ w1.T + b1, 0.0)
    sc = np.sqrt(np.abs(hidden).max(axis=0) / np.abs(w2).max(axis=0))
    np.testing.assert_allclose(result.prepared.params[("fc2.product", "w")], w2 * sc, rtol=1e-12)
    layer, y = result.layers["fc2"], images(network, 7, seed=8)
    trace = run_fake(result.plan, y)
    coder = result.plan.coders["r1.q"]
    x_hat = coder.step * (trace.codes["r1.q"] - coder.zero_point)  # Q(x / sc)
    w_hat = layer.s_w[:, None] * (layer.codes - layer.zero_point)  # Q(W sc)
    np.testing.assert_allclose(
        trace.output, layer.xi * (x_hat @ w_hat.T) + b2 + layer.eta, rtol=1e-12, atol=1e-13
    )
    error, half = np.abs(w_hat - w2 * sc), layer.s_w[:, None] / 2
    inside = np.abs(w2 * sc) <= 7 * half  # levels -4..3
    assert inside.mean() > 0.5 and np.all((error <= half * (1 + 1e-12))[inside])
