"""Closed forms once everything is rounded for good: least squares and bias correction."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    BITS,
    adaround,
    images,
    plain,
    residual,
    run_of,
)
from oracle_tests.test_reconstruct_unit import (
    LARGE,
)
from refquant.methods.finish import CorrectBias, FitTransform
from refquant.methods.nearest import NEAREST
from refquant.network import Network, forward
from refquant.pipeline import quantize
from refquant.reconstruct.fit import finished
from refquant.reconstruct.model import build_model, harden


def seen(model, state, x):
    """y0 and the layer's output in the quantized network, by layer; the float outputs."""
    params = {**state}
    for layer, component in model.weights.items():
        own = {name: value for (node, name), value in state.items() if node == layer}
        shape = (-1, *[1] * (own["codes"].ndim - 1))
        params[(f"{layer}.product", "w")] = own["codes"] * component.step(own).reshape(shape)
    quantized = forward(model.network, x, params=params).values
    real = forward(model.float_network, x).values
    names = list(model.weights)
    return {n: (quantized[f"{n}.product"], quantized[n], real[n]) for n in names}


def hardened(network=None):
    network = residual() if network is None else network
    model = build_model(network, images(network, 40), NEAREST, BITS)
    return model, harden(model, model.start, tuple(model.weights)), images(network, 40)


def test_least_squares_leaves_nothing_to_a_line():
    """P44: the residual of every layer is orthogonal to y0 and to 1, with the fits before it."""
    model, state, x = hardened()
    fitted = finished(model, x, (FitTransform(),), state)
    assert set(fitted) - set(state) == {(n, p) for n in model.weights for p in ("xi", "eta")}
    assert all(fitted[key] is value for key, value in state.items())
    for layer, (y0, y_hat, y) in seen(model, fitted, x).items():
        axes = (0, *range(2, y.ndim))
        rest, scale = y_hat - y, np.abs(y).max() * np.abs(y0).max()
        np.testing.assert_allclose(rest.mean(axis=axes), 0.0, atol=1e-13 * scale, err_msg=layer)
        np.testing.assert_allclose((rest * y0).mean(axis=axes), 0.0, atol=1e-13 * scale)


def test_bias_correction_leaves_no_mean_error():
    """P50, in every layer, with the corrections before it; a layer without a bias gets one."""
    network = residual()
    bare = {key: value for key, value in network.params.items() if key != ("dw", "bias")}
    model, state, x = hardened(replace(network, params=bare))
    corrected = finished(model, x, (CorrectBias(),), state)
    assert {name for _, name in corrected.keys() - state.keys()} == {"bias"}
    for layer, (_, y_hat, y) in seen(model, corrected, x).items():
        error = (y_hat - y).mean(axis=(0, *range(2, y.ndim)))
        np.testing.assert_allclose(error, 0.0, atol=1e-13, err_msg=layer)
    before = seen(model, state, x)
    assert any(abs((h - y).mean()) > 1e-3 for _, h, y in before.values())


def kept_where_the_block_gains(model, state, x):
    """CorrectBias(keep="better") again, on the whole network: the layers kept, and the state."""
    ends = {"stem": "r0.q", "dw": "r2.q", "point": "r2.q", "fc": "fc"}
    target = forward(model.float_network, x).values
    kept, current = [], dict(state)

    def error(trial, layer):
        params = dict(trial)
        for name, component in model.weights.items():
            step = component.step({n: v for (node, n), v in trial.items() if node == name})
            codes = trial[(name, "codes")]
            params[(f"{name}.product", "w")] = step.reshape(-1, *[1] * (codes.ndim - 1)) * codes
        edge = ends[layer]
        found = forward(model.network, x, params=params).values[edge]
        return ((found - target[edge]) ** 2).mean()

    for layer in model.weights:
        _, y_hat, y = seen(model, current, x)[layer]
        shift = (y - y_hat).mean(axis=(0, *range(2, y.ndim)))
        bias = current.get((layer, "bias"), model.network.params[(layer, "bias")])
        trial = {**current, (layer, "bias"): bias + shift}
        if error(trial, layer) < error(current, layer):
            kept.append(layer)
            current = trial
    return kept, current


