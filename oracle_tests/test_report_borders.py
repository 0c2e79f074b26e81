"""What borders cost, and what storing them changes: counts by hand, codes compared one by one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import changed, images, residual
from refquant._bundle import read_bundle
from refquant.components import BorderActivations
from refquant.deploy import run_fake, run_integer
from refquant.methods import METHODS, Learn
from refquant.methods.aquant import AQUANT
from refquant.methods.finish import FitBorder
from refquant.network import forward
from refquant.pipeline import quantize

FAST = Learn(lr=0.05, keep_travel=False)  # borders that go somewhere in a few steps
LEARN = tuple((n, FAST if n in ("b0", "b1", "b2") else h) for n, h in AQUANT.phases[0].learn)
MOVED = changed(AQUANT, learn=LEARN, batch=8)
LAYERS = ("stem", "dw", "point", "fc")
# c_in, k_h k_w, c_out, groups, h_o w_o of the residual network
SHAPES = {"stem": (2, 9, 4, 1, 16), "dw": (4, 9, 4, 4, 16), "point": (4, 1, 4, 1, 16)}
SHAPES["fc"] = (4, 1, 3, 1, 1)


@cache
def result():
    """AQuant's quantizers with borders of all sizes: in closed form, beside fusion weights of 1."""
    setting = replace(AQUANT, phases=(), finish=(FitBorder(),))
    return quantize(residual(), images(residual(), 300), setting, weight_bits=3, act_bits=4)


def test_counts_by_hand():
    """P16 and methods.md 13.6, over a network with a depthwise and a fully connected layer."""
    report = result().border_report(images(residual()))
    assert [layer.layer for layer in report.layers] == list(LAYERS)
    for found in report.layers:
        c_in, k, c_out, groups, windows = SHAPES[found.layer]
        fusion = k > 1  # a coefficient and a multiplication more
        assert found.counted == 3 * c_in * k
        assert found.parameters == (3 + fusion) * c_in * k
        assert found.weights == c_out * c_in // groups * k
        assert found.operations == (2 + fusion) * c_in * k * windows
        assert found.products == found.weights * windows
    every = sum(value.size for value in residual().params.values())
    assert report.share == sum(layer.counted for layer in report.layers) / every
    assert report.growth == ((16, report.share * 16 / 3), (8, report.share * 8 / 3))
    kept = [
        v.size
        for (_, n), v in result().prepared.params.items()
        if n in ("b0", "b1", "b2", "fusion")
    ]
    assert report.parameters == sum(kept)
    assert report.operations_share == sum(x.operations for x in report.layers) / sum(
        x.products for x in report.layers
    )


def by_hand(values, bits):
    """Coefficients as they come back from storage: multiples of max / (2^(b-1) - 1)."""
    if not values.any():
        return values
    step = np.abs(values).max() / (2 ** (bits - 1) - 1)
    return step * np.rint(values / step)


def test_changed_codes_are_those_of_rounded_coefficients():
    """Every layer is given the inputs that the unstored network gives it."""
    x = images(residual(), 200, seed=9)
    report = result().border_report(x, bits=(16, 3))
    prepared, weights = result().prepared, {}
    for name, layer in result().layers.items():
        shape = (-1, *[1] * (layer.codes.ndim - 1))
        weights[(f"{name}.product", "w")] = (layer.codes - layer.zero_point) * layer.s_w.reshape(
            shape
        )
    values = forward(prepared, x, params=weights).values
    differ = total = 0
    for found in report.layers:
        node, edge = f"{found.layer}.patches.q", f"{found.layer}.patches"
        params = dict(prepared.params_of(node))
        coarse = {
            n: by_hand(v, 3) if n in ("b0", "b1", "b2", "fusion") else v for n, v in params.items()
        }
        component = prepared.node(node).attr("component")
        off = component.codes(values[edge], params) != component.codes(values[edge], coarse)
        assert dict(found.changed)[3] == off.mean() > 0
        differ, total = differ + off.sum(), total + off.size
    assert dict(report.changed)[3] == differ / total
    assert 0 <= dict(report.changed)[16] < dict(report.changed)[3] / 50


