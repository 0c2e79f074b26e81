"""QAT-LSQ, the row of the paradigm whose weights are free and whose loss is the task's."""

import json
from dataclasses import replace

import numpy as np
import pytest

import refquant as rq
from oracle_tests.reconstruct_cases import (
    BITS,
    classes,
    images,
    residual,
    run_of,
    task_of,
)
from oracle_tests.term_cases import softmax
from refquant.cli.main import main
from refquant.components import TrainedWeights, XiEta
from refquant.methods import Term
from refquant.methods.adaqtransform import TRANSFORM, WEIGHTS
from refquant.methods.paradigm import CASE_12
from refquant.methods.qat_lsq import QAT_LSQ
from refquant.network.run import evaluate
from refquant.pipeline import quantize
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.model import build_model
from refquant.reconstruct.unit import gradients
from refquant.sweeps import Config, codes_sha256, run

NETWORK = residual()
X = images(NETWORK)
Y = classes(X)
WIDTHS = {"weight_bits": 3, "act_bits": 4}
ON_LABELS = (Term(kind="cross_entropy", at="logits"),)


def cross_entropy(logits, y):
    """Mean of -log p(y), from its definition."""
    return float(-np.log(softmax(logits)[np.arange(len(y)), y]).mean())


def with_phase(setting, **fields):
    return replace(setting, phases=(replace(setting.phases[0], **fields),))


def test_the_row_of_the_table():
    """methods.md 15.1: nearest, s_w tied, xi = 1; W, s_w, s_x, b learnt with cross-entropy."""
    (phase,) = QAT_LSQ.phases
    assert set(QAT_LSQ.learnt) == {"v_w", "s_w", "s_x", "bias"}
    assert (phase.unit, phase.terms, phase.penalty, phase.mix) == ("network", ON_LABELS, None, ())
    assert QAT_LSQ.asks_for_labels
    assert [m.name for m in rq.METHODS.values() if m.asks_for_labels] == ["qat-lsq"]
    assert QAT_LSQ.activations == CASE_12.activations and QAT_LSQ.prepare == CASE_12.prepare


def test_the_loss_is_that_of_the_labels():
    """The first step's, and those of the run, against the definition on the network's logits."""
    task, own = task_of(NETWORK, X, with_phase(QAT_LSQ, sampling="full"), bits=BITS)
    params = {**own}
    for layer, component in task.model.weights.items():
        mine = {name: v for (node, name), v in own.items() if node == layer}
        params[(f"{layer}.product", "w")] = component.forward(NETWORK.params[(layer, "w")], mine)[0]
    logits = evaluate(task.network, X, ("fc",), params)["fc"]
    expected = cross_entropy(logits, Y)
    assert gradients(task, own, 1).loss == pytest.approx(expected, rel=1e-12)
    assert hard_loss(task, own) == pytest.approx(expected, rel=1e-12)
    bias = (softmax(logits) - (Y[:, None] == np.arange(3))).mean(axis=0)
    found = gradients(task, own, 1).grads[("fc", "bias")]
    np.testing.assert_allclose(found, bias, rtol=1e-11)


def test_the_weight_is_trained_straight_through():
    """2.1, by hand: step 1, levels -2..1; 1.75 rounds out of the range and is clipped.

    d_v = d on the three inside, 0 outside; d_s = d . (q - u inside, the end outside)
        = 1 (0 - 0.25) + 2 (-1 + 0.75) + 4 (1 - 0.5) + 8 (1) = 9.25.
    """
    part = TrainedWeights(grid="signed", bits=2, axis=None)
    w = np.array([[0.0, -0.5, 0.25, 1.5]])
    params = {"s_w": np.array(1.0), "zero_point": np.array(0), "v_w": np.full((1, 4), 0.25)}
    params["v_w"][0, 1] = -0.25
    w_hat, cache = part.forward(w, params)
    assert w_hat.tolist() == [[0.0, -1.0, 0.0, 1.0]]
    assert part.codes(w, params).tolist() == w_hat.tolist()
    grads = part.backward(np.array([[1.0, 2.0, 4.0, 8.0]]), cache)
    assert grads["v_w"].tolist() == [[1.0, 2.0, 4.0, 0.0]]
    assert grads["s_w"] == 1 * -0.25 + 2 * -0.25 + 4 * -0.5 + 8 * 1


