"""Gram solver with everything learnt at once: alpha, s_x, xi and eta."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gram_cases import Losses, joint, problem_of
from oracle_tests.reconstruct_cases import correlated, dense, run_of, task_of
from refquant.methods import Gram
from refquant.optimal.layer_quadratic import centred
from refquant.optimal.least_squares import fit_transform
from refquant.optimal.row_flips import flip_rows
from refquant.reconstruct.gram import solve_gram
from refquant.reconstruct.gram_layer import GramLayer, Problem, chosen, gram_layer
from refquant.reconstruct.gram_step import search_step

ALL = ("alpha", "s_x", "xi", "eta")


def test_the_joint_solution_is_better_than_its_parts():
    """Each further parameter lowers the first layer's error, and learnt values are set."""
    network, x = dense(sizes=(12, 8, 3)), correlated(300, 12, 1)
    ends = []
    for names in (("alpha",), ("alpha", "s_x"), ("alpha", "s_x", "xi"), ALL):
        learn = tuple(pair for pair in joint().phases[0].learn if pair[0] in names)
        _, state, records = run_of(network, joint(learn=learn), x)
        ends.append(records[0].hard_end)
    assert ends == sorted(ends, reverse=True) and ends[-1] < 0.9 * ends[0]
    assert (state[("fc1", "xi")] != 1.0).all() and (state[("fc1", "eta")] != 0.0).all()


def test_xi_and_eta_are_least_squares_on_the_final_codes():
    """P44, by NumPy's own solver on the layer's columns."""
    network, x = dense(sizes=(12, 8, 3)), correlated(300, 12, 1)
    model, state, _ = run_of(network, joint(), x)
    s_x = float(state[("fc1.patches.q", "s_x")])
    zero = float(state[("fc1.patches.q", "zero_point")])
    x_hat = s_x * np.clip(np.rint(x / s_x), -zero, 15 - zero)
    w_hat = state[("fc1", "s_w")] * state[("fc1", "codes")]
    y, y0 = x @ network.params[("fc1", "w")].T, x_hat @ w_hat.T
    for o in range(8):
        design = np.stack([y0[:, o], np.ones(len(x))], axis=1)
        xi, eta = np.linalg.lstsq(design, y[:, o], rcond=None)[0]
        np.testing.assert_allclose(state[("fc1", "xi")][o], xi, rtol=1e-8)
        np.testing.assert_allclose(state[("fc1", "eta")][o], eta, rtol=1e-7, atol=1e-9)
    assert model.quantizers


@pytest.mark.parametrize("names", [("xi",), ("eta",), ("xi", "eta")])
def test_no_flip_helps_once_scale_and_shift_are_fitted(names):
    """Not even if they are fitted anew behind it."""
    network, x = dense(sizes=(12, 8, 3)), correlated(300, 12, 1)
    learn = tuple(pair for pair in joint().phases[0].learn if pair[0] in ("alpha", *names))
    setting = joint(learn=learn, gram=Gram(start="plane", rounds=1))
    task, own = task_of(network, x, setting)
    state = solve_gram(task, own, lambda: None, Losses())
    problem = problem_of(task, state)
    form = centred(problem.form) if "eta" in names else problem.form
    h, xi = chosen(task, problem.layer, state), state[("fc1", "xi")].reshape(1, -1)
    rows = Problem(problem.layer, form, xi).rows()
    np.testing.assert_array_equal(flip_rows(rows[0], h[0]), h[0])


@pytest.mark.parametrize("seed", range(6))
def test_the_line_search_judges_steps_by_their_own_fit(seed):
    """Each candidate with its own xi and eta; the best of nine, by least squares on the columns."""
    network, x = dense(seed, sizes=(12, 8, 3)), correlated(250, 12, seed)
    task, own = task_of(network, x, joint())
    w_hat = gram_layer(task, own).weights(gram_layer(task, own).nearest())
    key, y = ("fc1.patches.q", "s_x"), x @ network.params[("fc1", "w")].T
    zero = float(own[(key[0], "zero_point")])
    found, errors = search_step(task, own, w_hat, 0.4)[key], {}
    for factor in 1.0 + 0.4 * np.linspace(-1.0, 1.0, 9):
        s_x = float(own[key]) * factor
        y0 = (s_x * np.clip(np.rint(x / s_x), -zero, 15 - zero)) @ w_hat[0].T
        errors[s_x] = fit_transform(y, y0).mse.sum()
    assert found == pytest.approx(min(errors, key=errors.get), rel=1e-12)


def test_a_step_that_changes_nothing_stays():
    """Inputs of zeros are levels of every step, so all candidates lose alike."""
    network, x = dense(0, sizes=(12, 8, 3)), correlated(50, 12, 0)
    task, own = task_of(network, x, joint())
    silent = {edge: np.zeros_like(value) for edge, value in task.inputs.items()}
    task = replace(task, inputs=silent, float_inputs=silent)
    w_hat, key = gram_layer(task, own).weights(gram_layer(task, own).nearest()), "fc1.patches.q"
    assert search_step(task, own, w_hat, 0.4)[(key, "s_x")] == own[(key, "s_x")]


def test_nearest_choices_round_ties_up_and_leave_what_is_not_free():
    """Steps 1/2: 1/4 and -3/4 are ties; 9 lies beyond the levels, whose end is 7."""
    w, base = np.array([[[0.25, 0.2, -0.75, 9.0]]]), np.array([[[0.0, 0.0, -2.0, 7.0]]])
    free = np.array([[[True, True, True, False]]])
    layer = GramLayer("l", w, base, free, np.array([[0.5]]))
    assert layer.nearest().tolist() == [[[True, False, True, False]]]
