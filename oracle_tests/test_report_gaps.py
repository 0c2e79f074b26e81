"""Distance to the optimum: against every rounding of a layer, run through the network itself."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import changed, classes, dense, images, normed, residual
from refquant.deploy import run_fake
from refquant.methods import METHODS, Learn
from refquant.methods.adaqtransform import ADAQTRANSFORM
from refquant.methods.lsq import FLOOR
from refquant.methods.paradigm import BN_UNFOLDED, CASE_12, CASE_22
from refquant.network import forward, replace_params
from refquant.optimal.moments import input_moments
from refquant.optimal.round_rows import round_rows
from refquant.pipeline import quantize
from refquant.quantizers.grid import Grid, make_qparams

NET = dense(seed=5, sizes=(3, 4, 2))
X = np.abs(images(NET, 30))
BITS = {"weight_bits": 2, "act_bits": 3, "first_last_bits": None}


def errors_of_every_rounding(result, layer, x):
    """Mean squared error of each channel under every rounding of its weights, and of its codes.

    The network is run with the channel's codes replaced; nothing is read of the code under test.
    """
    prepared, own = result.prepared, result.layers[layer]
    key, edge = (f"{layer}.product", "w"), layer
    weights = {}
    for name, other in result.layers.items():
        step = other.s_w.reshape(-1, *[1] * (other.codes.ndim - 1))
        weights[(f"{name}.product", "w")] = step * (other.codes - other.zero_point)
    norms = [
        n.name for n in result.reference.nodes if n.op == "batch_norm" and n.inputs == (layer,)
    ]
    y = forward(result.reference, x).values[norms[0] if norms else layer]
    w, low, high = prepared.params[key], -2, 1
    s_in = own.s_w if own.s_w_in is None else own.s_w_in
    base = np.clip(np.floor(w / s_in.reshape(-1, *[1] * (w.ndim - 1))), low, high)
    top = np.minimum(base + 1, high)
    found = []
    for c in range(len(w)):
        losses = {}
        for h in product((0, 1), repeat=w[c].size):
            levels = np.where(np.reshape(h, w[c].shape), top[c], base[c])
            trial = weights[key].copy()
            trial[c] = own.s_w[c] * levels
            out = forward(prepared, x, params={**weights, key: trial}).values[edge]
            losses[h] = ((out[:, c] - y[:, c]) ** 2).mean()
        now = ((forward(prepared, x, params=weights).values[edge][:, c] - y[:, c]) ** 2).mean()
        found.append((now, min(losses.values())))
    return np.array(found)


# s_w_out goes far enough that floor(w / s_w_out) is another level than floor(w / s_w).
APART = (("alpha", Learn(lr=1e-3)), ("s_w_out", Learn(lr=0.1, keep_travel=False, project=FLOOR)))
CASES = {
    "nearest": "nearest",
    "adaround": "adaround",
    "xi and eta": "nearest+ols",
    "bias": "nearest+bias-correction",
    "border": "nearest-border",
    "decoupled": changed(CASE_22, batch=8, learn=APART),
    "learnt transform": changed(ADAQTRANSFORM, batch=8),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:.*xi is:UserWarning")
def test_gaps_against_every_rounding(case):
    """P34: loss, optimum and gap of both layers, whatever stands behind the product."""
    result = quantize(NET, X, CASES[case], steps=6, **BITS)
    for found in result.optimality_gap(X):
        loss, best = errors_of_every_rounding(result, found.layer, X).sum(axis=0)
        assert found.exact and found.reason == ""
        assert found.loss == pytest.approx(loss, rel=1e-9)
        assert found.best == pytest.approx(best, rel=1e-9)
        assert found.gap == pytest.approx(loss - best, rel=1e-6, abs=1e-12 * loss)
        assert found.surely == found.gap >= 0.0


CODED = [name for name, setting in METHODS.items() if setting.weights is not None]


@pytest.mark.parametrize("name", CODED)
@pytest.mark.filterwarnings("ignore:.*xi is:UserWarning", "ignore:.*fitted to chance")
def test_every_method_has_its_gaps(name):
    """P34 over the catalogue: codes that are a rounding of the weights never beat the optimum."""
    setting = changed(METHODS[name], merge=()) if METHODS[name].phases else METHODS[name]
    options = {"steps": 3, "labels": classes(X, 2), **BITS}
    found = quantize(NET, X, setting, **options).optimality_gap(X)
    assert [gap.layer for gap in found] == ["fc1", "fc2"]
    for gap in found:
        assert gap.exact and gap.reason == "" and gap.loss >= 0.0
        assert gap.gap >= 0.0 or not gap.feasible


def test_an_optimum_has_no_gap():
    """The solver's own answer: exactly 0; nearest is not it."""
    result = quantize(NET, X, "nearest", **BITS)
    assert result.optimality_gap(X)[0].gap > 1e-4
    own, coder = result.layers["fc1"], result.plan.coders["input.q"]
    x_hat = coder.step * (run_fake(result.plan, X).codes["input.q"] - coder.zero_point)
    qparams = make_qparams(own.s_w[:, None], 0, Grid("signed", 2))
    codes = round_rows(NET.params[("fc1", "w")], qparams, input_moments(X.T, x_hat.T))
    solved = replace(result, layers={**result.layers, "fc1": own._replace(codes=codes)})
    found = solved.optimality_gap(X)[0]
    assert found.gap == 0.0 == found.surely and found.loss == pytest.approx(found.best, rel=1e-12)