def test_weights_that_are_not_let_go_are_case_1_2():
    """The neutral V, and float features for a loss: the parent bit for bit, history too."""
    same = {"terms": CASE_12.phases[0].terms, "mix": CASE_12.phases[0].mix}
    free = TrainedWeights(grid=WEIGHTS.grid, calibration=WEIGHTS.calibration)
    held = replace(with_phase(CASE_12, **same), weights=free)
    one, two = (quantize(NETWORK, X, setting, steps=4, **WIDTHS) for setting in (CASE_12, held))
    assert one.history == two.history
    for layer, values in one.layers.items():
        assert values.codes.tobytes() == two.layers[layer].codes.tobytes()
        assert values.s_w.tobytes() == two.layers[layer].s_w.tobytes()


def test_it_starts_at_nearest_rounding():
    """V = 0 and the layers' own biases: the codes and the logits of what learns nothing."""
    still = quantize(NETWORK, X, replace(QAT_LSQ, phases=()), **WIDTHS)
    nearest = quantize(NETWORK, X, replace(CASE_12, phases=()), **WIDTHS)
    assert still.network(X).tobytes() == nearest.network(X).tobytes()
    record = quantize(NETWORK, X, QAT_LSQ, labels=Y, steps=1, **WIDTHS).history[0]
    assert record.hard_start == pytest.approx(cross_entropy(nearest.network(X), Y), rel=1e-12)


def test_a_bias_is_made_where_a_layer_has_none():
    """It is learnt like the others."""
    bare = {key: v for key, v in NETWORK.params.items() if key != ("dw", "bias")}
    result = quantize(replace(NETWORK, params=bare), X, QAT_LSQ, labels=Y, steps=3, **WIDTHS)
    assert np.all(result.prepared.params[("dw", "bias")] != 0.0)


def test_labels_that_nobody_reads_change_nothing():
    """Neither the bits nor the id of the run, whatever they are."""
    runs = [quantize(NETWORK, X, "case-1.2", labels=y, steps=2, **WIDTHS) for y in (None, Y, Y - 9)]
    assert len({run.run_id for run in runs}) == 1
    assert len({run.network(X).tobytes() for run in runs}) == 1


def test_labels_that_are_read_are_part_of_the_run():
    """Other labels, another id and other weights; another integer dtype, the same."""
    narrow, other = Y.astype(np.uint8), (Y + 1) % 3
    runs = [quantize(NETWORK, X, QAT_LSQ, labels=y, steps=2, **WIDTHS) for y in (Y, narrow, other)]
    ids, logits = [r.run_id for r in runs], [r.network(X).tobytes() for r in runs]
    assert ids[0] == ids[1] != ids[2] and logits[0] == logits[1] != logits[2]


def test_labels_follow_their_images():
    """Images and labels in another order, all in every batch: the same loss at every step."""
    order = np.random.default_rng(0).permutation(len(X))
    whole = with_phase(QAT_LSQ, sampling="full")
    one = quantize(NETWORK, X, whole, labels=Y, steps=3, **WIDTHS).history[0]
    two = quantize(NETWORK, X[order], whole, labels=Y[order], steps=3, **WIDTHS).history[0]
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-6)
    mixed_up = quantize(NETWORK, X[order], whole, labels=Y, steps=3, **WIDTHS).history[0]
    assert abs(mixed_up.loss[0] - one.loss[0]) > 1e-3


