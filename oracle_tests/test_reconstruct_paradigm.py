"""Table 15.1 as configurations of one loop, and what is known of the loss it minimises."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    ADAQT,
    CASE_12,
    CASE_111,
    CASE_112,
    NETWORK_WIDE,
    TABLE,
    adaround,
    changed,
    correlated,
    dense,
    images,
    residual,
    run_of,
    task_of,
)
from refquant import numerics as nx
from refquant.methods import Learn
from refquant.methods.adaround import ADAROUND
from refquant.methods.nearest import NEAREST
from refquant.quantizers.rounding import round_to
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.loop import jobs
from refquant.reconstruct.model import Bits


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_every_row_of_the_table_is_a_configuration_of_the_one_loop(setting):
    """P47: each runs, moves all it learns and nothing else, and ends on integers."""
    network = residual()
    model, state, history = run_of(network, setting)
    moved = {
        name
        for (node, name), value in model.start.items()
        if not np.array_equal(value, state[(node, name)])
    }
    assert moved == set(setting.learnt)
    assert [(r.phase, r.unit) for r in history] == [
        (number, unit.name) for number, _, _, unit in jobs(model.network, setting)
    ]
    assert {node for node, name in state if name == "codes"} == {"stem", "dw", "point", "fc"}
    for (node, name), value in state.items():
        if name == "codes":
            assert value.dtype == np.int64 and value.min() >= -4 and value.max() <= 3, node


def test_s_x_is_learnt_in_front_of_the_codes_of_the_first_phase():
    """1.1.1: alpha and codes are those of the first phase alone, bit for bit, in either order."""
    network = residual()
    swapped = replace(CASE_111, order="phase-first")
    alone = replace(CASE_111, phases=CASE_111.phases[:1])
    _, both, _ = run_of(network, swapped)
    _, first, _ = run_of(network, alone)
    for key, value in first.items():
        if key[1] != "s_x":
            np.testing.assert_array_equal(value, both[key], err_msg=str(key))
    assert both[("r1.q", "s_x")] != first[("r1.q", "s_x")]


AGAIN = replace(
    CASE_111,
    name="alpha-twice",
    order="phase-first",
    phases=(CASE_111.phases[0], replace(CASE_111.phases[0], harden=(), source="float")),
)


@pytest.mark.parametrize("setting", [*TABLE, AGAIN], ids=lambda setting: setting.name)
def test_the_codes_returned_are_those_of_the_parameters_returned(setting):
    """Also where a later phase learns the weights again and leaves hardening to the end."""
    network = residual()
    model, state, _ = run_of(network, setting)
    for layer, component in model.weights.items():
        own = {name: value for (node, name), value in state.items() if node == layer}
        codes = component.codes(network.params[(layer, "w")], own)
        np.testing.assert_array_equal(state[(layer, "codes")], codes)


def test_neutral_xi_and_eta_are_absent_ones():
    """P47: xi = 1 and eta = 0 give the bits of the network-wide run without them."""
    network = residual()
    still = replace(ADAQT, phases=(replace(ADAQT.phases[0], learn=NETWORK_WIDE.phases[0].learn),))
    _, without, record = run_of(network, NETWORK_WIDE)
    model, beside, same = run_of(network, still)
    assert same == record
    for key, value in without.items():
        np.testing.assert_array_equal(value, beside[key])
    assert set(beside) - set(without) == {(n, p) for n in model.weights for p in ("xi", "eta")}


def test_case_1_2_starts_where_adaround_does():
    """P47: nearest h gives case 1.2's forward, so the hard losses at the start are the same."""
    network = residual()
    nearest = run_of(network, changed(CASE_12, unit="network"), steps=1)[2]
    rounded = run_of(network, changed(CASE_112, unit="network"), steps=1)[2]
    assert rounded[0].hard_start == nearest[0].hard_start > 0.0


def test_adaround_beats_nearest_on_the_mean_over_seeds():
    """P35, statistical: random layers behind correlated inputs, 3 bits; at least 7 of 8 gain."""
    gains = []
    for seed in range(8):
        network = dense(seed, sizes=(12, 4))
        _, _, (record,) = run_of(network, ADAROUND, correlated(64, 12, seed), steps=200, seed=seed)
        gains.append(record.hard_end / record.hard_start)
    assert np.mean(gains) < 0.8 and sum(gain < 1.0 for gain in gains) >= 7


def one_layer(weights):
    """A fully connected layer without bias, its inputs unquantized."""
    network = dense(sizes=(weights.shape[1], weights.shape[0]))
    params = {("fc1", "w"): weights, ("fc1", "bias"): np.zeros(len(weights))}
    return replace(network, params=params)


WEIGHTS_ONLY = replace(adaround(), activations=None)


def test_the_loss_is_the_gram_form_and_its_optimum_row_by_row():
    """P25, P26: all 64 roundings of two rows of three weights, tr((W - What) G (W - What)^T)."""
    rng = np.random.default_rng(7)
    w, x = rng.normal(size=(2, 3)), rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3))
    task, own = task_of(one_layer(w), x, WEIGHTS_ONLY, bits=Bits(3, 8, None))
    step, gram = own[("fc1", "s_w")], x.T @ x / len(x)
    base = np.floor(w / step)
    losses = {}
    for ups in product((0, 1), repeat=6):
        codes = np.clip(base + np.reshape(ups, (2, 3)), -4, 3).astype(np.int64)
        losses[ups] = hard_loss(task, {**own, ("fc1", "codes"): codes})
        error = w - step * codes
        assert losses[ups] == pytest.approx(np.trace(error @ gram @ error.T), rel=1e-10)
    best = min(losses, key=losses.get)
    rows = []
    for row in (0, 1):
        cost = {}
        for ups in product((0, 1), repeat=3):
            error = w[row] - step[row] * np.clip(base[row] + np.array(ups), -4, 3)
            cost[ups] = error @ gram @ error
        rows.append(min(cost, key=cost.get))
    assert best == rows[0] + rows[1]


def test_a_run_on_a_layer_is_the_runs_on_its_rows():
    """P26, P27: in pinned arithmetic the same alpha and codes, in any order of the rows."""
    network = dense(sizes=(6, 3))
    x = images(network)
    with nx.arithmetic("pinned"):
        _, whole, _ = run_of(network, adaround(), x)
        for rows in ([2, 0, 1], [0], [1], [2]):
            params = {key: value[rows] for key, value in network.params.items()}
            _, part, _ = run_of(replace(network, params=params), adaround(), x)
            for name in ("alpha", "codes", "s_w"):
                np.testing.assert_array_equal(part[("fc1", name)], whole[("fc1", name)][rows])


def test_nothing_learnt_is_nearest_rounding():
    """P19: at alpha0 the codes are half_up(w / s) clipped; off ties those of NEAREST."""
    network = residual()
    still = adaround(learn=(("alpha", Learn(lr=0.0)),))
    model, state, history = run_of(network, still)
    _, nearest, nothing = run_of(network, NEAREST)
    assert nothing == () and all(r.hard_start == r.hard_end for r in history)
    for layer in model.weights:
        u = network.params[(layer, "w")] / state[(layer, "s_w")]
        half_up = np.clip(round_to(u, "half_up"), -4, 3)
        np.testing.assert_array_equal(state[(layer, "codes")], half_up)
        np.testing.assert_array_equal(state[(layer, "codes")], nearest[(layer, "codes")])