def test_groups_and_batch_norms():
    """A depthwise layer behind whose product a batch norm stands, against every rounding."""
    network = normed()
    x = images(network, 6)
    setting = replace(BN_UNFOLDED, phases=())
    result = quantize(network, x, setting, **BITS)
    found = {gap.layer: gap for gap in result.optimality_gap(x)}
    for layer in ("point", "fc"):
        loss, best = errors_of_every_rounding(result, layer, x).sum(axis=0)
        assert found[layer].loss == pytest.approx(loss, rel=1e-9)
        assert found[layer].best == pytest.approx(best, rel=1e-9)
    loss, best = errors_of_every_rounding(result, "dw", x).sum(axis=0)
    assert found["dw"].loss == pytest.approx(loss, rel=1e-9) and found["dw"].exact
    assert found["dw"].best == pytest.approx(best, rel=1e-9)


def test_a_scale_per_pixel():
    """Every channel has a quadratic form of its own; plain and depthwise, against every rounding.

    Neutral ones give what a setting without any gives.
    """
    network = residual()
    x = images(network, 5)
    pixels = replace(METHODS["adaqtransform-pixel"], phases=())
    result, rng = quantize(network, x, pixels, **BITS), np.random.default_rng(0)
    learnt = {
        key: v + rng.normal(0.0, 0.5, v.shape)
        for key, v in result.prepared.params.items()
        if key[1] in ("xi", "eta")
    }
    result = replace(result, prepared=replace_params(result.prepared, learnt))
    found = {gap.layer: gap for gap in result.optimality_gap(x, max_exact=10)}
    for layer in ("dw", "point"):
        assert learnt[(layer, "xi")].shape == (4, 4, 4)
        loss, best = errors_of_every_rounding(result, layer, x).sum(axis=0)
        assert found[layer].exact and 0.0 < best < loss
        assert found[layer].loss == pytest.approx(loss, rel=1e-9)
        assert found[layer].best == pytest.approx(best, rel=1e-9)
    one, two = (quantize(network, x, s, **BITS) for s in (pixels, replace(pixels, output=None)))
    for a, b in zip(one.optimality_gap(x, 4), two.optimality_gap(x, 4), strict=True):
        assert a[1:4] == pytest.approx(b[1:4], rel=1e-9) and a[5:] == b[5:]


def test_bounds_are_said_to_be_bounds():
    """With too many free weights: exact is False, and the optimum lies between bound and loss."""
    result = quantize(NET, X, "nearest", **BITS)
    for exact, bound in zip(
        result.optimality_gap(X), result.optimality_gap(X, max_exact=0), strict=True
    ):
        assert exact.exact and not bound.exact
        assert bound.best <= exact.best * (1 + 1e-12) and bound.loss == exact.loss
        assert -1e-15 <= bound.surely <= exact.gap + 1e-12 <= bound.gap + 2e-12
    wide = quantize(residual(), images(residual()), "nearest", **BITS)
    by_layer = {gap.layer: gap for gap in wide.optimality_gap(images(residual()), max_exact=10)}
    assert by_layer["dw"].exact and not by_layer["stem"].exact


def test_what_cannot_be_said_is_named():
    """Real weights; codes that are no rounding of the float weight."""
    network, x = residual(), images(residual())
    real = quantize(network, x, "a-rounding", act_bits=2)
    assert [gap.reason for gap in real.optimality_gap(x)] == ["its weights are real numbers"] * 4
    away = quantize(NET, X, changed(CASE_12, batch=8), steps=30, **BITS)
    assert all(gap.feasible for gap in away.optimality_gap(X))  # floor or ceil of its own step
    moved = replace(
        away, layers={n: v._replace(codes=-2 - v.codes) for n, v in away.layers.items()}
    )
    found = moved.optimality_gap(X, max_exact=0)
    assert not any(gap.feasible for gap in found) and found[0].surely is None


def test_bad_input_is_refused():
    result = quantize(NET, X, "nearest", **BITS)
    for value in (-1, 23):
        with pytest.raises(ValueError, match="max_exact"):
            result.optimality_gap(X, max_exact=value)
    with pytest.raises(TypeError, match=r"Result.optimality_gap\(\): x is list"):
        result.optimality_gap([1.0])
