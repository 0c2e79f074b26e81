"""The border kernel against its definition: equal levels, gradients within derived bounds."""

import itertools

import numpy as np
import pytest

from oracle_tests.aquant_cases import params_of
from refquant import numerics as nx
from refquant.components import BorderActivations
from refquant.kernels.border import border_backward, border_forward
from refquant.kernels.border_rule import BorderRule, covers
from refquant.quantizers.aquant import AQuantCache, aquant_backward, aquant_forward
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_fuse import border_fuse_backward
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import Grid, make_qparams

OPTIONS = [
    BorderOptions(fuse=fuse, degree=degree, gate=gate, mask=mask)
    for fuse, degree, gate, mask in itertools.product(
        ["none", "bound_fuse", "centred"], [1, 2], ["literal", "support"], ["rounded", "unrounded"]
    )
]
OPTIONS += [
    BorderOptions(fusion_weights="fixed"),
    BorderOptions(detach_border_input=True),
    BorderOptions(kappa=1.5),
]
GRID, STEP, LOW, HIGH = Grid("affine", 3), 0.21, 0.0, 7.0
STEP_EXACT = 0.25
SHAPE, CHANNELS, TAPS = (3, 45, 4, 5), 5, 9
COLUMNS = SHAPE[0] * SHAPE[2] * SHAPE[3]
KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SCHEDULE = pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
READINGS = pytest.mark.parametrize("options", OPTIONS, ids=repr)


def case(options, dtype):
    """Patches around a grid, many at its end 0; a border saturated in part; a cotangent."""
    rng = np.random.default_rng(7)
    x = rng.normal(0.4, 0.6, SHAPE).astype(dtype)
    x[:, ::4] = 0.0
    params = params_of(rng, (CHANNELS, TAPS), options, lambda r, s: r.normal(0, 0.3, s), dtype)
    return x, params, rng.normal(size=SHAPE).astype(dtype)


def both(options, a, dtype):
    """Return kernel (x_hat, cache, rule), definition (x_hat, cache) and a cotangent."""
    x, params, g = case(options, dtype)
    qparams = make_qparams(np.asarray(STEP, dtype), 0, GRID)
    rule = BorderRule(float(qparams.step), LOW, HIGH, a, params, options)
    return (*border_forward(x, rule), rule), aquant_forward(x, qparams, params, options, a), g


def rows(value):
    """(n, f, ...) as the kernel's (f, t)."""
    return value.reshape(SHAPE).swapaxes(0, 1).reshape(SHAPE[1], COLUMNS)


def border_error(rule, unit):
    """Bound on the difference of the two comparisons with a border.

    sigma: 4 roundings, E: 2 more, times kappa = 2.5; tanh 4 and E 2 in the kernel; the means of K
    products K + 2 each, of numbers of at most the largest |alpha|. u - B is rounded, half a unit
    of 8 <= |u| + 2 < 16, and a border of 1 is a unit less.
    """
    largest = max(1.0, np.abs(rule.weights).max() * TAPS)
    return (2.5 * 6 + 6 + 2 * (TAPS + 2)) * largest * unit + 1.5 * 8.0 * unit


@SCHEDULE
@KINDS
@READINGS
def test_levels_differ_only_where_the_fraction_meets_the_border(options, a, dtype):
    (x_hat, cache, rule), (want, known), _ = both(options, a, dtype)
    unit = float(np.finfo(dtype).eps)
    fraction = known.u - np.floor(known.u)
    away = rows(np.abs(fraction - known.border) > border_error(rule, unit))
    # v = u + a (r - u): three roundings of numbers below |u| + 1 on either side, then s t.
    bound = np.zeros(away.shape) if a in (0.0, 1.0) else 8 * unit * STEP * (np.abs(cache.u) + 1)
    assert away.mean() > 0.99
    assert np.all(np.abs(rows(x_hat) - rows(want))[away] <= bound[away])
    assert np.array_equal(cache.inside[away], rows(known.inside)[away])
    assert x_hat.dtype == dtype


def magnitudes(known, g, step):
    """Return sums of absolute summands: of d_b0, d_b1, d_b2 and alpha, by (c, k); of d_s; |d_x|."""
    u = np.abs(known.u)
    g = np.abs(g.reshape(u.shape))
    d_v = step * g * known.inside
    d_border = d_v.sum(axis=2, keepdims=True) if known.border.shape[2] == 1 else d_v
    fuse = border_fuse_backward(d_border, known.border_cache.fuse)
    p = np.abs(fuse.p)
    fusion = None if fuse.weights is None else (np.abs(d_border) * np.ones_like(u)).sum(axis=(0, 3))
    powers = [(p * u**j).sum(axis=(0, 3)) for j in range(3)]
    by_border = p * (2.0 * np.abs(known.border_cache.poly.b1[:, :, None]) + 2.0 * u)
    return (
        [*powers, fusion],
        (g * (np.abs(known.levels) + u)).sum() + (by_border * u).sum() / step,
        (g + by_border / step),
    )


