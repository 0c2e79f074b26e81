"""AdaQTransform as pure functions: granularities of the transform and decoupled weight steps."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.adaqtransform_cases import H_OF, random_weights, weight_cases
from oracle_tests.exact_lists import dyadic
from oracle_tests.gradcheck import check_gradient
from refquant.oracle.exact import adaround as twin
from refquant.quantizers.adaround import (
    adaround_backward,
    adaround_forward,
    rectified_sigmoid_forward,
)
from refquant.quantizers.decoupled import LEARNED, decoupled_backward, decoupled_forward
from refquant.quantizers.fake_quant import fake_quant_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.quantizers.rectified_sigmoid import LN11
from refquant.quantizers.transform import (
    output_transform_backward,
    output_transform_forward,
    transform_shape,
)

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [(3, 2), (2, 3, 4), (2, 3, 2, 2)]
KINDS = ["channel", "layer", "pixel", "network"]


def exact_transform(y0, bias, xi, eta, d_y):
    """The definition per element in Fractions; parameters indexed by what is left of an index."""
    y, sums = np.empty(y0.shape, object), {"bias": {}, "xi": {}, "eta": {}}

    def pick(p, index):
        return index[1 : 1 + p.ndim]

    for index in np.ndindex(*y0.shape):
        v, g = Fraction(float(y0[index])), Fraction(float(d_y[index]))
        at = {"bias": index[1:2], "xi": pick(xi, index), "eta": pick(eta, index)}
        y[index] = Fraction(float(xi[at["xi"]])) * v
        y[index] += Fraction(float(bias[at["bias"]])) + Fraction(float(eta[at["eta"]]))
        for name, share in (("bias", g), ("xi", g * v), ("eta", g)):
            sums[name][at[name]] = sums[name].get(at[name], 0) + share
    return y, sums


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("xi_kind", KINDS)
@pytest.mark.parametrize("eta_kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_granularity_equals_exact_rationals(shape, xi_kind, eta_kind, dtype):
    """15.6: y and the sums over shared elements, whatever xi and eta are shared over."""
    rng = np.random.default_rng(1)
    y0, d_y = (dyadic(rng, shape, dtype) for _ in range(2))
    bias = dyadic(rng, shape[1], dtype)
    xi = np.asarray(dyadic(rng, transform_shape(xi_kind, shape), dtype))
    eta = np.asarray(dyadic(rng, transform_shape(eta_kind, shape), dtype))
    y, cache = output_transform_forward(y0, bias, xi, eta)
    grads = output_transform_backward(d_y, cache)
    expected, sums = exact_transform(y0, bias, xi, eta, d_y)
    assert [Fraction(float(v)) for v in y.ravel()] == expected.ravel().tolist()
    for name, given_ in (("bias", bias), ("xi", xi), ("eta", eta)):
        grad = getattr(grads, name)
        assert grad.shape == given_.shape
        assert grad.dtype == dtype
        assert {i: Fraction(float(grad[i])) for i in np.ndindex(*grad.shape)} == sums[name]
    spread = xi if xi_kind == "layer" else xi.reshape(1, *xi.shape, *[1] * (y0.ndim - 1 - xi.ndim))
    np.testing.assert_array_equal(grads.y0, np.broadcast_to(spread, shape) * d_y)


def test_shapes_of_the_granularities():
    """15.6; network is channel at the last layer."""
    shapes = {kind: transform_shape(kind, (5, 3, 2, 4)) for kind in KINDS}
    assert shapes == {"channel": (3,), "network": (3,), "layer": (), "pixel": (3, 2, 4)}
    with pytest.raises(ValueError, match="Did you mean 'channel'"):
        transform_shape("chanel", (1, 2))
    with pytest.raises(ValueError, match="y0_shape is"):
        transform_shape("layer", (2,))


@pytest.mark.parametrize("wrong", [(3, 1), (2,), (1,), (2, 3, 2, 2), (3, 2), (1, 3, 1, 1)])
def test_other_shapes_are_refused(wrong):
    y0, one = np.ones((2, 3, 2, 2)), np.ones(3)
    for name in ("xi", "eta", "bias"):
        arguments = {"bias": one, "xi": one, "eta": one, name: np.ones(wrong)}
        with pytest.raises(ValueError, match=f"{name} is of shape"):
            output_transform_forward(y0, **arguments)


def test_a_bias_is_per_channel_whatever_the_transform():
    scalar = np.array(1.0)
    with pytest.raises(ValueError, match="bias is of shape"):
        output_transform_forward(np.ones((2, 3)), scalar, scalar, scalar)
    _, cache = output_transform_forward(np.ones((2, 3)), None, scalar, scalar)
    assert output_transform_backward(np.ones((2, 3)), cache).bias is None


@given(case=weight_cases(), name=st.sampled_from(list(LEARNED)))
def test_decoupled_weights_equal_exact_rationals(case, name):
    """15.1 and 15.2: value and step gradients of every case, from the definition."""
    grid, zeros, s_w, s_d, w, alpha, d = case
    tied = name in ("1.1", "tied")
    column = [np.array(v)[:, None] for v in (s_w, zeros, s_d)]
    qparams = make_qparams(column[0], column[1], grid)
    arrays = np.array(w), np.array(alpha)
    w_hat, cache = decoupled_forward(*arrays, qparams, None if tied else column[2], name)
    grads = decoupled_backward(np.array(d), cache)
    for r, zero in enumerate(zeros):
        n, p = grid.limits(zero)
        step, out = Fraction(s_w[r]), Fraction(s_w[r] if tied else s_d[r])
        d_s_w = d_s_d = Fraction(0)
        for i, value in enumerate(w[r]):
            u, h, g = Fraction(value) / step, H_OF[alpha[r][i]], Fraction(d[r][i])
            level = twin.soft_level(Fraction(value), step, h, n, p)
            inside = n <= u // 1 + h <= p
            assert Fraction(float(w_hat[r, i])) == out * level
            d_level = -u / step if inside else 0
            d_s_w += g * (out * d_level + (level if tied else 0))
            d_s_d += g * level
        if "s_w" in LEARNED[name]:
            # s_d / s_w is exact as s_w is a power of two
            assert Fraction(float(grads.s_w[r, 0])) == d_s_w
        if "s_d" in LEARNED[name]:
            assert Fraction(float(grads.s_d[r, 0])) == d_s_d
    assert (grads.s_w is None) == ("s_w" not in LEARNED[name])
    assert (grads.s_d is None) == ("s_d" not in LEARNED[name])
    factor = np.broadcast_to(column[0] if tied else column[2], arrays[0].shape)
    expected = np.array(d) * factor * np.where(cache.inside, cache.slope, 0.0)
    np.testing.assert_array_equal(grads.alpha, expected)


def test_what_each_case_learns():
    """The table of 15.1."""
    _, w, alpha, qparams, s_d = random_weights(0)
    table = {"1.1": "", "tied": "w", "2.1": "w", "2.2": "d", "2.3": "wd"}
    for case, learned in table.items():
        step = None if case in ("1.1", "tied") else s_d
        _, cache = decoupled_forward(w, alpha, qparams, step, case)
        grads = decoupled_backward(w, cache)
        assert (grads.s_w is not None, grads.s_d is not None) == ("w" in learned, "d" in learned)
    assert set(LEARNED) == set(table)


@pytest.mark.parametrize("case", ["tied", "2.1", "2.2", "2.3"])
def test_decoupled_gradients_match_central_differences(case):
    """15.2: floor residual and clip mask frozen, as section 23 asks; alpha of every case."""
    rng, w, alpha, qparams, s_d = random_weights(3)
    d, tied = rng.normal(size=w.shape), case == "tied"
    _, cache = decoupled_forward(w, alpha, qparams, None if tied else s_d, case)
    grads = decoupled_backward(d, cache)
    n, p = qparams.grid.limits(0)
    s0 = qparams.step
    residual = np.floor(w / s0) - w / s0
    end = np.clip(np.floor(w / s0) + 0.5, n, p)  # the level of a clipped weight

    def loss(a=alpha, s=s0, out=None):
        out = (s if tied else s_d) if out is None else out
        h = rectified_sigmoid_forward(a)[0]
        levels = np.where(cache.inside, w / s + residual + h, np.clip(np.rint(end), n, p))
        return (d * out * levels).sum()

    check_gradient(lambda a: loss(a=a), alpha, grads.alpha, name="alpha")
    if grads.s_w is not None:
        check_gradient(lambda s: loss(s=s), s0, grads.s_w, rtol=1e-5, name="s_w")
    if grads.s_d is not None:
        check_gradient(lambda s: loss(out=s), s_d, grads.s_d, name="s_d")


@given(seed=SEEDS, dtype=st.sampled_from([np.float64, np.float32]))
def test_neutral_step_gives_the_bits_of_adaround(seed, dtype):
    """P53: 2.x with s'_w = s_w starts at the weight, hence at the loss, of case 1.1.2; P47."""
    rng, w, alpha, qparams, _ = random_weights(seed, dtype)
    expected, plain = adaround_forward(w, alpha, qparams)
    d = rng.normal(size=w.shape).astype(dtype)
    for case in LEARNED:
        step = None if case in ("1.1", "tied") else qparams.step.copy()
        w_hat, cache = decoupled_forward(w, alpha, qparams, step, case)
        assert w_hat.tobytes() == expected.tobytes()
        grads = decoupled_backward(d, cache)
        assert grads.alpha.tobytes() == adaround_backward(d, plain).tobytes()
        assert {g.dtype for g in grads if g is not None} == {np.dtype(dtype)}