def test_a_correction_may_be_kept_where_its_block_gains():
    """PPQ (methods.md 8): kept where the block's output comes closer, dropped where it does not."""
    decided = set()
    for seed in (2, 5, 8, 9):  # none of them keeps all four
        model, state, x = hardened(residual(seed))
        expected, whole = kept_where_the_block_gains(model, state, x)
        found = finished(model, x, (CorrectBias(keep="better"),), state)
        assert [layer for layer, name in found if name == "bias"] == expected
        for layer in expected:
            np.testing.assert_allclose(found[(layer, "bias")], whole[(layer, "bias")], rtol=1e-9)
        decided |= {(layer, layer in expected) for layer in ("stem", "dw", "point")}
        assert "fc" in expected  # nothing stands behind it: the mean error gone is always a gain
    assert len(decided) == 6  # each of the three kept in one network and dropped in another
    with pytest.raises(ValueError, match=r"CorrectBias\(\): keep is 'beter'.*'better'"):
        CorrectBias(keep="beter")


def test_bias_correction_counts_xi_and_eta():
    """Behind a learnt transform the mean error is that of xi y0 + b + eta."""
    model, state, x = hardened()
    rng = np.random.default_rng(2)
    for layer in model.weights:
        channels = len(state[(layer, "codes")])
        state[(layer, "xi")] = rng.uniform(0.5, 1.5, channels)
        state[(layer, "eta")] = rng.normal(size=channels)
    corrected = finished(model, x, (CorrectBias(),), state)
    for layer, (_, y_hat, y) in seen(model, corrected, x).items():
        error = (y_hat - y).mean(axis=(0, *range(2, y.ndim)))
        np.testing.assert_allclose(error, 0.0, atol=1e-13, err_msg=layer)


def test_the_losses_of_the_first_layer_are_nested():
    """P48: least squares <= bias correction <= nothing, where inputs are the same."""
    model, state, x = hardened()
    errors = []
    for steps in ((), (CorrectBias(),), (FitTransform(),), (CorrectBias(), FitTransform())):
        _, y_hat, y = seen(model, finished(model, x, steps, state), x)["stem"]
        errors.append(((y_hat - y) ** 2).mean())
    none, shift, line, both = errors
    assert line < shift < none and both == pytest.approx(line, rel=1e-10)
    last = finished(model, x, (CorrectBias(), FitTransform()), state)
    assert {name for _, name in last.keys() - state.keys()} == {"bias", "xi", "eta"}
    np.testing.assert_allclose(  # the bias has taken the mean, the line the rest
        last[("stem", "eta")] + last[("stem", "bias")],
        finished(model, x, (FitTransform(),), state)[("stem", "eta")]
        + residual().params[("stem", "bias")],
        rtol=1e-9,
    )


def test_an_exact_layer_is_left_alone():
    """Codes that lose nothing need no correction: xi = 1 and eta = 0 up to rounding."""
    nodes = (plain("fc", "linear", "input"),)
    params = {("fc", "w"): np.array([[1.0, -2.0], [3.0, -4.0]]), ("fc", "bias"): np.ones(2)}
    network = Network("exact", (2,), nodes, params)
    x = np.arange(-8.0, 8.0).reshape(-1, 2)
    model = build_model(network, x, replace(NEAREST, activations=None), BITS)
    codes = {("fc", "s_w"): np.ones((2, 1)), ("fc", "codes"): np.array([[1, -2], [3, -4]])}
    state = {**model.start, **codes}
    fitted = finished(model, x, (FitTransform(),), state)
    np.testing.assert_allclose(fitted[("fc", "xi")], 1.0, rtol=1e-14)
    np.testing.assert_allclose(fitted[("fc", "eta")], 0.0, atol=1e-13)
    bias = finished(model, x, (CorrectBias(),), state)[("fc", "bias")]
    np.testing.assert_array_equal(bias, np.ones(2))


def test_finishing_runs_behind_learning_with_its_codes():
    """Codes, steps and alpha are those of the run without the step, bit for bit."""
    setting = adaround(penalty=LARGE)
    _, without, records = run_of(residual(), setting)
    _, state, same = run_of(residual(), replace(setting, finish=(CorrectBias(),)))
    assert records == same
    assert all(state[key].tobytes() == value.tobytes() for key, value in without.items())
    assert {key[1] for key in state.keys() - without.keys()} == {"bias"}


def test_real_weights_can_be_finished_too():
    """A-rounding leaves weights real; its product is fitted all the same, and nothing is coded."""
    network, x = residual(), images(residual())
    plainly, fitted = (quantize(network, x, f"a-rounding{b}", act_bits=2) for b in ("", "+ols"))
    assert fitted.plan is None and fitted.layers == {}
    plain_error, error = (
        np.abs((r.network(x) - network(x)).mean(axis=0)) for r in (plainly, fitted)
    )
    assert error.max() < 1e-13 < 1e-3 < plain_error.max()
