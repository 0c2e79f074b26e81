"""Terms that look past the unit, and normalised terms.

What a term should be is computed again from its definition, in plain NumPy (`term_cases`).
"""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradient
from oracle_tests.reconstruct_cases import (
    CASE_112,
    changed,
    images,
    residual,
    run_of,
    task_of,
)
from oracle_tests.term_cases import (
    DIAG,
    FULL,
    KL,
    MIXED,
    UNITS,
    defined_loss,
    kl_rows,
    surrogate,
    through_the_float_rest,
    unit_task,
)
from oracle_tests.test_reconstruct_unit import (
    STEP,
    shaken,
    soft_weights,
)
from refquant import numerics as nx
from refquant.losses.reconstruction import reconstruction_loss
from refquant.methods import Mix, Term
from refquant.network import forward
from refquant.network.run import evaluate
from refquant.reconstruct import learn
from refquant.reconstruct import rest as rest_module
from refquant.reconstruct.batches import batch_indices
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.model import harden
from refquant.reconstruct.objective import Goal, loss_and_cotangents
from refquant.reconstruct.rest import weighed
from refquant.reconstruct.unit import gradients, learnt_keys


def quantized_edges_of(task, own, name, rows):
    """Values of the quantized edges that enter the float rest, for soft weights of the unit."""
    values = {edge: value[rows] for edge, value in task.inputs.items()}
    trace = forward(task.network, values, task.unit.nodes, {**own, **soft_weights(task, own, {})})
    found = {}
    for edge in UNITS[name][2]:
        made = [e for e in (f"{edge}.q", edge) if e in trace.values]
        found[edge] = trace.values[made[0]] if made else None
    return found


@pytest.mark.parametrize("name", UNITS)
def test_the_prediction_is_that_of_the_float_rest(name):
    """methods.md 9.1: unit output -> remaining float network -> KL against the float logits.

    The skip path around a single layer carries what the quantized prefix has there.
    """
    task, own = unit_task(name, (KL,))
    rows = batch_indices((*task.key, STEP), 24, task.phase.batch, task.phase.sampling)
    values = quantized_edges_of(task, own, name, rows)
    if name in ("dw", "point"):  # a unit reads r0.q itself, or it passes by
        kept = {**task.inputs, **task.beside}
        values["r0"] = kept["r0.q"][rows]
    network = residual()
    logits = through_the_float_rest(network, {k: v for k, v in values.items() if v is not None})
    expected = 10.0 * kl_rows(logits, network(images(network))[rows], 4.0).mean()
    assert gradients(task, own, STEP).loss == pytest.approx(expected, rel=1e-9)
    assert not set(task.rest) & set(task.unit.nodes)
    if name == "fc":
        assert task.rest == () and task.beside == {}


def test_what_passes_a_unit_by_is_not_mixed_and_comes_from_its_source():
    """The skip path at "point" is the float one for float inputs, the quantized one otherwise."""
    real = evaluate(residual(), images(residual()), ("r0",))["r0"]
    assert unit_task("dw", (KL,))[0].beside == {}  # what the unit reads is mixed for both readers
    task, _ = unit_task("point", (KL,))
    assert list(task.beside) == ["r0.q"] and np.any(task.beside["r0.q"] != real)
    task, _ = unit_task("point", (KL,), source="float")
    np.testing.assert_allclose(task.beside["r0.q"], real, rtol=1e-12)
    seen = {}
    for mix in ((), (Mix(at="input", keep=0.0),)):
        task, own = unit_task("point", (KL,), mix=mix)
        seen[mix] = gradients(task, own, STEP).loss
        same = unit_task("point", (KL,))[0].beside["r0.q"]
        np.testing.assert_array_equal(task.beside["r0.q"], same)
    assert len(set(seen.values())) == 2


def test_without_such_a_term_nothing_beside_the_unit_runs():
    """The task is the one it always was."""
    task, _ = unit_task("dw", (Term(), Term(at="layers", p=2.4)))
    assert task.rest == () and task.beside == {} and task.felt == {}
    assert task.nodes == task.unit.nodes and set(task.targets) == {"dw", task.unit.output}
    quantizers = [node.name for node in task.network.nodes if node.op == "quantize"]
    assert len(quantizers) == 5
    task, _ = unit_task("dw", (KL,))
    left = [node.name for node in task.network.nodes if node.op == "quantize"]
    assert left == ["input.q", "r0.q", "r1.q"]