def test_a_float_rest_may_lead_to_the_labels():
    """Block by block: the loss at the logits behind the remaining float network, on the batch."""
    blocks = with_phase(QAT_LSQ, unit="block")
    model, state, records = run_of(NETWORK, blocks, steps=3)
    assert [record.unit for record in records] == ["stem", "body", "fc"]
    start = build_model(NETWORK, X, blocks, BITS).start
    for key, value in start.items():
        if key[1] in ("v_w", "bias"):
            assert np.any(state[key] != value), key
    assert model.weights.keys() == {"stem", "dw", "point", "fc"}


def test_the_memory_of_a_run_with_labels_can_be_told():
    """The rehearsal takes as many labels as images; labels that do not fit are refused."""
    net, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    plan = rq.memory_plan(net, data.train.x, "qat-lsq", labels=data.train.y)
    assert plan.peak > 0.0
    with pytest.raises(ValueError, match=r"memory_plan\(\): labels is of shape \(7,\)"):
        rq.memory_plan(net, data.train.x, "qat-lsq", labels=data.train.y[:7])


def test_training_pays_on_the_digits():
    """Two bits in every layer: a fraction of the loss, and held-out images recognised again."""
    net, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    widths = {"weight_bits": 2, "act_bits": 2, "first_last_bits": None}
    options = {**widths, "labels": data.train.y, "steps": 100}
    right = {}
    for method in ("nearest", "qat-lsq"):
        result = quantize(net, data.train.x, method, **options)
        right[method] = rq.metrics.accuracy(result.network(data.test.x), data.test.y)
    (record,) = result.history
    assert record.hard_end < 0.3 * record.hard_start
    assert right["qat-lsq"] > right["nearest"] + 0.1, right


def test_commands_and_sweeps_take_the_zoos_training_labels(capsys):
    """The same codes from the command line, from a sweep's row, and from here."""
    net, data = rq.zoo.load("digits-mlp"), rq.zoo.data("digits")
    here = quantize(net, data.train.x, "qat-lsq", labels=data.train.y, weight_bits=2, steps=2)
    row = run(Config(network="digits-mlp", method="qat-lsq", weight_bits=2, steps=2))
    assert row["codes_sha256"] == codes_sha256(here) and row["integer_equals_fake"]
    options = ["--method", "qat-lsq", "--weight-bits", "2", "--steps", "2", "--json", "--quiet"]
    assert main(["quantize", "digits-mlp", *options]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == here.run_id


def test_table_11_can_be_set_in_all_four_corners():
    """LSQ and AdaQTransform, each after training and with it: `replace` names what is learnt.

    The paper does not say what its AdaQTransform row learns with labels; this is the obvious one,
    weights, steps of activations, xi and eta, with s_w frozen as in eq. 8.
    """
    learn = dict(QAT_LSQ.phases[0].learn)
    own = {
        **{name: learn[name] for name in ("v_w", "s_x")},
        **dict.fromkeys(("xi", "eta"), TRANSFORM),
    }
    phase = replace(QAT_LSQ.phases[0], learn=tuple(own.items()))
    with_labels = replace(QAT_LSQ, name="qat-adaqtransform", output=XiEta(), phases=(phase,))
    corners = {
        "case-1.2": {"s_w", "s_x"},
        "qat-lsq": {"v_w", "s_w", "s_x", "bias"},
        "adaqtransform": {"alpha", "s_x", "xi", "eta"},
    }
    assert all(set(rq.METHODS[name].learnt) == learnt for name, learnt in corners.items())
    assert {rq.METHODS[name].phases[0].unit for name in corners} == {"network"}
    found = rq.quantize(NETWORK, X, with_labels, labels=Y, steps=20, seed=1, **WIDTHS)
    plain = rq.quantize(NETWORK, X, "nearest", **WIDTHS)
    assert all(
        np.any(layer.xi != 1.0) and np.any(layer.eta != 0.0) for layer in found.layers.values()
    )
    assert cross_entropy(found.network(X), Y) < cross_entropy(plain.network(X), Y)
