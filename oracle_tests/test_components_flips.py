"""A-rounding and SQuant as components, and as methods that learn nothing."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import images, residual
from refquant.calibrate.ranges import MinMax
from refquant.components import ARoundingActivations, NearestActivations, SQuantWeights
from refquant.methods.a_rounding import A_ROUNDING
from refquant.methods.nearest import NEAREST
from refquant.methods.squant import SQUANT
from refquant.pipeline import quantize
from refquant.quantizers.a_rounding import a_rounding


def test_a_rounding_takes_one_column_of_patches_at_a_time():
    """Codes of the component are those of the function on (channels, taps) columns."""
    x = np.random.default_rng(0).uniform(0.0, 3.0, (2, 8, 3, 2))
    part = ARoundingActivations(grid="unsigned", bits=3, calibration=MinMax())
    params = part.start(x, taps=4)
    codes = part.codes(x, params)
    for n in range(2):
        for row in range(3):
            for column in range(2):
                u = x[n, :, row, column].reshape(2, 4) / params["s_x"]
                expected = a_rounding(u, 0, 7).q.reshape(8)
                np.testing.assert_array_equal(codes[n, :, row, column], expected)
    x_hat, _ = part.forward(x, params)
    np.testing.assert_array_equal(x_hat, params["s_x"] * codes)


def test_a_rounding_cancels_the_errors_of_a_column():
    """P38: the sum of a column is off by at most half a step; nearest may be off by more."""
    x = np.full((1, 8, 1, 1), 0.4)
    part = ARoundingActivations(grid="unsigned", bits=3, calibration=MinMax())
    params = {**part.start(x, taps=4), "s_x": np.asarray(1.0)}
    assert abs(part.forward(x, params)[0].sum() - x.sum()) <= 0.5
    plain = NearestActivations(grid="unsigned", bits=3)
    assert plain.forward(x, params)[0].sum() == 0.0


def test_a_rounding_refuses_to_be_learnt_through():
    part = ARoundingActivations()
    with pytest.raises(ValueError, match="without phases"):
        part.backward(np.ones(3), None)
    assert part.learnable == ()


def test_squant_cancels_the_errors_of_every_filter():
    """P37, P38: codes are floor or ceiling; filters sum to within half a step, kernels to one."""
    w = np.random.default_rng(1).normal(size=(6, 4, 3, 3))
    part = SQuantWeights(bits=4)
    params = part.start(w)
    error = part.codes(w, params) - w / params["s_w"]
    inside = np.abs(error) < 1.0
    assert inside.mean() > 0.99  # min-max clips nothing but the rounding of the zero point
    kernels, filters = error.sum(axis=(2, 3)), error.sum(axis=(1, 2, 3))
    assert np.abs(kernels).max() <= 1.0 + 1e-9 and np.abs(filters).max() <= 0.5 + 1e-9
    plain = replace(part, kernel=False, channel=False)
    assert np.abs(plain.codes(w, params) - w / params["s_w"]).max() <= 0.5 + 1e-9
    assert np.any(plain.codes(w, params) != part.codes(w, params))


def test_both_run_as_methods():
    """Real weights leave no integer network; SQuant has one."""
    network, x = residual(), images(residual())
    result = quantize(network, x, A_ROUNDING, act_bits=2)
    assert np.isfinite(result.network(x)).all() and result.history == ()
    nearest = quantize(network, x, replace(A_ROUNDING, activations=NEAREST.activations), act_bits=2)
    assert np.any(result.network(x) != nearest.network(x))
    squant = quantize(network, x, SQUANT, weight_bits=3, act_bits=4)
    np.testing.assert_array_equal(squant.integer(x), squant.network(x))
