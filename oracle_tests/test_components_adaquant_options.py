"""AdaQuant's options: a bias that is fake-quantized, steps and zero points in place of ranges."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import dense, images, residual, task_of
from refquant.calibrate.ranges import MinMax
from refquant.components import FreeBias, LsqPlusWeights, TrainedWeights
from refquant.components.output_transform import rounded_bias
from refquant.methods.adaquant import ADAQUANT, ADAQUANT_SCALE
from refquant.methods.nearest import NEAREST
from refquant.network import forward
from refquant.pipeline import quantize
from refquant.reconstruct.model import Bits, build_model
from refquant.reconstruct.unit import gradients, learnt_keys

ROUNDED = replace(ADAQUANT, output=FreeBias(fake_quant=True))
NARROW = {"weight_bits": 2, "act_bits": 3}


def test_a_bias_is_rounded_in_its_own_range():
    """By hand, 2 bits of -1..2: step 1, zero point 1; a bias without negative entries holds 0."""
    assert rounded_bias(np.array([-1.0, 0.25, 2.0, 0.75]), 2).tolist() == [-1.0, 0.0, 2.0, 1.0]
    assert rounded_bias(np.array([3.0, 1.25, 0.25]), 2).tolist() == [3.0, 1.0, 0.0]
    assert rounded_bias(np.zeros(2), 2).tolist() == [0.0, 0.0]
    b = np.random.default_rng(0).normal(size=9)
    np.testing.assert_array_equal(rounded_bias(b, 32), rounded_bias(b, 16))


@pytest.mark.parametrize("placement", ["input", "output"])
def test_its_bits_are_those_of_weight_and_input(placement):
    """methods.md 8, b_w + b_a: 5 in the middle, 16 at both ends; pooling passes the input on."""
    model = build_model(
        residual(), images(residual()), replace(ROUNDED, placement=placement), Bits(2, 3)
    )
    assert model.bias_bits == {"stem": 16, "dw": 5, "point": 5, "fc": 16}
    plain = build_model(residual(), images(residual()), ADAQUANT, Bits(2, 3))
    assert plain.bias_bits == {}


def test_networks_add_the_rounded_bias():
    """In the result as many levels as bits allow, in what is deployed too; latent ones in none."""
    network, x = dense(sizes=(6, 40, 3)), images(dense(sizes=(6, 40, 3)))
    widths = {"weight_bits": 2, "act_bits": 2, "first_last_bits": None}
    for setting in (ROUNDED, replace(ROUNDED, phases=())):
        result = quantize(network, x, setting, steps=5, **widths)
        bias = result.prepared.params[("fc1", "bias")]
        step = (bias.max() - bias.min()) / 15  # 0 lies inside
        levels = bias / step
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
        assert 4 < len(np.unique(bias)) <= 16
        np.testing.assert_array_equal(result.plan.layers["fc1"].offset, bias)
    np.testing.assert_array_equal(bias, rounded_bias(network.params[("fc1", "bias")], 4))


def test_its_gradient_passes_straight_through():
    """dL/db' is the sum of the output's cotangents where the network adds the rounded bias."""
    network = residual()
    setting = replace(ROUNDED, phases=(replace(ROUNDED.phases[0], unit="block", sampling="full"),))
    task, own = task_of(network, images(network), setting, unit=1, bits=Bits(2, 3))
    own = {k: v + 0.05 if k[1] == "bias" else v for k, v in own.items()}
    found = gradients(task, own, 1)
    held = replace(task, model=replace(task.model, bias_bits={}))
    shown = {k: rounded_bias(v, 5) if k[1] == "bias" else v for k, v in own.items()}
    assert any(np.any(shown[key] != own[key]) for key in own)
    same = gradients(held, shown, 1)
    assert found.loss == same.loss and found.grads.keys() == same.grads.keys()
    for key, value in same.grads.items():
        np.testing.assert_array_equal(found.grads[key], value)


def test_a_bias_of_real_products_has_no_bits():
    """Refused when the setting is made, with the fix."""
    for side in ("weights", "activations"):
        with pytest.raises(ValueError, match=r"whose sum the bias has\. Use FreeBias\(\)"):
            replace(NEAREST, output=FreeBias(fake_quant=True), **{side: None})


def test_steps_and_zero_points_start_where_ranges_do():
    """The same codes, steps and zero points from the same smallest and largest values."""
    network, x = residual(), images(residual())
    one, two = (
        quantize(network, x, replace(setting, phases=()), **NARROW)
        for setting in (ADAQUANT, ADAQUANT_SCALE)
    )
    for name, layer in one.layers.items():
        other = two.layers[name]
        np.testing.assert_array_equal(layer.codes, other.codes)
        np.testing.assert_array_equal(layer.zero_point, other.zero_point)
        np.testing.assert_allclose(layer.s_w, other.s_w, rtol=1e-15)
    np.testing.assert_allclose(one.network(x), two.network(x), rtol=1e-12)


def test_a_zero_that_is_not_learnt_is_that_of_trained_weights():
    """The neutral value of z is the calibrated zero point: values and gradients, bit for bit."""
    rng = np.random.default_rng(2)
    w, d = rng.normal(0.2, 1.0, (3, 5)), rng.normal(size=(3, 5))
    learnt = LsqPlusWeights(bits=3, calibration=MinMax())
    fixed = TrainedWeights(grid="affine", bits=3, calibration=MinMax())
    p, q = learnt.start(w), fixed.start(w)
    p["v_w"] = q["v_w"] = rng.normal(0.0, 0.5, w.shape)
    (y, cache), (z, other) = learnt.forward(w, p), fixed.forward(w, q)
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(learnt.codes(w, p), fixed.codes(w, q))
    np.testing.assert_array_equal(learnt.zero_point(p), fixed.zero_point(q))
    grads, same = learnt.backward(d, cache), fixed.backward(d, other)
    for name, value in same.items():
        np.testing.assert_array_equal(grads[name], value)
    low, high = -q["zero_point"], 7 - q["zero_point"]
    u = np.rint((w + p["v_w"]) / p["s_w"])
    out = (u < low) | (u > high)
    assert out.any()
    by_hand = (-p["s_w"] * d * out).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(grads["z_w"], by_hand, rtol=1e-12)


def test_the_zero_point_of_a_weight_stays_a_code():
    """methods.md 2.1: kept in 0..2^b - 1, whatever the setting says; as that of an input."""
    task, own = task_of(residual(), images(residual()), ADAQUANT_SCALE, bits=Bits(3, 4, None))
    bounds = {key[1]: how.project for key, how in learnt_keys(task, own).items()}
    assert bounds["z_w"] == (0.0, 7.0) and bounds["z_x"] == (0.0, 15.0)
    assert bounds["v_w"] is None


def test_the_component_is_affine_and_rounds_to_even():
    """What its gradient does not hold for is refused."""
    for fields in ({"grid": "signed"}, {"rounding": "half_up"}, {"mask": "unrounded"}):
        with pytest.raises(ValueError, match=r"LsqPlusWeights\(\)"):
            LsqPlusWeights(**fields)


def test_ranges_in_steps_are_learnt():
    """Every parameter of the setting moves, and the loss of every layer falls."""
    network = dense(sizes=(6, 8, 3))
    x = np.abs(images(network, 64))
    result = quantize(network, x, ADAQUANT_SCALE, steps=200, first_last_bits=None, **NARROW)
    assert all(record.hard_end < record.hard_start for record in result.history)
    trace = forward(result.prepared, x[:2]).values
    assert np.isfinite(trace["fc2"]).all()