@pytest.mark.parametrize("name", ["stem", "dw", "body"])
@pytest.mark.parametrize("term", [DIAG, FULL], ids=lambda term: term.kind)
def test_fisher_weights_are_measured_once_at_the_start(name, term, monkeypatch):
    """methods.md 5.2: dKL/dz by central differences, with the unit rounded as it starts.

    Two chunk sizes give the same weights: KL is a mean over the phase's batch, not over a chunk.
    """
    task, own = unit_task(name, (term,), mix=MIXED)
    found = weighed(task, own)
    (felt,) = found.felt.values()
    assert list(found.felt) == [task.unit.output] and felt.any()
    network, edge = residual(), task.unit.output
    hard = harden(task.model, own, task.unit.layers)
    values = {**task.inputs, **task.beside}
    at = forward(task.network, values, task.unit.nodes, {**hard, **soft_weights(task, hard, {})})
    z = at.values[edge]
    float_edge = edge.removesuffix(".q")
    skip = {"r0": values["r0.q"]} if name == "dw" else {}
    target = network(images(network))

    def kl(z):
        logits = through_the_float_rest(network, {float_edge: z, **skip})
        return kl_rows(logits, target).sum() / task.phase.batch

    rng = np.random.default_rng(0)
    for _ in range(12):
        place = tuple(rng.integers(0, n) for n in z.shape)
        shift = np.zeros_like(z)
        shift[place] = 1e-5
        slope = (kl(z + shift) - kl(z - shift)) / 2e-5
        assert felt[place] == pytest.approx(slope, abs=1e-8)
    monkeypatch.setattr("refquant.reconstruct.prefix.CHUNK", 5)
    np.testing.assert_allclose(weighed(task, own).felt[edge], felt, rtol=1e-12, atol=1e-15)


def test_weights_left_real_are_real_in_the_fisher_weights_too():
    """ "quantized up to and including" means what the phase quantizes: BRECQ's first stage."""
    first = changed(CASE_112, learn=CASE_112.phases[0].learn[:1], quantize=("weights",))
    task, own = unit_task("dw", (DIAG,), first)
    other, _ = unit_task("dw", (DIAG,))
    one, two = (weighed(t, own).felt[t.unit.output] for t in (task, other))
    assert np.any(one != two)


