"""Sequential MSE: ranges by the output error of each layer, against loops written beside it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.reconstruct_cases import BITS, adaround, dense, images, residual
from oracle_tests.sequential_cases import (
    BOTH,
    MODES,
    SIZES,
    literal,
    ranges,
    seen_of,
    started_of,
    twin,
    with_rule,
)
from refquant import numerics as nx
from refquant.calibrate.mse_search import MseSearch
from refquant.calibrate.ranges import MinMax
from refquant.calibrate.sequential import SequentialMse, sequential_mse
from refquant.components import NearestWeights
from refquant.methods.nearest import NEAREST
from refquant.methods.sequential import FitRange, output_errors
from refquant.network import evaluate
from refquant.pipeline import quantize
from refquant.quantizers.grid import Grid, QParams
from refquant.reconstruct.model import hard_params, weight_of


def roundings(model, state):
    """What the quantizer in front of each layer does."""
    found = {}
    for node in model.network.nodes:
        if node.op == "quantize":
            own = {key[1]: v for key, v in state.items() if key[0] == node.name}
            component = node.attr("component")
            layer = node.name.partition(".")[0]
            found[layer] = lambda v, part=component, own=own: part.forward(v, own)[0]
    return found


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_a_layer_takes_the_first_range_of_the_smallest_output_error(mode, affine):
    """20 candidates of each channel, layers in turn; equal steps and zero points, not near ones."""
    network, (quantized, targets) = dense(sizes=SIZES), MODES[mode]
    x = images(network, 40)
    rule = SequentialMse(quantize=quantized, targets=targets)
    setting = with_rule(rule, replace(NEAREST, placement="input"))
    setting = with_rule(rule, setting, grid="affine" if affine else "signed")
    model, state = started_of(setting, network, x)
    expected = twin(network, x, roundings(model, state), mode=mode, affine=affine)
    inner = set()
    for layer, (step, zero) in expected.items():
        np.testing.assert_array_equal(state[(layer, "s_w")][:, 0], step)
        np.testing.assert_array_equal(state[(layer, "zero_point")][:, 0], zero)
        inner |= set((step / ranges(weight_of(model.network, layer), 1.0, 3, affine)[0]).round(2))
    assert len(inner) > 3  # not the whole range everywhere


def test_every_mode_is_a_choice_of_its_own():
    """On the same data each of them ends at other steps."""
    network, setting = dense(sizes=SIZES), replace(NEAREST, placement="input")
    bits = replace(BITS, activations=2)
    x, found = images(network, 40), set()
    for quantized, targets in MODES.values():
        rule = SequentialMse(60, quantized, targets)
        _, state = started_of(with_rule(rule, setting), network, x, bits)
        found.add(b"".join(state[(f"fc{i}", "s_w")].tobytes() for i in (1, 2, 3)))
    assert len(found) == len(MODES)


def test_one_factor_for_the_layer():
    """ExecuTorch: channels keep their ranges and share the part of them, n as large as asked."""
    network = dense(sizes=SIZES)
    x = images(network, 40)
    rule = SequentialMse(granularity="layer", candidates=37)
    _, state = started_of(with_rule(rule), network, x)
    for layer, (step, _) in twin(network, x, {}, n=37, layerwise=True).items():
        np.testing.assert_array_equal(state[(layer, "s_w")][:, 0], step)


def test_one_step_per_tensor_is_judged_by_all_outputs():
    """With channels scaled to one range, the step per tensor is the one factor of the layer."""
    network, x = dense(sizes=(6, 5)), images(dense(), 40)
    w = network.params[("fc1", "w")]
    w = w / np.abs(w).max(axis=1, keepdims=True)
    network = replace(network, params={**network.params, ("fc1", "w"): w})
    _, shared = started_of(with_rule(SequentialMse(granularity="layer")), network, x)
    _, single = started_of(with_rule(SequentialMse(), axis=None), network, x)
    assert single[("fc1", "s_w")].shape == ()
    np.testing.assert_array_equal(shared[("fc1", "s_w")], np.full((5, 1), single[("fc1", "s_w")]))
    assert single[("fc1", "s_w")] < 1.0 / 3.0  # not the whole range


def test_convolutions_groups_and_joins():
    """The found range has the smallest error at the product's edge, of all that were tried."""
    network, x = residual(), images(residual())
    setting = with_rule(SequentialMse(targets="float"))
    model, state = started_of(setting, network, x)
    hard = {**state, **hard_params(model, state, tuple(model.weights))}
    for layer in model.weights:
        edge = f"{layer}.product"
        wanted = evaluate(model.float_network, {"input": x}, (edge,))[edge]
        w, component = weight_of(model.network, layer), model.weights[layer]
        axes = (0, *range(2, wanted.ndim))

        def error(step, edge=edge, w=w, component=component, wanted=wanted, axes=axes):
            params = component.start_at(
                w, QParams(step, np.zeros(step.shape, int), component._grid)
            )
            own = {**hard, (edge, "w"): component.forward(w, params)[0]}
            given = evaluate(model.float_network, {"input": x}, (edge,), own)[edge]
            return ((given - wanted) ** 2).mean(axis=axes)

        whole = np.abs(w).max(axis=tuple(range(1, w.ndim)), keepdims=True)
        errors = [error(whole * (i / 20) / 3) for i in range(1, 21)]
        best = error(state[(layer, "s_w")])
        np.testing.assert_allclose(best, np.min(errors, axis=0), rtol=1e-12)