@pytest.mark.parametrize("edge", ["inclusive", "strict"])
def test_the_edge_of_h_is_passed_on(edge):
    qparams = make_qparams(1.0, 0, Grid("signed", 4))
    w, alpha = np.array([2.0]), np.array([-LN11])
    _, cache = decoupled_forward(w, alpha, qparams, np.array(2.0), "2.2", edge)
    moved = decoupled_backward(np.ones(1), cache).alpha[0] != 0.0
    assert moved == (edge == "inclusive")


def test_weights_that_are_not_numbers_move_no_step():
    """NaN decodes to 0, infinities to the ends; the gradient through W / s_w stays finite."""
    qparams = make_qparams(1.0, 0, Grid("signed", 3))
    w = np.array([np.nan, np.inf, -np.inf])
    w_hat, cache = decoupled_forward(w, np.zeros(3), qparams, np.array(0.5), "2.3")
    np.testing.assert_array_equal(w_hat, [0.0, 1.5, -2.0])
    grads = decoupled_backward(np.ones(3), cache)
    assert grads.s_w == 0.0
    assert grads.s_d == 3.0 - 4.0
    np.testing.assert_array_equal(grads.alpha, np.zeros(3))


def test_nearest_h_is_case_1_2():
    """P47: with h = [f >= 1/2] the weight is that of nearest rounding, away from ties."""
    _, w, _, qparams, s_d = random_weights(9)
    frac = w / qparams.step - np.floor(w / qparams.step)
    alpha = np.where(frac >= 0.5, 50.0, -50.0)
    nearest, _ = fake_quant_forward(w, qparams)
    tied, _ = decoupled_forward(w, alpha, qparams, None, "tied")
    np.testing.assert_array_equal(tied, nearest)
    apart, _ = decoupled_forward(w, alpha, qparams, s_d, "2.1")
    np.testing.assert_allclose(apart, nearest / qparams.step * s_d, rtol=4e-16)


def test_bad_steps_are_refused():
    _, w, alpha, qparams, s_d = random_weights(1)
    with pytest.raises(ValueError, match=r"case is '2\.4'"):
        decoupled_forward(w, alpha, qparams, s_d, "2.4")
    with pytest.raises(ValueError, match=r"s_d is None; expected a step in case 2\.2"):
        decoupled_forward(w, alpha, qparams, None, "2.2")
    for case in ("1.1", "tied"):
        with pytest.raises(ValueError, match="s_d is an array; expected None"):
            decoupled_forward(w, alpha, qparams, s_d, case)
    for bad in (s_d * 0.0, -s_d, s_d * np.nan, s_d[:2]):
        with pytest.raises(ValueError, match="step is"):
            decoupled_forward(w, alpha, qparams, bad, "2.2")
    with pytest.raises(TypeError, match="s_d is float"):
        decoupled_forward(w, alpha, qparams, 0.1, "2.2")
    _, cache = decoupled_forward(w, alpha, qparams, s_d, "2.2")
    with pytest.raises(ValueError, match="d_w_hat"):
        decoupled_backward(np.ones((8, 3)), cache)