@SCHEDULE
@KINDS
@READINGS
def test_gradients_agree_within_the_bound(options, a, dtype):
    """Every sum of n terms: (n + K + 32) roundings of the sum of absolute terms.

    32 covers what happens to one term: D(P) with its two sigmoids 12, the mean 2 (K is counted
    apart), products 8 in either implementation.
    """
    (_, cache, rule), (_, known), g = both(options, a, dtype)
    found, want = border_backward(g, cache, rule), aquant_backward(g, known)
    count = (COLUMNS + TAPS + 32) * float(np.finfo(dtype).eps)
    sizes, of_s, of_x = magnitudes(known, g, rule.step)
    for mine, theirs, size in zip(found.params, want.border, sizes, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == dtype
            assert np.all(np.abs(mine - theirs) <= count * np.maximum(size, 0.0))
    assert abs(found.s - want.s) <= count * SHAPE[1] * of_s
    assert np.all(
        np.abs(found.x - want.x) <= (TAPS + 32) * np.finfo(dtype).eps * of_x.reshape(SHAPE)
    )


@READINGS
def test_without_the_gradient_of_x_the_others_are_the_same(options):
    (_, cache, rule), _, g = both(options, 0.3, np.float64)
    full, short = border_backward(g, cache, rule), border_backward(g, cache, rule, wanted=False)
    assert short.x is None
    assert short.s == full.s
    for mine, theirs in zip(short.params, full.params, strict=True):
        assert mine is theirs is None or np.array_equal(mine, theirs)


def test_what_is_given_is_left_alone():
    """Channel-major in memory, as patches are, so that nothing has to be copied."""
    (_, cache, rule), _, g = both(OPTIONS[0], 0.3, np.float32)
    g = np.ascontiguousarray(g.swapaxes(0, 1)).swapaxes(0, 1)
    before = g.copy()
    first, second = (border_backward(g, cache, rule) for _ in range(2))
    assert np.array_equal(g, before)
    assert np.array_equal(first.x, second.x) and first.s == second.s


def test_an_unfused_border_and_one_tap_are_the_same_kernel():
    """P67: with K = 1 fusion is the identity; both run without weights."""
    x, params, g = case(BorderOptions(fuse="none"), np.float64)
    flat = type(params)(*(None if b is None else b.reshape(-1, 1) for b in params))
    one = BorderRule(STEP, LOW, HIGH, 0.3, flat, BorderOptions())
    many = BorderRule(STEP, LOW, HIGH, 0.3, params, BorderOptions(fuse="none"))
    (y, cache), (y_many, cache_many) = border_forward(x, one), border_forward(x, many)
    assert np.array_equal(y, y_many)
    d_one, d_many = border_backward(g, cache, one), border_backward(g, cache_many, many)
    assert np.array_equal(d_one.params.b2.ravel(), d_many.params.b2.ravel())


@pytest.mark.parametrize(
    "field", [{"bound": "clip"}, {"scale": "inner"}, {"kappa": 1.0}, {"fuse": "fuse_bound"}]
)
def test_what_the_kernel_does_not_model_runs_the_definition(field):
    options = BorderOptions(**field)
    assert not covers(options)
    component = BorderActivations(bits=3, options=options)
    x = case(options, np.float64)[0]
    _, cache = component.forward(x, component.start(x, TAPS))
    assert isinstance(cache, AQuantCache)


def test_pinned_arithmetic_runs_the_definition_and_fast_the_kernel():
    component, x = BorderActivations(bits=3), case(BorderOptions(), np.float64)[0]
    params = component.start(x, TAPS)
    with nx.arithmetic("pinned"):
        want, known = component.forward(x, params)
        grads = component.backward(x, known)
    found, cache = component.forward(x, params)
    assert isinstance(known, AQuantCache)
    assert not isinstance(cache, AQuantCache)
    assert np.array_equal(found, want)  # b = 0: the border is 1/2 exactly, either way
    d_x, d_params = component.backward(x, cache)
    assert np.array_equal(d_x, grads[0])
    assert d_params.keys() == grads[1].keys()
    assert component.parameter_gradients(x, cache).keys() == d_params.keys()


@pytest.mark.parametrize("name", ["b0", "b1", "b2", "fusion"])
def test_a_border_that_is_not_finite_is_refused(name):
    """As the definition refuses it: learning has diverged."""
    component, x = BorderActivations(bits=3), case(BorderOptions(), np.float64)[0]
    params = component.start(x, TAPS)
    params[name] = params[name] + np.nan
    with pytest.raises(ValueError, match=name):
        component.forward(x, params)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite_run_the_definition(bad):
    """NaN takes the zero point, the infinities the ends, as ever."""
    component, x = BorderActivations(bits=3), case(BorderOptions(), np.float64)[0]
    params = component.start(x, TAPS)
    x[0, 0, 0, 0] = bad
    _, cache = component.forward(x, params)
    assert isinstance(cache, AQuantCache)
    want = {np.nan: params["zero_point"], np.inf: 7, -np.inf: 0}[bad]
    assert component.codes(x, params)[0, 0, 0, 0] == want


@SCHEDULE
@pytest.mark.parametrize("mask", ["rounded", "unrounded"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_mask_of_the_clip_where_one_end_cannot_be_passed(sign, mask, a):
    """Nothing below n, as behind a ReLU, or nothing above p."""
    options = BorderOptions(mask=mask)
    x, params, _ = case(options, np.float64)
    x = sign * np.abs(x)
    qparams = make_qparams(np.asarray(STEP), 0, GRID)
    _, cache = border_forward(x, BorderRule(STEP, LOW, HIGH, a, params, options))
    _, known = aquant_forward(x, qparams, params, options, a)
    assert np.array_equal(cache.inside, rows(known.inside))
    assert 0 < np.count_nonzero(cache.inside) < cache.inside.size


@pytest.mark.parametrize(
    ("degree", "exponent", "held"), [(1, 62, True), (1, 64, False), (2, 30, True), (2, 33, False)]
)
def test_polynomials_whose_square_might_overflow_run_the_definition(degree, exponent, held):
    """The kernel holds while (2 P)^2 <= 2^128 in float32, with |P| about u or u^2."""
    x, b = np.full((1, 1, 2), 2.0**exponent * STEP_EXACT, np.float32), np.ones((1, 1), np.float32)
    border = BorderParams(b, b, b if degree == 2 else None, b)
    rule = BorderRule(STEP_EXACT, LOW, HIGH, 1.0, border, BorderOptions(degree=degree))
    assert (border_forward(x, rule) is not None) == held


def test_coefficients_whose_squares_underflow_are_not_taken_for_0():
    """2^-80 squared is 0 in float32; with u = 2^80, P is 2^80."""
    x, b = np.full((1, 1, 2), 2.0**80 * STEP_EXACT, np.float32), np.zeros((1, 1), np.float32)
    border = BorderParams(b, b, b + np.float32(2.0**-80), b + 1)
    rule = BorderRule(STEP_EXACT, LOW, HIGH, 1.0, border, BorderOptions())
    assert border_forward(x, rule) is None


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_codes_are_those_of_the_forward(mode):
    component = BorderActivations(bits=3)
    x, border, _ = case(BorderOptions(), np.float64)
    params = {**component.start(x, TAPS), **border._asdict()}
    with nx.arithmetic(mode):
        codes, x_hat = component.codes(x, params), component.forward(x, params)[0]
    assert np.array_equal(x_hat, (codes - params["zero_point"]) * params["s_x"])
    assert len(np.unique(codes)) == 8


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_beyond_the_saturation_on_either_side_nothing_reaches_the_border(sign):
    """There D(P) is 0, though 1 - tanh(P / 2)^2 is not yet in float64; elsewhere it is not."""
    options = BorderOptions()
    x, params, g = case(options, np.float64)
    b0 = np.zeros_like(params.b0)
    b0[1, 2] = sign * 1.001 * options.saturation  # one tap: the mean of all stays inside 0 and 1
    flat = params._replace(b0=b0, b1=np.zeros_like(b0))
    flat = flat if flat.b2 is None else flat._replace(b2=np.zeros_like(b0))
    _, cache = border_forward(x, rule := BorderRule(STEP, LOW, HIGH, 0.3, flat, options))
    found = border_backward(g, cache, rule).params.b0
    assert np.array_equal(found == 0.0, b0 != 0.0)


def test_numpys_buffer_is_left_as_it_was():
    before = np.setbufsize(4096)
    try:
        with pytest.raises(AttributeError):
            border_forward(np.ones((1, 1, 1)), None)
        assert np.getbufsize() == 4096
        (_, cache, rule), _, g = both(OPTIONS[0], 0.3, np.float32)
        border_backward(g, cache, rule)
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)


def test_parameters_changed_in_place_are_read_again():
    """Adam changes them so; what was made ready for the old ones is not used."""
    component, (x, border, _) = BorderActivations(bits=3), case(BorderOptions(), np.float64)
    params = {**component.start(x, TAPS), **border._asdict()}
    component.forward(x, params)
    params["b1"] += 0.5
    with nx.arithmetic("pinned"):
        want = component.forward(x, params)[0]
    assert np.array_equal(component.forward(x, params)[0], want)
