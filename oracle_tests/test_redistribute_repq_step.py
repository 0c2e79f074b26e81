"""RepQ-ViT's scale reparameterization as a step: one step keeps the codes of channels (P62)."""

from dataclasses import replace

import numpy as np
import pytest

import refquant as rq
from oracle_tests.network_samples import POINT, SAME, conv, plain
from oracle_tests.redistribute_cases import check_unchanged, sample
from refquant.methods.notes import report
from refquant.methods.prepare_redistribution import OutlierSuppressionPlus
from refquant.methods.prepare_repq import ScaleReparameterization
from refquant.network import Network, evaluate

STEP, OS_PLUS = ScaleReparameterization(act_bits=4), OutlierSuppressionPlus()


def uneven(reader=POINT):
    """conv a -> conv b; channels of `a` of other sizes, signs and middles, the last one dead."""
    rng = np.random.default_rng(5)
    params = {
        ("a", "w"): np.diag([1.0, 0.25, 30.0, 0.0])[:, :, None, None],
        ("a", "bias"): np.array([0.0, 2.0, -7.0, 0.0]),
        ("b", "w"): rng.standard_normal((3, 4, *reader.kernel)),
    }
    nodes = (conv("a", "input", POINT), conv("b", "a", reader))
    return Network("uneven", (4, 3, 3), nodes, params), rng.uniform(-1, 1, (16, 4, 3, 3))


def affine(x, step, zero):
    """4-bit codes of x, (n, c, h, w); a step and a zero point for each channel, or for all."""
    step, zero = (np.reshape(v, (1, -1, 1, 1)) for v in (step, zero))
    return np.clip(np.rint(x / step) + zero, 0, 15)


def per_channel(values):
    """Steps and zero points by minimum and maximum; the dead channel's step is the others' mean."""
    low = np.minimum(values.min(axis=(0, 2, 3)), 0.0)
    steps = (np.maximum(values.max(axis=(0, 2, 3)), 0.0) - low) / 15
    steps[3] = steps[:3].mean()
    return steps, -np.rint(low / steps)


def test_one_step_gives_the_codes_that_the_channels_had():
    """P62, from minima and maxima with plain NumPy; the function stays and a bias appears."""
    network, x = uneven()
    values = evaluate(network, x, ["a"])["a"]
    after = STEP.apply(network, x)
    moved = evaluate(after, x, ["a"])["a"]
    steps, zeros = per_channel(values)
    assert len(set(zeros)) > 2 and zeros[3] == 0
    found = affine(moved, steps.mean(), np.rint(zeros.mean()))
    np.testing.assert_array_equal(found, affine(values, steps, zeros))
    np.testing.assert_allclose(after(x), network(x), rtol=1e-12, atol=1e-11)
    assert np.any(after.params[("b", "bias")] != 0.0)


