"""Borders in closed form: as the start of a unit, and behind a method that learns nothing."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import BITS, changed, dense, images, residual, run_of
from refquant.components import BorderActivations
from refquant.methods import METHODS, Learn, Phase
from refquant.methods.aquant import AQUANT
from refquant.methods.closed_border import NEAREST_BORDER
from refquant.methods.finish import FitBorder, FitTransform
from refquant.methods.nearest import NEAREST
from refquant.network import forward
from refquant.pipeline import quantize
from refquant.quantizers.border_options import BorderOptions
from refquant.reconstruct.fit import finished
from refquant.reconstruct.model import build_model, harden

STILL = tuple((name, Learn(lr=0.0)) for name in ("alpha", "s_x", "b0", "b1"))
BOUNDS = {
    "clip": (BorderOptions(bound="clip"), 1.0),
    "outer": (BorderOptions(), 4 / 2.5),
    "inner": (BorderOptions(scale="inner", kappa=2.0), 4 / 2.0),
    "linear": (BorderOptions(degree=1), 4 / 2.5),
}


def begun(options, error_degree, network, x):
    """Model and state of AQuant that starts in closed form and then does not move."""
    phase = replace(AQUANT.phases[0], learn=STILL, begin=(FitBorder(error_degree=error_degree),))
    activations = replace(AQUANT.activations, options=options)
    setting = replace(AQUANT, activations=activations, phases=(replace(phase, drive=()),))
    model, state, _ = run_of(network, setting, x, steps=1)
    return model, state


def ratios(model, state, layer):
    """(sum A dw / sum A^2, sum A w / sum A^2) of a layer that reads features, by loops."""
    w = model.network.params[(f"{layer}.product", "w")]
    w_hat = state[(layer, "codes")] * state[(layer, "s_w")]
    tilt, gain = [], []
    for j in range(w.shape[1]):
        squares = sum(a * a for a in w_hat[:, j])
        tilt.append(sum(a * (a - b) for a, b in zip(w_hat[:, j], w[:, j], strict=True)) / squares)
        gain.append(sum(a * b for a, b in zip(w_hat[:, j], w[:, j], strict=True)) / squares)
    return np.array(tilt), np.array(gain)


@pytest.mark.parametrize("bound", BOUNDS)
def test_without_noise_the_start_is_the_tilt_of_the_weights(bound):
    """P15, methods.md 13.2: b1 = sum A dw / sum A^2 over the slope of the bound, the rest 0."""
    options, scale = BOUNDS[bound]
    network = dense(sizes=(6, 5, 4, 3))
    for degree in (0, 2):  # the first layer's input is the same in both networks: no noise
        model, state = begun(options, degree, network, images(network))
        tilt, _ = ratios(model, state, "fc1")
        quantizer = "fc1.patches.q"
        np.testing.assert_allclose(state[(quantizer, "b1")][:, 0], scale * tilt, rtol=1e-12)
        assert np.abs(state[(quantizer, "b1")]).min() > 1e-4
        assert not state[(quantizer, "b0")].any()
        assert options.degree == 1 or not state[(quantizer, "b2")].any()


def test_noise_is_regressed_where_the_border_matters():
    """b = (tilt + e1 R, e0 R, e2 R) with e a parabola through the fractions inside the range."""
    network = dense(sizes=(6, 5, 4, 3))
    x = images(network, 300)
    model, state = begun(BOUNDS["clip"][0], 2, network, x)
    real = forward(model.float_network, x).values["fc2.patches"]
    weights = {
        (f"{n}.product", "w"): state[(n, "codes")] * state[(n, "s_w")] for n in model.weights
    }
    quantized = forward(model.network, x, params={**state, **weights}).values["fc2.patches"]
    step = float(state[("fc2.patches.q", "s_x")])
    u, e = quantized[:256] / step, (quantized - real)[:256] / step
    tilt, gain = ratios(model, state, "fc2")
    found = [state[("fc2.patches.q", name)][:, 0] for name in ("b0", "b1", "b2")]
    for c in range(5):
        live = (u[:, c] > 0) & (u[:, c] < 2**BITS.activations - 1)
        assert 20 < live.sum() < 256  # behind a relu about half of it is 0
        e2, e1, e0 = np.polyfit(u[live, c], e[live, c], 2)
        expected = (e0 * gain[c], tilt[c] + e1 * gain[c], e2 * gain[c])
        np.testing.assert_allclose([b[c] for b in found], expected, rtol=1e-6, atol=1e-9)


def test_learning_goes_on_from_the_start():
    """aquant+closed-form: the first record has the closed form's loss; nothing else differs."""
    network, x = residual(), images(residual())
    whole = METHODS["aquant+closed-form"]
    assert replace(whole, name="", reference="", parents=(), phases=()) == replace(
        AQUANT, name="", reference="", parents=(), phases=()
    )
    assert replace(whole.phases[0], begin=()) == AQUANT.phases[0]
    assert whole.phases[0].begin == (FitBorder(),)
    _, state, records = run_of(network, changed(whole, batch=8), x, steps=1)
    _, _, plainly = run_of(network, changed(AQUANT, batch=8), x, steps=1)
    assert all(a.hard_start != b.hard_start for a, b in zip(records, plainly, strict=True))
    _, other, _ = run_of(network, changed(whole, batch=8), x, steps=1)
    assert all(state[key].tobytes() == other[key].tobytes() for key in state)


