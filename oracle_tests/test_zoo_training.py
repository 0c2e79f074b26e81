"""Training: the update rule, the schedule, and the same bits every time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refquant import numerics as nx
from refquant import zoo
from refquant.layers.softmax_cross_entropy import (
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from refquant.network import backward, forward, training_mode
from refquant.zoo.build import main
from refquant.zoo.catalogue import flatten
from refquant.zoo.digits import Split
from refquant.zoo.files import read_sums
from refquant.zoo.recipes import RECIPES
from refquant.zoo.step import initial_state, train_step
from refquant.zoo.training import cosine, fit


def batch(n):
    train = zoo.data().train
    return train.x[:n].astype(np.float64), train.y[:n]


@pytest.mark.parametrize("architecture", list(RECIPES))
def test_a_step_is_deterministic_and_lowers_the_loss(architecture):
    recipe = RECIPES[architecture]
    network = training_mode(recipe.build(7))
    x, y = batch(16)
    with nx.arithmetic("pinned", slices=1):
        start = initial_state(network)
        once, before = train_step(network, start, x, y, 0.01, recipe)
        again, _ = train_step(network, start, x, y, 0.01, recipe)
        _, after = train_step(network, once, x, y, 0.01, recipe)
    assert all(np.array_equal(once.params[key], again.params[key]) for key in once.params)
    assert after < before
    assert all(np.array_equal(start.params[key], network.params[key]) for key in network.params)


def gradients(network, params, x, y):
    trace = forward(network, x, params=params)
    _, cache = softmax_cross_entropy_forward(trace.values[network.output], y)
    d_logits = softmax_cross_entropy_backward(1.0, cache)
    return backward(network, trace, {network.output: d_logits}).params


def test_two_steps_follow_the_momentum_rule_with_decay_on_weights_only():
    recipe = replace(RECIPES["digits-resnet"], momentum=0.75, decay=0.125)
    network = training_mode(recipe.build(3))
    x, y = batch(8)
    start = initial_state(network)
    first, _ = train_step(network, start, x, y, 0.5, recipe)
    second, _ = train_step(network, first, x, y, 0.25, recipe)
    g0, g1 = (gradients(network, state.params, x, y) for state in (start, first))
    for key in start.velocity:
        decay = 0.125 if key[1] == "w" else 0.0
        v1 = g0[key] + decay * start.params[key]
        w1 = start.params[key] - 0.5 * v1
        v2 = 0.75 * v1 + (g1[key] + decay * w1)
        np.testing.assert_array_equal(first.params[key], w1)
        np.testing.assert_array_equal(second.params[key], w1 - 0.25 * v2)


def test_running_statistics_move_towards_those_of_the_batch():
    recipe = replace(RECIPES["digits-resnet"], statistics=0.25)
    network = training_mode(recipe.build(3))
    x, y = batch(8)
    state, _ = train_step(network, initial_state(network), x, y, 0.1, recipe)
    stem = forward(network, x).values["stem"]
    # From mean 0 and variance 1 a quarter of the way; sums in another order than the library's.
    expected_mean = 0.25 * stem.mean(axis=(0, 2, 3))
    expected_var = 0.75 + 0.25 * stem.var(axis=(0, 2, 3))
    np.testing.assert_allclose(state.params[("stem.bn", "mean")], expected_mean, rtol=1e-12)
    np.testing.assert_allclose(state.params[("stem.bn", "var")], expected_var, rtol=1e-12)


def test_the_step_size_falls_along_half_a_cosine():
    # cos(0) = 1, cos(pi/3) = 1/2, cos(pi/2) = 0, cos(2 pi/3) = -1/2
    sizes = [cosine(0.5, step, 6) for step in (0, 2, 3, 4)]
    np.testing.assert_allclose(sizes, [0.5, 0.375, 0.25, 0.125], rtol=1e-15)


def test_fit_gives_the_same_bits_in_any_arithmetic_of_the_caller():
    recipe = replace(RECIPES["digits-mlp"], epochs=2)
    train = zoo.data().train
    split = Split(train.x[:128], train.y[:128])

    def run():
        return flatten(fit(recipe.build(5), split, recipe, 5))

    plain = run()
    with nx.arithmetic("pinned", slices=3):
        inside = run()
    assert np.array_equal(plain, inside)
    assert not np.array_equal(plain, flatten(recipe.build(5)))


def test_fit_wraps_the_epochs_in_the_progress_it_is_given():
    seen = []

    def progress(epochs, desc):
        seen.append(desc)
        for epoch in epochs:
            seen.append(epoch)
            yield epoch

    recipe = replace(RECIPES["digits-mlp"], epochs=3)
    train = zoo.data().train
    fit(recipe.build(5), Split(train.x[:64], train.y[:64]), recipe, 5, progress)
    assert seen == ["digits-mlp", 0, 1, 2]


def test_digits_mlp_trains_to_the_embedded_bits():
    """In a process of its own with one BLAS thread: threads change no bit but cost time here."""
    code = "from refquant import zoo; print(zoo.check('digits-mlp'))"
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "same=True, differing=0" in run.stdout, run.stdout


def test_check_reports_weights_that_differ(monkeypatch):
    other = zoo.load("digits-mlp:2")
    monkeypatch.setattr(zoo.training, "train", lambda name, progress: other)
    report = zoo.check("digits-mlp:1")
    assert not report and report.differing > 1000
    assert report.trained != report.embedded


def test_build_writes_what_is_embedded(tmp_path, monkeypatch):
    monkeypatch.setattr("refquant.zoo.build.train", lambda name, progress: zoo.load(name))
    main(["digits-mlp:3", "digits-regnet:2", "--into", str(tmp_path)])
    for name in ("digits-mlp-3.npy", "digits-regnet-2.npy"):
        assert f"{read_sums()[name]}  {name}\n" in (tmp_path / "SHA256SUMS").read_text()
        assert (tmp_path / name).stat().st_size > 1000