CASES = {
    "kl-layer": ("dw", (KL,)),
    "kl-skipped": ("point", (KL,)),
    "kl-block": ("body", (Term(), KL)),
    "kl-last": ("fc", (Term(), KL)),
    "lp-logits": ("body", (Term(at="logits", p=2.4),)),
    "fisher-diag": ("body", (DIAG,)),
    "fisher-full": ("body", (FULL,)),
    "fisher-as-the-paper": ("body", (replace(DIAG, offset=0.0, weight=1e6),)),
    "fisher-dialects": ("body", (DIAG, replace(FULL, offset=2.0, divisor=3.0))),
    "all": ("dw", (Term(weight=0.5), KL, DIAG, replace(FULL, weight=3.0))),
    "network": ("network", (Term(at="layers"), KL, DIAG)),
    "patches": ("dw", (KL, DIAG)),
    "power": ("body", (Term(at="layers", normalize="power"), Term(normalize="power", p=2.4))),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_central_differences(case):
    """P86, methods.md 5.2, 5.3: of alpha and s_x, through the unit and the float rest."""
    name, terms = CASES[case]
    setting = replace(CASE_112, placement="input") if case == "patches" else CASE_112
    mix = () if name == "network" else (Mix(at="input", keep=0.5),)
    task, own = unit_task(name, terms, setting, mix=mix)
    task, own = weighed(task, own), shaken(own)
    found, value = gradients(task, own, STEP), surrogate(task, own)
    assert found.loss + found.penalty == pytest.approx(value(own), rel=1e-11)
    assert found.grads.keys() == learnt_keys(task, own).keys()
    for key, d_value in found.grads.items():
        check_gradient(
            lambda v, key=key: value({**own, key: v}),
            own[key],
            np.asarray(d_value),
            rtol=5e-6,
            atol=2e-8,
            name=f"{case} {key}",
        )
        assert np.any(d_value != 0.0), key


def goal(task, felt):
    return Goal(task.targets, {task.unit.output: felt}, task.powers, "fc")


def test_fisher_weights_of_one_are_no_weights():
    """P87, P88: diag with g = 1 is the plain loss and its gradient, bit for bit."""
    task, _ = unit_task("dw", (DIAG,))
    z = task.targets[task.unit.output] + 0.25
    ones = goal(task, np.zeros_like(z))  # + the default offset
    weighted = loss_and_cotangents({task.unit.output: z}, ones, task.unit, (DIAG,))
    loss, d_z = reconstruction_loss(z, task.targets[task.unit.output])
    assert weighted[0] == loss == pytest.approx(0.0625 * z.shape[1])
    np.testing.assert_array_equal(weighted[1][task.unit.output], d_z)
    np.testing.assert_allclose(d_z, 2.0 * 0.25 / (z.size / z.shape[1]), rtol=1e-12)


@pytest.mark.parametrize("terms", [(KL,), (DIAG,), (FULL,), (Term(), KL, DIAG)], ids=str)
def test_a_float_unit_has_no_loss(terms):
    """P86: with nothing quantized on the way the loss is 0 and so is every gradient in values."""
    network = residual()
    setting = changed(CASE_112, unit="block", terms=terms, source="float", penalty=None)
    task, own = task_of(network, images(network), setting, 1)
    real = forward(task.model.float_network, images(network)).values
    at = {edge: real[edge] for edge in (task.unit.output, "fc")}
    felt = weighed(task, own).felt
    exact = task.goal(slice(None))._replace(felt=felt, targets=at)
    loss, cotangents = loss_and_cotangents(at, exact, task.unit, terms)
    assert loss == 0.0 and all(not d.any() for d in cotangents.values())


def test_hard_loss_is_the_definition_on_all_samples(monkeypatch):
    """The three kinds, rounded for good, whatever the chunks."""
    for name, terms in (("point", (KL,)), ("body", (FULL, Term(at="layers", normalize="power")))):
        task, own = unit_task(name, terms)
        task = weighed(task, own)
        hard = harden(task.model, own, task.unit.layers)
        values = {**task.inputs, **task.beside}
        params = {**hard, **soft_weights(task, hard, {})}
        reached = forward(task.network, values, task.nodes, params).values
        expected = defined_loss(task, reached, slice(None))
        assert hard_loss(task, own) == pytest.approx(expected, rel=1e-10)
        monkeypatch.setattr("refquant.reconstruct.prefix.CHUNK", 7)
        assert hard_loss(task, own) == pytest.approx(expected, rel=1e-10)
        monkeypatch.undo()


def test_normalised_layers_count_alike():
    """A layer scaled by 4 has the loss of the unscaled one; a layer that is 0 divides by 1."""
    term = Term(at="layers", normalize="power")
    task, _ = unit_task("body", (term,))
    z = {edge: task.targets[edge] * 1.5 for edge in task.unit.layers}
    loss, _ = loss_and_cotangents(z, task.goal(slice(None)), task.unit, (term,))
    assert loss == pytest.approx(2 * 0.25, rel=1e-12)
    silent = replace(task, targets={edge: 0.0 * v for edge, v in task.targets.items()})
    assert set(silent.powers.values()) == {1.0}
    subset = task.goal(slice(0, 3))
    assert subset.powers == task.powers


def test_terms_that_look_past_keep_the_bits_in_pinned_arithmetic():
    """The same run twice gives the same bytes."""
    for terms in ((Term(), KL), (FULL,)):
        setting = changed(CASE_112, terms=terms, mix=MIXED)
        with nx.arithmetic("pinned"):
            one, two = (run_of(residual(), setting, steps=3)[1] for _ in range(2))
        assert one.keys() == two.keys()
        assert all(one[key].tobytes() == two[key].tobytes() for key in one)


def test_fisher_weights_are_measured_once_a_unit(monkeypatch):
    """At the start of the phase, not in every step; with what earlier phases have learnt."""
    seen = []
    monkeypatch.setattr(learn, "weighed", lambda task, own: seen.append(own) or weighed(task, own))
    second = replace(CASE_112.phases[0], terms=(DIAG,))
    both = replace(CASE_112, phases=(CASE_112.phases[0], second))
    model, _, _ = run_of(residual(), both, steps=3)
    for before, own in zip(seen[::2], seen[1::2], strict=True):
        assert all(value is model.start[key] for key, value in before.items())
        alphas = [key for key in own if key[1] == "alpha"]
        assert all(np.any(own[key] != before[key]) for key in alphas) and alphas
    calls = []
    felt = rest_module._felt
    monkeypatch.setattr(rest_module, "_felt", lambda *a: calls.append(1) or felt(*a))
    _, _, records = run_of(residual(), changed(CASE_112, terms=(DIAG,)), steps=5)
    assert len(records) == 3 and len(calls) == 3