def test_a_closed_border_makes_up_for_the_errors_of_the_weights():
    """nearest-border: less output error than the same quantizers at 1/2; only borders moved."""
    network = dense(seed=3, sizes=(24, 16, 10))
    x = np.abs(images(network, 400))
    model = build_model(network, x, NEAREST_BORDER, replace(BITS, weights=2, activations=2))
    state = harden(model, model.start, tuple(model.weights))
    fitted = finished(model, x, NEAREST_BORDER.finish, state)
    moved = {key[1] for key in state if np.any(state[key] != fitted[key])}
    assert fitted.keys() == state.keys() and moved == {"b0", "b1", "b2"}
    weights = {
        (f"{n}.product", "w"): state[(n, "codes")] * state[(n, "s_w")] for n in model.weights
    }
    wanted = forward(model.float_network, x).values["fc1"]
    half, closed = (
        ((forward(model.network, x, params={**s, **weights}).values["fc1"] - wanted) ** 2).mean()
        for s in (state, fitted)
    )
    assert closed < 0.97 * half


def test_real_weights_leave_the_noise_alone():
    """With w_hat = w the tilt is 0 and R is 1: the border is 1/2 + e(u)."""
    network = dense(sizes=(6, 5, 4, 3))
    x = images(network, 200)
    setting = replace(NEAREST_BORDER, weights=None)
    model = build_model(network, x, setting, BITS)
    fitted = finished(model, x, setting.finish, model.start)
    assert not any(fitted[("fc1.patches.q", b)].any() for b in ("b0", "b1", "b2"))
    assert all(fitted[("fc2.patches.q", b)].all() for b in ("b0", "b1", "b2"))
    result = quantize(network, x, setting)
    assert result.plan is None and np.isfinite(result.network(x)).all()


REFUSED = {
    "output placement": (
        lambda: replace(NEAREST_BORDER, placement="output"),
        "looks at the inputs of layers.*Use placement='input'",
    ),
    "no border": (
        lambda: replace(NEAREST, placement="input", finish=(FitBorder(),)),
        "needs b0, b1.*activations=BorderActivations",
    ),
    "learnt and fitted": (
        lambda: replace(AQUANT, finish=(FitBorder(),)),
        "overwrites 'b0'.*Do not learn 'b0'",
    ),
    "real activations": (
        lambda: Phase(
            learn=(("alpha", Learn(lr=1.0)),), quantize=("weights",), begin=(FitBorder(),)
        ),
        "begin is FitBorder, while activations are real",
    ),
    "no transform to begin": (
        lambda: changed(AQUANT, begin=(FitTransform(),)),
        "begin is FitTransform, which needs eta, xi",
    ),
    "degree": (lambda: FitBorder(error_degree=3), "error_degree"),
    "samples": (lambda: FitBorder(samples=0), "samples"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_contradictions_are_refused(what):
    build, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        build()


def test_a_border_of_degree_one_takes_a_line():
    """The noise of a linear border is regressed by a line, whatever the step says."""
    network = dense(sizes=(6, 5, 3))
    activations = BorderActivations(options=BorderOptions(degree=1, fuse="none"))
    result = quantize(network, images(network), replace(NEAREST_BORDER, activations=activations))
    assert {key[1] for key in result.prepared.params if key[0] == "fc2.patches.q"} == {
        *("s_x", "zero_point", "b0", "b1", "a")
    }
