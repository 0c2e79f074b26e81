"""LSQ+ and AdaQuant as components and settings: neutral parents, bounds, gradients, deployment."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import correlated, dense, images, residual, run_of, task_of
from refquant.calibrate.calibrate import calibrate
from refquant.calibrate.lsq_init import LsqPlusSearch, lsq_plus_activations
from refquant.components import (
    AdaQuantActivations,
    AdaQuantWeights,
    LsqPlusActivations,
    NearestActivations,
)
from refquant.deploy import run_fake
from refquant.methods import METHODS, resolve
from refquant.methods.adaquant import ADAQUANT, ADAQUANT_SEQUENTIAL
from refquant.methods.lsq import LSQ
from refquant.methods.lsq_plus import LSQ_PLUS, LSQ_PLUS_OFFSET
from refquant.pipeline import quantize
from refquant.quantizers.grid import Grid
from refquant.reconstruct.unit import gradients, learnt_keys


def bits(result):
    return [(v.codes.tobytes(), v.s_w.tobytes()) for v in result.layers.values()], result.history


def small(method, network=None, **options):
    network = residual() if network is None else network
    return quantize(network, images(network), method, weight_bits=3, act_bits=4, **options)


def test_a_zero_that_is_not_learnt_is_lsq_bit_for_bit():
    """The neutral value of z is the calibrated zero point."""
    still = replace(LSQ_PLUS, phases=LSQ.phases)
    assert bits(small(still, steps=3)) == bits(small(LSQ, steps=3))


def test_both_forms_start_at_the_same_codes():
    """o = -s z: the same grid; in float64, for values that are no ties."""
    x = np.random.default_rng(0).normal(size=(40, 5))
    integer, real = LsqPlusActivations(bits=4), LsqPlusActivations(bits=4, form="offset")
    nearest = NearestActivations(bits=4)
    p, q, n = integer.start(x), real.start(x), nearest.start(x)
    np.testing.assert_array_equal(integer.codes(x, p), nearest.codes(x, n))
    np.testing.assert_array_equal(real.codes(x, q), nearest.codes(x, n))
    assert p["z_x"] == n["zero_point"] == integer.zero_point(p) and real.zero_point(q) == 0
    np.testing.assert_allclose(real.offset(q), -n["s_x"] * n["zero_point"])
    for component, params in ((integer, p), (real, q)):
        x_hat, _ = component.forward(x, params)
        levels = component.codes(x, params) - component.zero_point(params)
        np.testing.assert_array_equal(x_hat, params["s_x"] * levels + component.offset(params))


def test_lsq_plus_may_start_by_its_own_search():
    """methods.md 3.4: step and real offset as found; z is -o / s, within the codes."""
    x = np.random.default_rng(5).normal(1.5, 1.0, (40, 6))
    rule, grid = LsqPlusSearch(p=2.0, steps=60), Grid("affine", 4)
    step, offset, _ = lsq_plus_activations(x[:30], grid, 2.0, 60)
    real = LsqPlusActivations(form="offset", calibration=rule, bits=4, samples=30).start(x)
    assert (real["s_x"], real["o_x"]) == (step, offset) and offset % step != 0.0
    for moved in (0.0, 9.0):  # all above 0: z takes the end
        step, offset, _ = lsq_plus_activations(x + moved, grid, 2.0, 60)
        own = LsqPlusActivations(calibration=rule, bits=4).start(x + moved)
        assert (own["s_x"], own["z_x"]) == (step, min(max(-offset / step, 0.0), 15.0))
        assert calibrate(x + moved, rule, grid).zero_point == np.rint(own["z_x"])
    setting = replace(
        LSQ_PLUS_OFFSET, activations=LsqPlusActivations(form="offset", calibration=rule)
    )
    result = small(setting, steps=2)
    y = images(residual())
    assert result.network(y).tobytes() == result.integer(y).tobytes()


def test_a_learnt_zero_point_stays_a_code():
    """methods.md 2.1: z is clipped to 0..2^b - 1 after every step, whatever the setting says."""
    fast = replace(LSQ_PLUS.phases[0], learn=(("z_x", replace(LSQ.phases[0].learn[1][1], lr=9.0)),))
    task, own = task_of(residual(), images(residual()), replace(LSQ_PLUS, phases=(fast,)))
    bounds = {key: learn.project for key, learn in learnt_keys(task, own).items()}
    assert bounds and set(bounds.values()) == {(0.0, 15.0)}  # 4 bits
    _, state, _ = run_of(residual(), replace(LSQ_PLUS, phases=(fast,)), steps=6)
    z = np.array([value for key, value in state.items() if key[1] == "z_x"])
    assert z.min() >= 0.0 and z.max() <= 15.0 and ((z == 0.0) | (z == 15.0)).any()


def test_gradients_of_the_zero_reach_the_loop():
    """Where values are clipped, y moves with the zero: -s a step of z, 1 a unit of o."""
    for setting, name in ((LSQ_PLUS, "z_x"), (LSQ_PLUS_OFFSET, "o_x")):
        task, own = task_of(residual(), images(residual()), setting)
        grads = gradients(task, own, 1).grads
        assert any(key[1] == name and np.any(value) for key, value in grads.items())


def test_the_real_offset_joins_the_bias():
    """What is deployed equals real products of s q + o, up to a few roundings."""
    network, x = dense(), images(dense())
    result = quantize(network, x, LSQ_PLUS_OFFSET, weight_bits=4, act_bits=4, steps=5)
    offsets = [coder.offset for coder in result.plan.coders.values()]
    assert any(offsets)
    trace = run_fake(result.plan, x)
    for layer, plan in result.plan.layers.items():
        coder = result.plan.coders[plan.source]
        real = coder.step * trace.codes[plan.source].astype(float) + coder.offset
        w = plan.step[:, None] * plan.codes.astype(float)
        y = real @ w.T + result.prepared.params[(layer, "bias")]
        value = plan.scale * (trace.codes[plan.source].astype(float) @ plan.codes.T) + plan.offset
        np.testing.assert_allclose(value, y, rtol=1e-12, atol=1e-12)


def test_the_real_offset_needs_quantizers_at_the_input():
    """Zero is no level of it, so padding could not be folded: refused when the setting is made."""
    with pytest.raises(ValueError, match="Use placement='input'"):
        replace(LSQ_PLUS_OFFSET, placement="output")
    for fields in ({"form": "real"}, {"grid": "signed"}, {"mask": "unrounded"}):
        with pytest.raises(ValueError, match=r"LsqPlusActivations\(\)"):
            LsqPlusActivations(**fields)


def test_a_name_that_ends_in_a_plus_composes():
    """The longest method in front of a plus is the base."""
    assert resolve("lsq+") is METHODS["lsq+"]
    assert resolve("lsq++ols").parents == ("lsq+", "ols")
    assert resolve("lsq+ols").parents == ("lsq", "ols")
    assert resolve("lsq+offset+bias-correction").parents == ("lsq+offset", "bias-correction")
    for name in ("lsq+++ols", "lsq++", "lsq+of", "+ols", "lsq+ols+"):
        with pytest.raises(ValueError, match="resolve"):
            resolve(name)


def test_adaquants_range_holds_all_weights():
    """R and m are those of each channel; 2 bits of -1..2 have the step 1 and the zero point 1."""
    w = np.array([[-1.0, 2.0, 0.4], [0.25, 0.5, 0.75]])
    component = AdaQuantWeights(bits=2)
    params = component.start(w)
    assert component.step(params).tolist() == [1.0, 0.25]
    assert component.zero_point(params).tolist() == [[1], [0]]
    assert component.codes(w, params).tolist() == [[-1, 2, 0], [1, 2, 3]]
    moved = {**params, "v_w": np.array([[0.0, 0.0, 0.2], [0.0, 0.0, -0.2]])}
    assert component.codes(w, moved).tolist() == [[-1, 2, 1], [1, 2, 2]]
    x = AdaQuantActivations(bits=2)
    own = x.start(np.array([-1.0, 2.0]))
    assert x.codes(np.array([-9.0, -0.6, 0.2, 9.0]), own).tolist() == [0, 0, 1, 3]
    assert (float(x.step(own)), int(x.zero_point(own))) == (1.0, 1)


def test_gradients_pass_the_rounding_to_the_perturbation():
    """dL/dV is dL/dw_hat inside the range (straight through); outside it moves the ends."""
    w = np.array([[-1.0, 2.0, 0.4]])
    component = AdaQuantWeights(bits=2)
    params = {**component.start(w), "v_w": np.array([[0.0, 3.0, 0.0]])}
    grads = component.backward(np.array([[1.0, 10.0, 100.0]]), component.forward(w, params)[1])
    assert grads["v_w"].tolist() == [[1.0, 0.0, 100.0]]
    assert set(grads) == set(component.learnable) and grads["m_w"].item() == 10.0


def test_adaquant_lowers_the_loss_and_its_variants_differ_by_the_source():
    """Parallel from float inputs, sequential from those quantized so far."""
    assert replace(ADAQUANT_SEQUENTIAL.phases[0], source="float") == ADAQUANT.phases[0]
    network, x = dense(sizes=(6, 8, 3)), correlated(64, 6, seed=3)
    for setting in (ADAQUANT, ADAQUANT_SEQUENTIAL):
        _, _, records = run_of(network, setting, x=x, steps=200)
        assert all(record.hard_end < record.hard_start for record in records)
    one, two = (bits(small(s, steps=4)) for s in (ADAQUANT, ADAQUANT_SEQUENTIAL))
    assert one != two
