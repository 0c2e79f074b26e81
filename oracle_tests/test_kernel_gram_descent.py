"""The fused descent against its definition: the component's forward and backward, penalty, Adam."""

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.kernels.gram_descent import (
    GramProblem,
    alpha_of,
    gradient,
    gram_step,
    numbers,
    start,
)
from refquant.optim.adam import adam_init, adam_step
from refquant.quantizers.adaround import (
    adaround_backward,
    adaround_forward,
    init_alpha,
    rounding_regularizer_backward,
    rounding_regularizer_forward,
)
from refquant.quantizers.grid import Grid, make_qparams


def layer(seed, groups=1, rows=3, d=7, clipped=True):
    """Weights of some groups, a grid they may leave, and second moments of the inputs."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(groups, rows, d))
    top = np.abs(w).max(axis=2, keepdims=True)
    step = top * (0.25 if clipped else 0.7)
    qparams = make_qparams(step, np.zeros(step.shape, dtype=np.int64), Grid("signed", 3))
    x = rng.normal(size=(groups, d, 3 * d)) + 0.5
    return w, qparams, np.matmul(x, x.swapaxes(1, 2)) / (3 * d)


def definition(w, alpha, qparams, gram, lam, beta, edge):
    """Gradient of tr(E G E^T) + lam R as the readable functions give it."""
    w_hat, cache = adaround_forward(w, alpha, qparams, edge)
    d_alpha = adaround_backward(2.0 * np.matmul(w_hat - w, gram), cache)
    if lam:
        _, own = rounding_regularizer_forward(alpha, beta, lam, edge)
        d_alpha = d_alpha + rounding_regularizer_backward(1.0, own)
    return d_alpha


def problem_of(w, qparams, gram):
    low, high = qparams.grid.limits(0)
    floor = np.floor(w / qparams.step)
    free = ((floor >= low) & (floor < high)).astype(w.dtype)
    curve = 2.0 * qparams.step**2
    linear = curve * np.matmul(np.clip(floor, low, high) - w / qparams.step, gram)
    return GramProblem(gram, curve, linear, free)


PENALTIES = [(0.0, 20.0), (0.3, 20.0), (0.3, 7.3), (0.3, 2.0), (0.3, 1.5), (0.3, 1.0)]


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize(("lam", "beta"), PENALTIES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_thirty_steps_are_those_of_the_definition(mode, dtype, lam, beta, clipped, groups):
    """Gradient and alpha, to the rounding errors of the dtype; nothing given is written to."""
    with nx.arithmetic(mode, slices=3 if mode == "pinned" else None):
        check_thirty_steps(dtype, lam, beta, clipped, groups)


def check_thirty_steps(dtype, lam, beta, clipped, groups):
    w, qparams, gram = layer(3, groups, clipped=clipped)
    problem = GramProblem(*(v.astype(dtype) for v in problem_of(w, qparams, gram)))
    # Away from AdaRound's start, where the error is 0 and Adam follows the sign of rounding noise.
    begin = alpha = np.clip(init_alpha(w, qparams) + np.sin(9.0 * w), -2.2, 2.2)
    for value in (*problem, alpha):
        value.flags.writeable = False
    first = alpha.astype(dtype)
    assert problem.free.all() != clipped
    buffers, state, tolerance = start(problem, first), adam_init({"a": alpha}), 40 * eps(dtype)
    for step in range(1, 31):
        grad = definition(w, alpha, qparams, gram, lam, beta, "inclusive")
        moved, state = adam_step({"a": alpha}, {"a": grad}, state, 1e-2)
        alpha = moved["a"]
        with np.errstate(divide="ignore"):
            gram_step(problem, buffers, numbers(1e-2, (0.9**step, 0.999**step), lam, beta, first))
        if step == 1:
            scale = np.abs(grad).max()
            assert_close(gradient(problem, buffers), grad, 200 * tolerance * scale)
    assert_close(alpha_of(buffers), alpha, 1e4 * tolerance)
    assert np.abs(alpha - begin).max() > 0.1


def eps(dtype):
    return float(np.finfo(dtype).eps)


def assert_close(found, wanted, atol):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


@pytest.mark.parametrize("edge", ["inclusive", "strict"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_weights_on_the_grid_move_or_stay_as_the_edge_says(edge, dtype):
    """D37: alpha = -ln 11 exactly passes the gradient under "inclusive" alone."""
    w, qparams, gram = layer(5, clipped=False)
    w[0, :, 2] = qparams.step[0, :, 0]
    problem = GramProblem(*(v.astype(dtype) for v in problem_of(w, qparams, gram)))
    alpha = np.sin(9.0 * w)
    alpha[0, :, 2] = init_alpha(w, qparams)[0, :, 2]
    buffers = start(problem, alpha.astype(dtype), edge)
    gram_step(problem, buffers, numbers(1e-2, (0.9, 0.999), 0.0, 2.0, buffers.y))
    wanted = definition(w, alpha, qparams, gram, 0.0, 2.0, edge)
    assert_close(gradient(problem, buffers), wanted, 8000 * eps(dtype) * np.abs(wanted).max())
    moved = alpha_of(buffers)[0, :, 2] != alpha.astype(dtype)[0, :, 2]
    assert moved.all() == (edge == "inclusive") and moved.any() == (edge == "inclusive")


def test_an_undecided_weight_feels_no_penalty():
    """At h = 1/2 the regulariser's derivative is 0, for every exponent, and never NaN."""
    w, qparams, gram = layer(1, clipped=False)
    problem = problem_of(w, qparams, gram * 0.0)
    alpha = np.zeros_like(w)
    for beta in (1.0, 1.5, 2.0, 20.0):
        buffers = start(problem, alpha)
        with np.errstate(divide="ignore"):
            gram_step(problem, buffers, numbers(1e-2, (0.9, 0.999), 0.1, beta, alpha))
        np.testing.assert_array_equal(alpha_of(buffers), alpha)


@pytest.mark.parametrize("name", GramProblem._fields)
def test_a_problem_of_two_dtypes_is_refused(name):
    """It would be computed in the wider one, slowly."""
    w, qparams, gram = layer(3)
    problem = GramProblem(*(v.astype(np.float32) for v in problem_of(w, qparams, gram)))
    mixed = problem._replace(**{name: getattr(problem, name).astype(np.float64)})
    with pytest.raises(TypeError, match=f"start.*{name} is float64"):
        start(mixed, init_alpha(w, qparams).astype(np.float32))
