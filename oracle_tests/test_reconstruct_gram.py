"""The Gram solver in the loop: its quadratic is the loss, its steps are full batches; refusals."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gram_cases import AT_LAYERS, Losses, gram_setting, joint, problem_of
from oracle_tests.reconstruct_cases import (
    ALPHA,
    S_X,
    SAME,
    adaround,
    conv,
    correlated,
    dense,
    images,
    plain,
    residual,
    run_of,
    task_of,
)
from refquant import numerics as nx
from refquant.layers.geometry import Geometry
from refquant.methods import Gram, Learn, Mix, Penalty, Phase, Term
from refquant.methods.nearest import NEAREST
from refquant.network import Network
from refquant.reconstruct import gram_moments
from refquant.reconstruct.gram import FewSamples
from refquant.reconstruct.gram_descent import (
    descend_quadratic,
    descend_readably,
    exact_gradients,
)
from refquant.reconstruct.gram_layer import alpha_of, chosen
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.model import Bits
from refquant.reconstruct.unit import gradients

GEOMETRIES = {
    "same": SAME,
    "depthwise": replace(SAME, groups=4),
    "groups, stride 2": Geometry((3, 3), stride=(2, 2), padding=(1, 1, 1, 1), groups=2),
    "dilated": Geometry((3, 3), dilation=(2, 2), padding=(2, 2, 2, 2)),
    "lopsided padding": Geometry((3, 2), padding=(2, 0, 1, 1)),
    "1 x 1": Geometry((1, 1)),
    "5 x 5": Geometry((5, 5), padding=(2, 2, 2, 2)),
}


def one_conv(geometry, seed=0):
    """Two convolutions, so that the second one's inputs are quantized."""
    rng = np.random.default_rng(seed)
    nodes = (
        conv("first", "input", SAME),
        plain("relu", "relu", "first"),
        conv("second", "relu", geometry),
    )
    kernel = (4, 4 // geometry.groups, *geometry.kernel)
    params = {
        ("first", "w"): rng.normal(0, 0.4, (4, 2, 3, 3)),
        ("second", "w"): rng.normal(0, 0.4, kernel),
        ("second", "bias"): rng.normal(0, 0.3, 4),
    }
    return Network("two", (2, 6, 7), nodes, params)


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("placement", ["output", "input"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_quadratic_is_the_loss_on_all_samples(name, placement, mode, monkeypatch):
    """For any choice of codes, on every geometry, however the samples are cut into chunks."""
    network = one_conv(GEOMETRIES[name])
    setting = replace(gram_setting(), placement=placement)
    task, own = task_of(network, images(network), setting, unit=1)
    rng = np.random.default_rng(3)
    with nx.arithmetic(mode):
        whole = problem_of(task, own)
        monkeypatch.setattr(gram_moments, "BYTES", 5000)
        problem = problem_of(task, own)
        for _ in range(3):
            h = whole.layer.free & (rng.random(whole.layer.free.shape) < 0.5)
            alpha = alpha_of(whole.layer, h, own[("second", "alpha")])
            state = {**own, ("second", "alpha"): alpha}
            np.testing.assert_array_equal(chosen(task, whole.layer, state), h)
            wanted = hard_loss(task, state)
            np.testing.assert_allclose(whole.loss(h), wanted, rtol=1e-9)
            np.testing.assert_allclose(problem.loss(h), wanted, rtol=1e-9)
            energies = [
                np.sum((r.curve[:, None] * (b @ r.gram) + r.linear) * b)
                for r, b in zip(problem.rows(), h.astype(float), strict=True)
            ]
            start = problem.loss(np.zeros_like(h))
            np.testing.assert_allclose(sum(energies) + start, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_a_descent_is_the_minibatch_loop_with_all_samples_in_the_batch(mode):
    """The same decisions in the end; the records hold the same losses, but for rounding."""
    network = residual()
    x = images(network)
    full = adaround(terms=AT_LAYERS, sampling="full", harden=())
    by_gram = replace(full, phases=(replace(full.phases[0], solver="gram", gram=RAW),))
    with nx.arithmetic(mode):
        (_, one, first), (_, two, second) = (run_of(network, s, x, 40) for s in (full, by_gram))
    for key, value in one.items():
        if key[1] == "alpha":
            np.testing.assert_array_equal(np.sign(two[key]), np.sign(value))
    for a, b in zip(first, second, strict=True):
        assert a.steps == b.steps
        np.testing.assert_allclose(a.loss, b.loss, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(a.penalty, b.penalty, rtol=1e-5)
        np.testing.assert_array_equal(a.beta, b.beta)
        np.testing.assert_allclose([a.hard_start, a.hard_end], [b.hard_start, b.hard_end])


RAW = Gram(finish="none")


@pytest.mark.parametrize("reduction", ["channels", "mean"])
def test_the_first_gradient_is_that_of_the_full_batch(reduction):
    """Loss and gradient of alpha at a state away from the start, by both paths."""
    network = one_conv(GEOMETRIES["groups, stride 2"])
    terms = (Term(at="layers", weight=3.0, reduction=reduction),)
    setting = gram_setting(sampling="full", terms=terms)
    task, own = task_of(network, images(network), setting, unit=1)
    own[("second", "alpha")] = np.sin(np.arange(own[("second", "alpha")].size)).reshape(
        own[("second", "alpha")].shape
    )
    found = exact_gradients(problem_of(task, own))(task, own, 5)
    batches = replace(task.phase, solver="minibatch")
    wanted = gradients(replace(task, phase=batches), own, 5)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-10)
    np.testing.assert_allclose(
        found.grads[("second", "alpha")], wanted.grads[("second", "alpha")], rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_descends_as_the_readable_loop_does(dtype, mode):
    """Alpha after all steps, and the loss at each of them."""
    network = one_conv(GEOMETRIES["groups, stride 2"])
    network = replace(network, params={k: v.astype(dtype) for k, v in network.params.items()})
    setting, x = gram_setting(penalty=Penalty(lam=1e-3)), images(network).astype(dtype)
    with nx.arithmetic(mode, slices=3 if mode == "pinned" else None):
        task, own = task_of(network, x, setting, unit=1, steps=40)
        own[("second", "alpha")] = np.sin(9.0 * own[("second", "alpha")])
        ends, losses = [], (Losses(), Losses())
        for how, watch in zip((descend_quadratic, descend_readably), losses, strict=True):
            ends.append(how(task, own, problem_of(task, own), lambda: None, watch))
    tolerance = 1e-9 if dtype == "float64" else 2e-3
    alphas = [end[("second", "alpha")] for end in ends]
    assert alphas[0].dtype == dtype and len(losses[0]) == 40
    np.testing.assert_allclose(*losses, rtol=tolerance)
    np.testing.assert_allclose(*alphas, atol=tolerance)
    assert np.abs(alphas[0] - own[("second", "alpha")]).max() > 0.1


@pytest.mark.parametrize(
    ("mix", "placement"),
    [
        ((Mix(at="input", keep=0.3),), "output"),
        ((Mix(at="input", keep=0.3),), "input"),
        ((Mix(at="quantizers", keep=0.7),), "input"),
        ((Mix(at="input", keep=0.3), Mix(at="quantizers", keep=0.7)), "input"),
        ((Mix(at="input", keep=0.0),), "output"),
        ((Mix(at="quantizers", keep=1.0),), "input"),
    ],
)
def test_the_expected_quadratic_is_the_mean_over_draws(mix, placement):
    """QDrop's drops, by enumeration of nothing: the minibatch loop's own draws, many of them."""
    network = one_conv(SAME)
    setting = replace(gram_setting(mix=mix, sampling="full"), placement=placement)
    task, own = task_of(network, images(network, 6), setting, unit=1, bits=COARSE)
    rng = np.random.default_rng(0)
    own[("second", "alpha")] = rng.choice([-3.0, 3.0], own[("second", "alpha")].shape)
    problem = problem_of(task, own)
    h = chosen(task, problem.layer, own)
    drawing = replace(task, phase=replace(task.phase, solver="minibatch", steps=400, penalty=None))
    losses = np.array([gradients(drawing, own, step).loss for step in range(1, 401)])
    error = losses.std() / np.sqrt(len(losses))
    assert abs(losses.mean() - problem.loss(h)) <= 4.0 * error + 1e-9


COARSE = Bits(weights=2, activations=2, first_last=None)


@pytest.mark.parametrize("start", ["descent", "plane", "nearest"])
@pytest.mark.parametrize("finish", ["none", "flips", "tabu"])
def test_every_start_and_finish_runs_and_no_finish_is_worse(start, finish):
    """Hardened losses of each layer, judged on the same inputs: those of the first layer."""
    network = dense(sizes=(12, 8, 3))
    x = correlated(300, 12, 1)
    penalty = Penalty() if start == "descent" else None
    ends = []
    for this in ("none", finish):
        gram = Gram(start=start, finish=this, tabu=50)
        setting = gram_setting(gram=gram, penalty=penalty)
        _, _, records = run_of(network, setting, x, 30)
        ends.append(records[0].hard_end)
        assert records[0].steps == (tuple(range(1, 31)) if start == "descent" else (1,))
    assert ends[1] <= ends[0] * (1.0 + 1e-12)


def test_few_samples_are_warned_about_and_a_ridge_silences():
    """Fewer columns than four for each input; the ridge pulls towards nearest rounding."""
    network = dense(sizes=(12, 8, 3))
    x = correlated(40, 12, 1)
    with pytest.warns(FewSamples, match="layer 'fc1' has 40 calibration columns for rows of 12"):
        run_of(network, gram_setting(), x, 5)
    huge = Gram(start="plane", ridge=1e9)
    _, state, _ = run_of(network, gram_setting(gram=huge, penalty=None), x, 5)
    _, nearest, _ = run_of(network, NEAREST, x)
    np.testing.assert_array_equal(state[("fc1", "codes")], nearest[("fc1", "codes")])


def phase(**fields):
    return Phase(**{"learn": (ALPHA,), "solver": "gram", "terms": AT_LAYERS, **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"terms": (Term(),)}, r"terms is .*squared error at the layer.*Term\(at='layers'\)"),
        ({"terms": (Term(at="layers", p=2.4),)}, "terms is"),
        ({"terms": (*AT_LAYERS, *AT_LAYERS)}, "terms is"),
        ({"unit": "block"}, "unit is block.*no quadratic form.*solver='minibatch'"),
        ({"learn": (S_X,)}, r"learn is \('s_x',\)"),
        ({"learn": (ALPHA, ("s_w", Learn(lr=1e-3)))}, "learn is"),
        ({"mix": (Mix(at="input", rule="uniform"),)}, "mix is.*independent choices"),
        ({"penalty": Penalty(), "gram": Gram(start="plane")}, "penalty is set where nothing"),
        ({"solver": "minibatch", "gram": Gram(ridge=1.0)}, "gram is set with solver='minibatch'"),
        ({"solver": "cholesky"}, "one of 'minibatch', 'gram'"),
    ],
)
def test_what_is_no_quadratic_is_refused(fields, message):
    """With the reason and the fix."""
    with pytest.raises(ValueError, match=message):
        phase(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"points": 8}, {"points": 0}, {"span": 1.0}, {"ridge": -1.0}, {"tabu": 0}, {"start": "up"}],
)
def test_options_out_of_range_are_refused(fields):
    """Each names itself."""
    with pytest.raises(ValueError, match=f"Gram.*{next(iter(fields))}"):
        Gram(**fields)


def test_a_step_behind_the_loss_is_refused():
    """At output placement the quantizer in a layer's unit stands behind its product."""
    with pytest.raises(ValueError, match=r"'s_x' by solver='gram'.*placement='input'"):
        replace(joint(), placement="output")