def test_where_a_reader_pads_the_scale_alone_moves():
    """Zero stays zero: padding is not part of the edge."""
    network, x = uneven(SAME)
    (junction,) = STEP.explain(network)
    assert not junction.shiftable
    after = STEP.apply(network, x)
    values, moved = (evaluate(net, x, ["a"])["a"] for net in (network, after))
    steps, _ = per_channel(values)
    scale = (steps / steps.mean()).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(moved, values / scale, rtol=1e-12)
    assert ("b", "bias") not in after.params
    np.testing.assert_allclose(after(x), network(x), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shifts_leave_the_float_function_unchanged(dtype, seed):
    """P60 for this step: two readers, norms, depthwise layers."""
    network, x = sample(dtype, seed, bias=seed != 1, reach=-1)
    check_unchanged(network, STEP.apply(network, x), x)


def test_an_edge_that_is_always_zero_is_left_alone():
    """No channel has a step; nothing is scaled and nothing shifted."""
    network, x = uneven()
    params = {**network.params, ("a", "w"): np.zeros((4, 4, 1, 1)), ("a", "bias"): np.zeros(4)}
    dead = Network("dead", network.input_shape, network.nodes, params)
    after = STEP.apply(dead, x)
    np.testing.assert_array_equal(after.params[("b", "w")], dead.params[("b", "w")])


def test_without_the_pattern_nothing_happens_and_the_report_says_so():
    """One layer has no junction."""
    nodes = (plain("fc", "linear", "input"),)
    network = Network("one", (2,), nodes, {("fc", "w"): np.eye(2)})
    assert STEP.apply(network, np.ones((3, 2))) is network
    assert "its pattern is absent from 'one'" in report(STEP, network)


@pytest.mark.parametrize(("addition", "kind"), [("repq", STEP), ("os-plus", OS_PLUS)])
@pytest.mark.parametrize(
    ("ends", "inner", "last"), [(None, 3, 3), (8, 8, 8), (6, 6, 6), (None, 5, 5)]
)
def test_a_run_searches_with_its_own_bits(addition, kind, ends, inner, last):
    """Two layers: the last one reads the only edge, at the bits of the ends if they have some."""
    network, x = uneven()
    bits = {"weight_bits": 3, "act_bits": 3} if ends else {"weight_bits": inner, "act_bits": inner}
    found = rq.quantize(network, x, f"nearest+{addition}", first_last_bits=ends, **bits)
    own = {name: last for name in ("weight_bits", "act_bits") if hasattr(kind, name)}
    wanted = replace(kind, **own).apply(network, x)
    for name in ("a", "b"):
        weight = found.reference.params[(f"{name}.product", "w")]
        np.testing.assert_array_equal(weight, wanted.params[(name, "w")])
    assert np.any(wanted.params[("b", "w")] != network.params[("b", "w")])
    assert found.setting.prepare[-1] == type(kind)()  # as it is hashed, whatever the run's bits


def test_the_bits_of_the_ends_are_for_the_last_layer_alone():
    """Of three layers the inner edge has the inner bits."""
    network, x = uneven()
    tail = {("c", "w"): np.random.default_rng(6).standard_normal((2, 3, 1, 1))}
    nodes = (*network.nodes, conv("c", "b", POINT))
    deep = Network("deep", network.input_shape, nodes, {**network.params, **tail})
    ends = ScaleReparameterization(act_bits=3, last_bits=6)
    first, second = ends.explain(deep)
    shifts = {bits: ScaleReparameterization(act_bits=bits).apply(deep, x).params for bits in (3, 6)}
    found = ends.apply(deep, x).params
    key = (first.readers[0], "bias")  # of b: the inner edge's shift and, in the rows, c's scale
    assert not np.array_equal(shifts[3][key], shifts[6][key])
    values = evaluate(deep, x, ["a"])["a"]
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    inner = ScaleReparameterization(act_bits=3).choose(np.minimum(low, 0), np.maximum(high, 0))
    moved = evaluate(ends.apply(deep, x), x, ["a"])["a"]
    scale, shift = (part.reshape(1, 4, 1, 1) for part in inner)
    np.testing.assert_allclose(moved, (values - shift) / scale, atol=1e-12)
    last = (second.readers[0], "bias")
    np.testing.assert_array_equal(found[last], shifts[6][last])
    assert not np.array_equal(found[last], shifts[3][last])


def test_a_search_beside_real_weights_hardly_rounds_them():
    """16 bits, the most there are, whatever bits were asked for."""
    network, x = uneven()
    found = rq.quantize(network, x, "nearest-w32+os-plus", weight_bits=2, act_bits=3)
    wanted = replace(OS_PLUS, weight_bits=16, act_bits=3).apply(network, x)
    other = replace(OS_PLUS, weight_bits=2, act_bits=3).apply(network, x)
    weight = found.reference.params[("b.product", "w")]
    np.testing.assert_array_equal(weight, wanted.params[("b", "w")])
    assert not np.array_equal(weight, other.params[("b", "w")])


def test_bits_are_checked_and_the_catalogue_knows_it():
    with pytest.raises(ValueError, match="act_bits"):
        ScaleReparameterization(act_bits=1)
    assert rq.METHODS["nearest+repq"].prepare[-1] == ScaleReparameterization()
