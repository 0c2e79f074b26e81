"""The loop: order, history, what is returned, what is kept, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    BITS,
    CASE_111,
    CASE_112,
    adaround,
    changed,
    correlated,
    dense,
    images,
    residual,
    run_of,
    task_of,
)
from refquant.components import AdaRoundWeights, NearestWeights
from refquant.methods import Learn, Penalty
from refquant.methods.adaround import ADAROUND
from refquant.methods.nearest import NEAREST
from refquant.network import evaluate
from refquant.reconstruct import learn
from refquant.reconstruct.learn import learn_unit
from refquant.reconstruct.loop import Run, jobs, reconstruct
from refquant.reconstruct.model import Bits, build_model
from refquant.reconstruct.unit import descend


def test_units_and_phases_run_in_the_order_of_the_setting():
    """Unit-first: both phases on a unit, then the next; phase-first: the other way round."""
    model = build_model(residual(), images(residual()), CASE_111, BITS)
    names = ["stem", "dw", "point", "fc"]
    order = [(number, unit.name) for number, _, _, unit in jobs(model.network, CASE_111)]
    assert order == [(phase, name) for name in names for phase in (0, 1)]
    swapped = replace(CASE_111, order="phase-first")
    order = [(number, unit.name) for number, _, _, unit in jobs(model.network, swapped)]
    assert order == [(phase, name) for phase in (0, 1) for name in names]
    assert [index for _, _, index, _ in jobs(model.network, swapped)] == [0, 1, 2, 3] * 2


@pytest.mark.parametrize(("steps", "recorded"), [(1, 1), (2, 2), (50, 50), (51, 27), (130, 45)])
def test_history_has_few_entries_the_first_and_the_last_among_them(steps, recorded):
    """1, every ceil(steps / 50)-th, and the last; five columns of one length."""
    network = dense(sizes=(6, 2))
    _, _, (record,) = run_of(network, adaround(), steps=steps)
    assert len(record.steps) == recorded and record.steps[0] == 1 and record.steps[-1] == steps
    columns = (record.steps, record.loss, record.penalty, record.beta, record.binary)
    assert {len(column) for column in columns} == {recorded}
    assert all(type(v) is float for column in columns[1:] for v in column)
    assert all(0.0 <= share <= 1.0 for share in record.binary)
    _, _, (record,) = run_of(network, adaround(penalty=None), steps=steps)
    assert record.beta == () and set(record.penalty) == {0.0}


def test_weights_get_decided():
    """The penalty drives h to 0 and 1 where the travel budget allows it (methods.md 5.7, 24)."""
    network = dense(sizes=(8, 6))
    lively = adaround(penalty=Penalty(lam=0.1))
    _, _, (record,) = run_of(network, lively, steps=300)
    assert record.binary[0] < 0.2 and record.binary[-1] > 0.9


def test_hard_end_is_the_loss_of_what_is_returned():
    """Recomputed from the returned codes and the definition of the loss."""
    network = dense(sizes=(6, 4))
    x = images(network)
    model, state, (record,) = run_of(network, adaround(), x)
    codes, step = state[("fc1", "codes")], state[("fc1", "s_w")]
    x_hat = model.network.node("input.q").attr("component")
    own = {name: value for (node, name), value in state.items() if node == "input.q"}
    x_hat = x_hat.forward(x, own)[0]
    distance = x_hat @ (step * codes).T - x @ network.params[("fc1", "w")].T
    assert record.hard_end == pytest.approx((distance**2).sum() / len(x), rel=1e-12)
    assert not record.kept_start


@pytest.mark.parametrize(("lr", "seed"), [(3.0, 2), (1e9, 2)])
def test_keep_best_returns_the_start_where_learning_is_bad(lr, seed):
    """One wild step: without keep_best the loss rises, with it the nearest rounding comes back."""
    network = dense(sizes=(8, 4))
    x = correlated(40, 8, seed)
    wild = {"learn": (("alpha", Learn(lr=lr, keep_travel=False)),), "penalty": None, "batch": 2}
    worse, better = adaround(**wild), adaround(**wild, keep_best=True)
    _, moved, (bad,) = run_of(network, worse, x, steps=40)
    model, kept, (good,) = run_of(network, better, x, steps=40)
    assert bad.hard_end > bad.hard_start and not bad.kept_start
    assert good.hard_end == good.hard_start == bad.hard_start and good.kept_start
    for key, value in model.start.items():
        np.testing.assert_array_equal(kept[key], value)
    assert np.any(kept[("fc1", "codes")] != moved[("fc1", "codes")])


@pytest.mark.parametrize("after", [2.0, 1.0, float("nan")])
def test_keep_best_returns_the_start_unless_learning_is_better(after, monkeypatch):
    """Worse, equal and not a number all go back; hard_end is never above hard_start."""
    losses = iter((1.0, after))
    monkeypatch.setattr(learn, "hard_loss", lambda task, own: next(losses))
    network = dense(sizes=(6, 2))
    task, own = task_of(network, images(network), adaround(keep_best=True))
    part, record = learn.learn_unit(task, task.model.start, lambda: None)
    np.testing.assert_array_equal(part[("fc1", "alpha")], own[("fc1", "alpha")])
    assert record.kept_start and record.hard_end == 1.0


def test_keep_best_keeps_what_learning_improved():
    """It is no reason to return the start."""
    network, x = dense(sizes=(8, 4)), correlated(60, 8, 3)
    _, _, (record,) = run_of(network, adaround(keep_best=True), x, steps=200)
    assert record.hard_end < record.hard_start and not record.kept_start


def test_ticks_count_the_steps():
    """One label a unit, one tick a step, the last one included."""
    ticks = []

    def progress(label, steps):
        ticks.append([label, steps, 0])

        def tick():
            ticks[-1][2] += 1

        return tick

    network = residual()
    model = build_model(network, images(network), CASE_111, BITS)
    reconstruct(model, images(network), CASE_111, Run(seed=0, steps=3, progress=progress))
    names = ["stem", "stem", "dw", "dw", "point", "point", "fc", "fc"]
    assert ticks == [[name, 3, 3] for name in names]


def test_watch_sees_what_each_step_found():
    """Before the step: the first state watched is the start, the last is not the end."""
    network = dense(sizes=(6, 2))
    task, own = task_of(network, images(network), adaround(), steps=3)
    seen = []
    end = descend(task, own, lambda: None, lambda step, found, at: seen.append((step, dict(at))))
    assert [step for step, _ in seen] == [1, 2, 3] and seen[0][1] == own
    assert np.any(seen[2][1][("fc1", "alpha")] != end[("fc1", "alpha")])


def test_a_unit_touches_only_its_own_state():
    """And leaves out the codes where the phase does not harden."""
    network = residual()
    task, own = task_of(network, images(network), adaround(harden=()), unit=1)
    part, _ = learn_unit(task, {**task.model.start}, lambda: None)
    assert part.keys() == own.keys() == {k for k in task.model.start if k[0] in ("dw", "r1.q")}


def test_settings_that_cannot_learn_are_refused_when_made():
    """A step of activations that the phase leaves real would never move."""
    with pytest.raises(ValueError, match="Add 'activations' to quantize"):
        changed(CASE_112, quantize=("weights",))


def test_a_component_per_layer_has_the_layers_bits():
    """D7: the ends have theirs, edges too; None treats all alike."""
    network = residual()
    model = build_model(network, images(network), ADAROUND, Bits(3, 4, 8))
    assert {n: c.bits for n, c in model.weights.items()} == {
        "stem": 8, "dw": 3, "point": 3, "fc": 8
    }  # fmt: skip
    bits = {n.name: n.attr("component").bits for n in model.network.nodes if n.op == "quantize"}
    assert bits == {"input.q": 8, "r0.q": 4, "r1.q": 4, "r2.q": 4, "gap.q": 8}
    patches = build_model(network, images(network), replace(ADAROUND, placement="input"), BITS)
    names = {"stem.patches.q", "dw.patches.q", "point.patches.q", "fc.patches.q"}
    assert patches.quantizers == names
    ends = build_model(network, images(network), replace(NEAREST, placement="input"), Bits(3, 4))
    bits = [n.attr("component").bits for n in ends.network.nodes if n.op == "quantize"]
    assert bits == [8, 4, 4, 8]


def test_the_start_does_not_depend_on_learning():
    """Weights are calibrated on themselves, activations on the float network."""
    network = residual()
    x = images(network)
    model = build_model(network, x, replace(NEAREST, weights=AdaRoundWeights()), BITS)
    plain = build_model(network, x, NEAREST, BITS)
    for key, value in plain.start.items():
        np.testing.assert_array_equal(value, model.start[key])
    relu = evaluate(network, x, ("r0",))["r0"]
    component = plain.network.node("r0.q").attr("component")
    np.testing.assert_array_equal(component.start(relu)["s_x"], plain.start[("r0.q", "s_x")])
    assert isinstance(plain.weights["dw"], NearestWeights)
