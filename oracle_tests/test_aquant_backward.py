"""AQuant's gradients, methods 13.4: frozen surrogate, exact twin, and the kinks by value."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle_tests.aquant_cases import (
    BOUNDS,
    FUSES,
    SWITCHES,
    Frozen,
    dyadic_case,
    nested,
    options_of,
    real_case,
    twin_arguments,
)
from oracle_tests.exact_lists import assert_rounded_once
from oracle_tests.gradcheck import check_gradient
from refquant.layers.product import product_backward, product_forward
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.aquant import aquant_backward, aquant_forward
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions

DTYPES = [np.float64, np.float32]
PLAIN = BorderOptions(fuse="none", bound="clip", degree=1)


def ends(qparams):
    return qparams.grid.limits(int(qparams.zero_point.item()))


def directional_error(options, a, seed, taps):
    """The largest relative difference along three directions in x, s and all parameters at once."""
    rng, x, qparams, params = real_case(seed, options, taps)
    frozen = Frozen(x, 0.55, params, options, a, ends(qparams))
    g = rng.normal(size=x.shape)
    x_hat, cache = aquant_forward(x, qparams, params, options, a)
    np.testing.assert_allclose(x_hat, (0.55 * frozen.t0).reshape(x.shape), atol=1e-14)
    grads = aquant_backward(g, cache)
    given_b = [b for b in params if b is not None]
    analytic = [grads.x, grads.s, *(d for d in grads.border if d is not None)]
    assert len(analytic) == 2 + len(given_b)
    worst = 0.0
    for _ in range(3):
        way = [rng.normal(size=np.shape(d)) for d in analytic]

        def value(h, way=way):
            moved = iter([b + h * d for b, d in zip(given_b, way[2:], strict=True)])
            at = BorderParams(*(None if b is None else next(moved) for b in params))
            return (g * frozen.output(x + h * way[0], 0.55 + h * way[1], at)).sum()

        numeric = (value(1e-6) - value(-1e-6)) / 2e-6
        total = sum(float((d * v).sum()) for d, v in zip(analytic, way, strict=True))
        size = sum(float(np.abs(d * v).sum()) for d, v in zip(analytic, way, strict=True))
        worst = max(worst, abs(total - numeric) / size)
    return worst


@pytest.mark.parametrize("a", [0.6, 1.0])
@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("fuse", FUSES)
def test_gradients_of_every_combination(fuse, bound, a):
    """Methods 23: residual and masks frozen; all 32 settings of the five other switches."""
    for number, switches in enumerate(SWITCHES):
        options = options_of(fuse, bound, switches)
        assert directional_error(options, a, number, taps=3) < 1e-8, switches


@pytest.mark.parametrize("taps", [1, 2])
@pytest.mark.parametrize("fuse", FUSES)
def test_gradients_entry_by_entry(fuse, taps):
    """Each entry of each gradient against its own central difference, a = 0.6."""
    options = BorderOptions(fuse=fuse)
    rng, x, qparams, params = real_case(17, options, taps)
    frozen = Frozen(x, 0.55, params, options, 0.6, ends(qparams))
    g = rng.normal(size=x.shape)
    grads = aquant_backward(g, aquant_forward(x, qparams, params, options, 0.6)[1])
    check_gradient(lambda v: (g * frozen.output(v, 0.55, params)).sum(), x, grads.x, name="x")
    s = np.asarray(0.55)
    check_gradient(lambda v: (g * frozen.output(x, v, params)).sum(), s, grads.s, name="s")
    for name, value in params._asdict().items():
        if value is not None:
            check_gradient(
                lambda v, n=name: (g * frozen.output(x, 0.55, params._replace(**{n: v}))).sum(),
                value,
                getattr(grads.border, name),
                name=name,
            )


def test_the_random_cases_reach_every_branch():
    """Clipped and open levels, saturated and open borders, and a mean outside [0, 1] occur."""
    frozen = []
    for seed in range(32):
        options = BorderOptions()
        _, x, qparams, params = real_case(seed, options)
        frozen.append(Frozen(x, 0.55, params, options, 0.6, ends(qparams)))
    for key in ("E", "F"):
        raw = np.concatenate([f.record[key].ravel() for f in frozen])
        assert min((raw < 0).sum(), (raw > 1).sum(), ((raw > 0) & (raw < 1)).sum()) >= 3, key
    inside = np.concatenate([f.inside.ravel() for f in frozen])
    assert 0.2 < inside.mean() < 0.9


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    fuse=st.sampled_from(FUSES),
    switches=st.sampled_from(SWITCHES),
    taps=st.sampled_from([1, 2, 4]),
    a=st.sampled_from([0.0, 0.5, 1.0]),
    dtype=st.sampled_from(DTYPES),
)
def test_equal_to_exact_rationals_on_dyadic_inputs(seed, fuse, switches, taps, a, dtype):
    """bound="clip" is rational: codes, outputs and all gradients are the exact ones."""
    options = options_of(fuse, ("clip", "outer"), switches)
    x, qparams, params, g = dyadic_case(np.random.default_rng(seed), options, taps, dtype)
    channels, r, chosen = twin_arguments(qparams, params, options, Fraction(a))
    x_hat, cache = aquant_forward(x, qparams, params, options, a)
    exact_hat, exact_levels = twin.forward(nested(x, taps), channels, r, chosen)
    assert_rounded_once(x_hat.reshape(cache.u.shape), exact_hat, dtype)
    assert_rounded_once(cache.levels, exact_levels, dtype)
    grads = aquant_backward(g, cache)
    exact = twin.backward(nested(g, taps), nested(x, taps), channels, r, chosen)
    assert_rounded_once(grads.x.reshape(cache.u.shape), exact.x, dtype)
    assert_rounded_once(grads.s, exact.s, dtype)
    for name, total in zip(("b0", "b1", "b2", "fusion"), exact[2:], strict=True):
        value = getattr(grads.border, name)
        if value is not None:
            assert_rounded_once(value, total, dtype)
    assert (grads.border.fusion is None) == (params.fusion is None)
    assert (grads.border.b2 is None) == (options.degree == 1)


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    fuse=st.sampled_from(FUSES),
    scale=st.sampled_from(["outer", "inner"]),
    switches=st.sampled_from(SWITCHES),
)
def test_equal_to_the_twin_on_real_values(seed, fuse, scale, switches):
    """The sigmoids; 100 terms of size 10 and a few ulp each."""
    options = options_of(fuse, ("sigmoid", scale), switches)
    rng, x, qparams, params = real_case(seed, options)
    g = rng.normal(size=x.shape)
    channels, r, chosen = twin_arguments(qparams, params, options, 0.6, exact=False)
    x_hat, cache = aquant_forward(x, qparams, params, options, 0.6)
    lists = nested(x, 3, exact=False)
    expected = np.array(twin.forward(lists, channels, r, chosen)[0])
    np.testing.assert_allclose(x_hat, expected.reshape(x.shape), rtol=1e-13, atol=1e-14)
    grads = aquant_backward(g, cache)
    exact = twin.backward(nested(g, 3, exact=False), lists, channels, r, chosen)
    np.testing.assert_allclose(grads.x, np.array(exact.x).reshape(x.shape), rtol=1e-12, atol=1e-12)
    pairs = zip(grads.border, exact[2:], strict=True)
    for value, total in [(grads.s, exact.s), *((v, t) for v, t in pairs if v is not None)]:
        np.testing.assert_allclose(value, np.array(total, float), rtol=1e-12, atol=1e-12)


def test_gradients_pass_through_the_quantized_weight():
    """AQ app. eq.1: with the node at the input, dL/db = Q'(What^T GY); against differences."""
    options = BorderOptions()
    rng, x, qparams, params = real_case(5, options)
    w_hat = rng.normal(size=(4, 6))
    target = rng.normal(size=(3, 4, 4))
    frozen = Frozen(x, 0.55, params, options, 1.0, ends(qparams))

    def loss(b1):
        out = np.matmul(w_hat, frozen.output(x, 0.55, params._replace(b1=b1)))
        return 0.5 * ((out - target) ** 2).sum()

    x_hat, cache = aquant_forward(x, qparams, params, options)
    y, product = product_forward(x_hat, w_hat)
    grads = aquant_backward(product_backward(y - target, product).cols, cache)
    check_gradient(loss, params.b1, grads.border.b1, name="b1 through What")
    doubled = product_forward(x_hat, 2 * w_hat)[1]  # same GY, twice the filter
    twice = aquant_backward(product_backward(y - target, doubled).cols, cache)
    np.testing.assert_allclose(twice.border.b1, 2 * grads.border.b1, rtol=1e-12)