@pytest.mark.parametrize("mode", ["fast", "pinned"])
@pytest.mark.parametrize("targets", ["same", "float"])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_the_quadratic_is_the_error_on_the_data(groups, targets, mode):
    """P25, and its asymmetric form, of each output."""
    seen = seen_of(3, groups, targets)
    w_hat = np.rint(seen.w * 2) / 2
    with nx.arithmetic(mode):
        found = output_errors(seen, targets)(w_hat)
    np.testing.assert_allclose(found, literal(seen, w_hat, targets), rtol=1e-11)


@given(seed=st.integers(0, 2**32 - 1), targets=st.sampled_from(["same", "float"]))
def test_no_output_is_worse_than_with_the_whole_range(seed, targets):
    """P82 for outputs: f = 1 is among the candidates."""
    seen = seen_of(seed, 2, targets)
    component = seen.component
    rule = SequentialMse(quantize=BOTH, targets=targets)
    found, whole = FitRange(rule).fit(seen), replace(component, calibration=MinMax("p"))
    best, most = (
        literal(seen, component.forward(seen.w, params)[0], targets)
        for params in (found, whole.start(seen.w))
    )
    assert np.all(best <= most * (1 + 1e-9))


def test_one_candidate_is_the_whole_range():
    """Bit for bit, codes and records."""
    network, x = residual(), images(residual())
    options = {"weight_bits": 3, "act_bits": 4, "steps": 3}
    for base in (NEAREST, adaround()):
        one, plain = (
            quantize(network, x, with_rule(rule, base), **options)
            for rule in (SequentialMse(candidates=1), MinMax("p"))
        )
        assert one.history == plain.history
        for layer, values in one.layers.items():
            assert values.s_w.tobytes() == plain.layers[layer].s_w.tobytes()
            assert values.codes.tobytes() == plain.layers[layer].codes.tobytes()


def test_white_inputs_leave_the_error_of_the_weights():
    """Where G is the identity both searches minimise |w_hat - w|^2 over the same 100 ranges."""
    network = dense(sizes=(6, 50))
    x = np.sqrt(6.0) * np.eye(6)
    rules = SequentialMse(candidates=100, divisor="half_span"), MseSearch("grid100_1d", p=2.0)
    output, weight = (started_of(with_rule(rule), network, x)[1] for rule in rules)
    np.testing.assert_array_equal(output[("fc1", "s_w")], weight[("fc1", "s_w")])


def test_the_same_ranges_in_pinned_arithmetic():
    """No order of a sum decides: errors of candidates are not that close."""
    network, x = dense(sizes=SIZES), images(dense(), 40)
    with nx.arithmetic("pinned"):
        pinned = quantize(network, x, "nearest+seq-mse", weight_bits=3)
    fast = quantize(network, x, "nearest+seq-mse", weight_bits=3)
    for layer in fast.layers:
        assert fast.layers[layer].s_w.tobytes() == pinned.layers[layer].s_w.tobytes()


def test_layers_above_the_widest_keep_the_whole_range():
    """aimet_torch searches 4 bits and less; first and last layers have 8 here."""
    network, x = residual(), images(residual())
    limited, all_searched, plain = (
        quantize(network, x, with_rule(rule), weight_bits=4, first_last_bits=8).layers
        for rule in (SequentialMse(400, widest=4), SequentialMse(400), MinMax("p"))
    )
    for layer in ("stem", "fc"):
        np.testing.assert_array_equal(limited[layer].s_w, plain[layer].s_w)
    assert np.any(limited["point"].s_w != plain["point"].s_w)
    assert np.any(all_searched["fc"].s_w != plain["fc"].s_w)


def test_only_the_first_samples_are_looked_at():
    network, x = dense(sizes=SIZES), images(dense(), 40)
    setting = with_rule(SequentialMse(samples=30))
    other = np.concatenate([x[:30], 5.0 * x[30:]])
    _, found = started_of(setting, network, x)
    _, same = started_of(setting, network, other)
    _, more = started_of(with_rule(SequentialMse()), network, other)
    steps = [[s[(f"fc{i}", "s_w")].tobytes() for i in (1, 2, 3)] for s in (found, same, more)]
    assert steps[0] == steps[1] != steps[2]


def test_of_equal_errors_the_first_wins():
    """-1 is a level at f = 15/20, -4 times 1/4, and again at f = 1, -3 times 1/3."""
    w, component = np.array([[-1.0]]), NearestWeights(bits=3)

    def errors(qparams):
        return (component.forward(w, component.start_at(w, qparams))[0] - w)[:, 0] ** 2

    found = sequential_mse(w, Grid("signed", 3), SequentialMse(), errors, axis=0)
    assert found.step.tolist() == [[0.25]]
    assert sequential_mse(w, Grid("signed", 3), SequentialMse(1), errors, axis=0).step == 1 / 3


def test_a_channel_of_zeros_gets_the_floor():
    """All its errors are 0, so that the first candidate stands."""
    network, x = dense(), images(dense())
    w = network.params[("fc1", "w")] * (np.arange(5) != 2)[:, None]
    network = replace(network, params={**network.params, ("fc1", "w"): w})
    _, state = started_of(with_rule(SequentialMse()), network, x)
    assert state[("fc1", "s_w")][2] == 1e-8