@pytest.mark.parametrize("bits", [16, 8, 3])
def test_a_stored_border_is_deployed(bits):
    """with_border_bits: both networks use the stored numbers; the result it came from does not."""
    x = images(residual(), 30, seed=9)
    stored = result().with_border_bits(bits)
    assert result().prepared.node("dw.patches.q").attr("component").border_bits is None
    for name in LAYERS:
        for part, value in result().layers[name].border.items():
            np.testing.assert_allclose(
                stored.layers[name].border[part], by_hand(value, bits), rtol=1e-14, atol=1e-300
            )
            assert result().layers[name].border[part].tobytes() == value.tobytes()
    fake, integer = run_fake(stored.plan, x), run_integer(stored.plan, x)
    assert all(np.array_equal(fake.codes[edge], integer.codes[edge]) for edge in fake.codes)
    assert stored.network(x).tobytes() == stored.integer(x).tobytes()
    same = stored.network(x).tobytes() == result().network(x).tobytes()
    assert same == (bits == 16)
    back = stored.with_border_bits(None)
    assert back.network(x).tobytes() == result().network(x).tobytes()


def test_a_border_learnt_in_eight_bits_stays_there():
    """AQ 5.3: the coefficients in use lie on the grid while they are learnt, and afterwards."""
    activations = replace(MOVED.activations, border_bits=8)
    setting = replace(MOVED, activations=activations)
    network, x = residual(), images(residual())
    found = quantize(network, x, setting, weight_bits=3, act_bits=4, steps=6)
    for name in LAYERS:
        for part in ("b0", "b1", "b2"):
            value = found.layers[name].border[part]
            kept = found.prepared.params[(f"{name}.patches.q", part)]
            np.testing.assert_allclose(value, by_hand(kept, 8), rtol=1e-14)
            assert np.abs(kept).max() > 0.01
    real = quantize(network, x, MOVED, weight_bits=3, act_bits=4, steps=6)
    assert found.history != real.history
    assert dict(found.border_report(x).changed)[8] == 0.0
    assert found.network(x).tobytes() == found.integer(x).tobytes()


def test_saved_codes_give_the_border_back(tmp_path):
    """Integers and steps in the bundle, beside the numbers they come from."""
    stored = result().with_border_bits(8)
    _, arrays = read_bundle(stored.save(tmp_path / "stored"))
    for name in LAYERS:
        for part, value in stored.layers[name].border.items():
            codes = arrays[f"{name}.patches.q/{part}_codes"]
            assert codes.dtype == np.int64 and np.abs(codes).max() == 127 * value.any()
            product = arrays[f"{name}.patches.q/{part}_step"] * codes
            np.testing.assert_array_equal(product, value)
    _, plain = read_bundle(result().save(tmp_path / "plain"))
    assert not any(name.endswith("_codes") for name in plain)


def test_a_linear_border_counts_two():
    """13.6: without b2 and without fusion, two coefficients a position."""
    options = replace(AQUANT.activations.options, degree=1, fuse="none")
    setting = replace(AQUANT, activations=replace(AQUANT.activations, options=options), phases=())
    report = quantize(residual(), images(residual()), setting).border_report(images(residual()))
    for found in report.layers:
        c_in, k, *_, windows = SHAPES[found.layer]
        assert found.counted == found.parameters == 2 * c_in * k
        assert found.operations == c_in * k * windows


def test_real_weights_and_no_border():
    """A border is reported where weights are real; without one there is nothing to store."""
    x = images(residual())
    real = quantize(residual(), x, replace(METHODS["aquant-w32"], phases=()))
    assert real.border_report(x).parameters == result().border_report(x).parameters
    assert real.with_border_bits(8).network(x).shape == (24, 3)
    nearest = quantize(residual(), x, "nearest")
    assert nearest.border_report(x) is None and nearest.layers["dw"].border is None
    with pytest.raises(ValueError, match=r"'nearest' without a border.*Use 'aquant'"):
        nearest.with_border_bits(8)
    for bits in (1, 17):
        with pytest.raises(ValueError, match="border_bits"):
            BorderActivations(border_bits=bits)
