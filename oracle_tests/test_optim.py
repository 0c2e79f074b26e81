"""Adam: values, exact steps, invariance under the scale of the loss, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.optim.adam import AdamHyper, AdamState, adam_init, adam_resume, adam_step
from refquant.oracle.exact import adam as adam_twin

DTYPES = [np.float64, np.float32]
SEEDS = st.integers(0, 2**32 - 1)
DYADIC = AdamHyper(beta1=0.5, beta2=0.75, eps=0.0)


@given(seed=SEEDS, steps=st.integers(1, 6))
def test_adam_is_the_scalar_twin_to_the_last_bit(seed, steps):
    """Every operation is one IEEE operation in both, in the order of methods.md 5.7."""
    rng = np.random.default_rng(seed)
    params = {"a": rng.standard_normal((2, 3)), ("b", 1): rng.standard_normal(4)}
    rates = {"a": 0.125, ("b", 1): 3e-3}
    state = adam_init(params)
    lists = {
        key: (value.ravel().tolist(), ([0.0] * value.size,) * 2) for key, value in params.items()
    }
    for t in range(1, steps + 1):
        grads = {key: rng.standard_normal(value.shape) for key, value in params.items()}
        params, state = adam_step(params, grads, state, rates)
        for key, (x, means) in lists.items():
            g = grads[key].ravel().tolist()
            lists[key] = adam_twin.adam_step(x, g, means, t, rates[key], (0.9, 0.999, 1e-8))
    assert state.step == steps
    for key, (x, (m, v)) in lists.items():
        np.testing.assert_array_equal(params[key].ravel(), x)
        np.testing.assert_array_equal(state.m[key].ravel(), m)
        np.testing.assert_array_equal(state.v[key].ravel(), v)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_on_constant_gradients_moves_by_the_rate_exactly(dtype):
    """m/(1 - b1^t) = g and v/(1 - b2^t) = g^2 at every t, so each step is rate * sign(g).

    With beta = 1/2 and 3/4 and one-bit gradients, five steps round nothing; the twin, in
    Fractions with rational square roots, must say the same.
    """
    g = np.array([1.0, -4.0, 0.5, -0.25], dtype=dtype)
    params, state = {0: np.zeros(4, dtype=dtype)}, adam_init({0: g})
    exact = [Fraction(0)] * 4, ([Fraction(0)] * 4, [Fraction(0)] * 4)
    constants = Fraction(1, 2), Fraction(3, 4), Fraction(0)
    for t in range(1, 6):
        params, state = adam_step(params, {0: g}, state, 0.5, DYADIC)
        np.testing.assert_array_equal(params[0], -0.5 * t * np.sign(g))
        assert params[0].dtype == state.m[0].dtype == state.v[0].dtype == dtype
        fractions = [Fraction(float(a)) for a in g]
        exact = adam_twin.adam_step(exact[0], fractions, exact[1], t, Fraction(1, 2), constants)
        assert exact[0] == [Fraction(float(a)) for a in params[0]]
        assert exact[1] == tuple([Fraction(float(a)) for a in s[0]] for s in (state.m, state.v))


def test_two_adam_steps_by_hand():
    """b1 = 1/2, b2 = 3/4, eps = 1, rate 1; gradients 2 and then 1.

    1: m = 1, v = 1; m/(1/2) = 2, v/(1/4) = 4; x = 0 - 2 / (2 + 1) = -2/3.
    2: m = 1, v = 1; m/(3/4) = 4/3, v/(7/16) = 16/7; x = -2/3 - (4/3) / (sqrt(16/7) + 1).
    """
    hyper = AdamHyper(0.5, 0.75, 1.0)
    params, state = adam_step(
        {"x": np.zeros(1)}, {"x": np.full(1, 2.0)}, adam_init({"x": np.zeros(1)}), 1.0, hyper
    )
    assert params["x"][0] == -2.0 / 3.0
    assert (state.m["x"][0], state.v["x"][0]) == (1.0, 1.0)
    assert (state.step, state.power1, state.power2) == (1, 0.5, 0.75)
    params, state = adam_step(params, {"x": np.ones(1)}, state, 1.0, hyper)
    assert (state.m["x"][0], state.v["x"][0]) == (1.0, 1.0)
    expected = -2.0 / 3.0 - (4.0 / 3.0) / (4.0 / math.sqrt(7.0) + 1.0)
    np.testing.assert_allclose(params["x"], [expected], rtol=1e-15)
    assert (state.step, state.power1, state.power2) == (2, 0.25, 0.5625)


def test_eps_is_added_outside_the_square_root():
    """First step, g = 1e-8: g / (|g| + 1e-8) = 1/2; inside the root it would be 1e-4."""
    params, _ = adam_step(
        {"x": np.zeros(1)}, {"x": np.full(1, 1e-8)}, adam_init({"x": np.zeros(1)}), 1.0
    )
    np.testing.assert_allclose(params["x"], [-0.5], rtol=1e-12)


@given(seed=SEEDS, exponent=st.integers(-20, 20), c=st.floats(1e-3, 1e3))
def test_the_scale_of_the_loss_does_not_matter_without_eps(seed, exponent, c):
    """P59: exactly for powers of two, up to roundings for other factors c > 0."""
    rng = np.random.default_rng(seed)
    start = {"x": rng.standard_normal(5)}
    grads = [rng.standard_normal(5) for _ in range(4)]
    hyper = AdamHyper(eps=0.0)

    def run(factor):
        params, state = start, adam_init(start)
        for g in grads:
            params, state = adam_step(params, {"x": factor * g}, state, 0.01, hyper)
        return params["x"]

    np.testing.assert_array_equal(run(2.0**exponent), run(1.0))
    # A step m/sqrt(v) has size below 10 and some ten roundings, times rate 0.01, in four steps;
    # where m cancels, its error stays relative to the gradients, not to m.
    np.testing.assert_allclose(run(c), run(1.0), rtol=0, atol=1e-13)


def test_a_zero_gradient_moves_nothing_at_first_and_a_rate_of_zero_never():
    start = {"x": np.array([3.0]), "y": np.array([4.0])}
    state = adam_init(start)
    params, state = adam_step(start, {"x": np.zeros(1), "y": np.ones(1)}, state, {"x": 1, "y": 0})
    assert (params["x"][0], params["y"][0]) == (3.0, 4.0)
    assert state.m["y"][0] != 0.0  # but the means go on


def test_a_nan_gradient_stays_in_its_entry():
    start = {"x": np.zeros(2), "y": np.zeros(1)}
    grads = {"x": np.array([np.nan, 1.0]), "y": np.ones(1)}
    params, _ = adam_step(start, grads, adam_init(start), 0.1)
    np.testing.assert_array_equal(np.isnan(params["x"]), [True, False])
    assert not np.isnan(params["y"][0])


def test_adam_mutates_nothing_and_keeps_the_order_of_the_keys():
    params = {"b": np.ones(2), "a": np.ones(2)}
    grads = {"a": np.ones(2), "b": np.ones(2)}
    state = adam_init(params)
    for array in [*params.values(), *grads.values(), *state.m.values(), *state.v.values()]:
        array.setflags(write=False)
    first, after = adam_step(params, grads, state, 0.1)
    again, _ = adam_step(params, grads, state, 0.1)
    assert list(first) == list(after.m) == ["b", "a"]
    assert state.step == 0
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])


@given(seed=SEEDS, steps=st.integers(0, 40))
def test_a_resumed_state_has_the_bits_of_the_original(seed, steps):
    rng = np.random.default_rng(seed)
    params = {"x": rng.standard_normal(3)}
    state = adam_init(params)
    for _ in range(steps):
        params, state = adam_step(params, {"x": rng.standard_normal(3)}, state, 0.01)
    resumed = adam_resume(state.step, state.m, state.v)
    assert resumed[0] == state[0] and resumed[3:] == state[3:]
    assert state.power1 == adam_twin.running_product(0.9, steps)
    assert state.power2 == adam_twin.running_product(0.999, steps)
    g = {"x": rng.standard_normal(3)}
    np.testing.assert_array_equal(
        adam_step(params, g, resumed, 0.01)[0]["x"], adam_step(params, g, state, 0.01)[0]["x"]
    )


def test_the_running_products_close_in_on_the_powers():
    """3000 roundings of half an ulp: a relative error below 3000 eps."""
    power = adam_resume(3000, {}, {}).power2
    exact = Fraction(0.999) ** 3000
    assert abs(Fraction(power) / exact - 1) < 3000 * np.finfo(np.float64).eps


def test_wide_numbers_do_not_widen_float32():
    x = {"x": np.zeros(1, dtype=np.float32)}
    hyper = AdamHyper(*np.array([0.9, 0.999, 1e-8]))
    params, state = adam_step(
        x, {"x": np.ones(1, dtype=np.float32)}, adam_init(x), np.float64(0.1), hyper
    )
    assert params["x"].dtype == state.m["x"].dtype == state.v["x"].dtype == np.float32
    assert type(state.power1) is float and type(hyper.eps) is float


def test_adam_defaults_are_the_papers():
    assert AdamHyper() == AdamHyper(beta1=0.9, beta2=0.999, eps=1e-8)
    assert hash(AdamHyper()) == hash(AdamHyper(0.9, 0.999, 1e-8))


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan])
def test_adam_refuses_means_that_do_not_forget(name, value):
    with pytest.raises(ValueError, match=rf"AdamHyper\(\): {name} is"):
        AdamHyper(**{name: value})


@pytest.mark.parametrize("eps", [-1e-8, math.inf, math.nan])
def test_adam_refuses_a_bad_eps(eps):
    with pytest.raises(ValueError, match=r"AdamHyper\(\): eps is"):
        AdamHyper(eps=eps)


def test_adam_refuses_what_does_not_fit():
    x, state = {"x": np.zeros(2)}, adam_init({"x": np.zeros(2)})
    with pytest.raises(ValueError, match=r"grads is over other keys \('x', 'y'\)"):
        adam_step(x, {"y": np.zeros(2)}, state, 0.1)
    with pytest.raises(ValueError, match=r"state.m is over other keys"):
        adam_step(x, x, AdamState(0, {}, {}), 0.1)
    with pytest.raises(ValueError, match=r"state.v is over other keys"):
        adam_step(x, x, AdamState(0, x, {}), 0.1)
    with pytest.raises(ValueError, match=r"grads\['x'\] is of shape \(1,\)"):
        adam_step(x, {"x": np.zeros(1)}, state, 0.1)
    with pytest.raises(TypeError, match=r"grads\['x'\] is float32"):
        adam_step(x, {"x": np.zeros(2, dtype=np.float32)}, state, 0.1)
    with pytest.raises(ValueError, match=r"rates is without 'x'"):
        adam_step(x, x, state, {"y": 0.1})
    for rate in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"rate of 'x' is"):
            adam_step(x, x, state, rate)
    with pytest.raises(TypeError, match=r"adam_init\(\): params\['x'\] is int64"):
        adam_init({"x": np.zeros(2, dtype=np.int64)})
    with pytest.raises(ValueError, match=r"adam_resume\(\): step"):
        adam_resume(-1, x, x)
