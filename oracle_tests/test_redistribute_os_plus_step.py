"""Outlier Suppression+ as a step: where it shifts, what it searches (P60)."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.network_samples import POINT, SAME, conv, plain
from oracle_tests.redistribute_cases import check_unchanged, sample
from refquant.methods.prepare_redistribution import (
    OutlierSuppressionPlus,
)
from refquant.network import Network, evaluate, replace_params
from refquant.redistribute import ranges
from refquant.redistribute.os_plus import osplus_scale, osplus_thresholds

DTYPES = [np.float64, np.float32]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_osplus_leaves_the_float_function_unchanged(dtype, seed):
    """P60, with shifts into two readers and scales alone elsewhere."""
    network, x = sample(dtype, seed, bias=seed != 1, reach=-1)
    after = OutlierSuppressionPlus(4, 4, smallest=0.1).apply(network, x)
    check_unchanged(network, after, x)
    for key in (("d", "bias"), ("fc", "bias")):
        assert np.any(after.params[key] != network.params.get(key, 0.0))
    assert (("b", "bias") in after.params) == (seed != 1)


def outlier_net(reader=POINT):
    """Return conv a -> conv b on 1x1 images, with one channel far from zero and one wide."""
    rng = np.random.default_rng(2)
    params = {
        ("a", "w"): np.diag([1.0, 1.0, 30.0])[:, :, None, None],
        ("a", "bias"): np.array([0.0, 50.0, 0.0]),
        ("b", "w"): rng.standard_normal((4, 3, *reader.kernel)),
    }
    nodes = (conv("a", "input", POINT), conv("b", "a", reader))
    return Network("outlier", (3, 2, 2), nodes, params), rng.uniform(-1, 1, (16, 3, 2, 2))


def chosen(step, network, values):
    """Scale and shift of the first junction, whose edge has these values."""
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    first = step.explain(network)[0]
    return step.choose(network, first, (low, high), values[: step.samples])


def test_osplus_shifts_to_the_middle_and_shrinks_what_sticks_out():
    """P60: x~ = (x - z) / sc, the scale is that of some threshold; the error falls."""
    network, x = outlier_net()
    step = OutlierSuppressionPlus(samples=16)
    values = evaluate(network, x, ["a"])["a"]
    scale, shift = chosen(step, network, values)
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    np.testing.assert_allclose(shift, (low + high) / 2, rtol=1e-15)
    assert shift[1] > 49.0 and scale[2] > 1.5 and scale[:2].tolist() == [1.0, 1.0]
    after = step.apply(network, x)
    moved = evaluate(after, x, ["a"])["a"]
    wide = shift.reshape(1, 3, 1, 1), scale.reshape(1, 3, 1, 1)
    np.testing.assert_allclose(moved, (values - wide[0]) / wide[1], atol=1e-13)
    np.testing.assert_allclose(after(x), network(x), rtol=1e-12, atol=1e-11)
    bias = after.params[("b", "bias")]
    np.testing.assert_allclose(bias, network.params[("b", "w")][:, :, 0, 0] @ shift, rtol=1e-13)


def test_osplus_chooses_the_threshold_by_the_quantized_output():
    """The same search written out with plain NumPy: absmax rows, one affine range."""
    network, x = outlier_net()
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3, samples=5)
    values = evaluate(network, x, ["a"])["a"]
    scale, shift = chosen(step, network, values)
    low, high = values.min(axis=(0, 2, 3)) - shift, values.max(axis=(0, 2, 3)) - shift
    tokens = values[:5].transpose(0, 2, 3, 1).reshape(-1, 3) - shift
    w = network.params[("b", "w")][:, :, 0, 0]
    losses, scales = [], []
    for t in osplus_thresholds(max(high.max(), -low.min())):
        sc = osplus_scale(low, high, float(t))
        s_w = np.abs(w * sc).max(axis=1, keepdims=True) / 3
        w_q = s_w * np.clip(np.rint(w * sc / s_w), -4, 3)
        v = tokens / sc
        s_x = (v.max() - v.min()) / 7
        zero = -np.rint(v.min() / s_x)
        x_q = s_x * (np.clip(np.rint(v / s_x) + zero, 0, 7) - zero)
        losses.append((((x_q @ w_q.T) - tokens @ w.T) ** 2).sum(axis=1).mean())
        scales.append(sc)
    np.testing.assert_array_equal(scale, scales[int(np.argmin(losses))])
    assert 0 < int(np.argmin(losses)) < len(losses) - 1


def test_osplus_adds_the_losses_of_all_readers():
    """A second reader, of one narrow channel, changes the choice; order does not matter."""
    network, x = outlier_net()
    other = network.params[("b", "w")] * np.array([9.0, 0.01, 0.01])[:, None, None]
    nodes = (*network.nodes, conv("c", "a", POINT), plain("sum", "add", "b", "c"))
    both = replace(network, nodes=nodes, params={**network.params, ("c", "w"): other})
    swapped = replace_params(both, {("b", "w"): other, ("c", "w"): network.params[("b", "w")]})
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3)
    values = evaluate(network, x, ["a"])["a"]
    alone, pair, turned = (chosen(step, net, values)[0] for net in (network, both, swapped))
    np.testing.assert_array_equal(pair, turned)
    assert pair[2] != alone[2]


def test_osplus_does_not_shift_what_a_reader_pads():
    """Scales alone; a ReLU between forbids the shift as well."""
    network, x = outlier_net(SAME)
    step = OutlierSuppressionPlus(power_of_two=True)
    after = step.apply(network, x)
    assert ("b", "bias") not in after.params
    np.testing.assert_array_equal(after(x), network(x))
    scale = network.params[("a", "bias")][1] / after.params[("a", "bias")][1]
    assert scale > 1.0 and np.log2(scale) % 1 == 0


def test_ranges_come_from_all_inputs_and_the_search_from_the_first(monkeypatch):
    """In batches of any size."""
    network, x = outlier_net()
    step = OutlierSuppressionPlus(weight_bits=3, act_bits=3, samples=4)
    whole = step.apply(network, x).params
    monkeypatch.setattr(ranges, "BATCH", 3)
    for inputs in (x, np.concatenate([x[:4], x[4:][::-1]])):
        found = step.apply(network, inputs).params
        assert all(np.array_equal(found[key], value) for key, value in whole.items())
    far = x.copy()
    far[-1, 0] = 1000.0
    weight = network.params[("b", "w")][:, 0, 0, 0]  # b + W z: the shift of the first channel
    moved = step.apply(network, far).params[("b", "bias")] - whole[("b", "bias")]
    np.testing.assert_allclose(moved / weight, 500.0, rtol=0.01)
