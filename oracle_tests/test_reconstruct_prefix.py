"""The prefix gives every unit the inputs that one whole forward run would, and keeps no more."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import (
    BITS,
    CASE_111,
    adaround,
    dense,
    images,
    residual,
    task_of,
)
from refquant import numerics as nx
from refquant.components.weights import dequantized
from refquant.methods import Mix
from refquant.methods.nearest import NEAREST
from refquant.network import INPUT, cut, forward
from refquant.reconstruct import prefix as prefix_module
from refquant.reconstruct.loop import Supply
from refquant.reconstruct.model import build_model, hard_params, harden, part_of, with_part
from refquant.reconstruct.prefix import advance, start, values_at


def model_of(network, setting=NEAREST):
    return build_model(network, images(network), setting, BITS)


@pytest.mark.parametrize("build", [residual, dense])
@pytest.mark.parametrize("unit", ["layer", "block", "network"])
@pytest.mark.parametrize("chunk", [1, 5, 128])
def test_advancing_unit_by_unit_is_one_whole_run(build, unit, chunk, monkeypatch):
    """Every edge at every unit's inputs, bit for bit in pinned arithmetic, in any chunking."""
    monkeypatch.setattr(prefix_module, "CHUNK", chunk)
    network = build()
    model, x = model_of(network), images(network, 7)
    with nx.arithmetic("pinned"):
        params = {**model.start, **hard_params(model, model.start, tuple(model.weights))}
        whole = forward(model.network, x, params=params).values
        here = start(x)
        for this in cut(model.network, unit):
            here = advance(here, model.network, this.inputs, params)
            for edge in this.inputs:
                np.testing.assert_array_equal(here.values[edge], whole[edge])


def test_a_prefix_keeps_the_edges_somebody_still_needs():
    """By hand: the skip path stays alive while its branch runs, and everything else goes."""
    network = residual()
    model = model_of(network)
    params = {**model.start, **hard_params(model, model.start, tuple(model.weights))}
    here, alive = start(images(network)), []
    for unit in cut(model.network, "layer"):
        here = advance(here, model.network, unit.inputs, params)
        alive.append((unit.name, list(here.values)))
    assert alive == [
        ("stem", ["input.q"]),
        ("dw", ["r0.q"]),
        ("point", ["r0.q", "r1.q"]),
        ("fc", ["flat"]),
    ]
    assert here.done >= {"stem", "dw", "point", "sum", "gap.q", "flat"} and "fc" not in here.done


def test_a_node_that_has_run_is_not_run_again(monkeypatch):
    """Each layer's product is computed once, however many units ask."""
    network = residual()
    model, ran = model_of(network), []
    evaluate = prefix_module.evaluate

    def counting(network, values, edges, params=None):
        ran.append((tuple(values), tuple(edges)))
        return evaluate(network, values, edges, params)

    monkeypatch.setattr(prefix_module, "evaluate", counting)
    here = start(images(network))
    for unit in cut(model.network, "layer"):
        here = advance(here, model.float_network, unit.inputs)
        again = advance(here, model.float_network, unit.inputs)
        assert list(again.values) == list(here.values)
    fresh = [edges for _, edges in ran]
    assert fresh == [("input.q",), (), ("r0.q",), (), ("r1.q",), (), ("flat",), ()]


def test_values_at_gives_all_samples(monkeypatch):
    """In order, from any edges one starts at."""
    monkeypatch.setattr(prefix_module, "CHUNK", 4)
    network = dense()
    x = images(network, 11)
    found = values_at(network, {INPUT: x}, ("r1", "fc2"))
    again = values_at(network, {"r1": found["r1"]}, ("fc2",))
    assert found["fc2"].shape == (11, 3)
    np.testing.assert_allclose(found["fc2"], network(x), rtol=1e-14)
    np.testing.assert_allclose(again["fc2"], network(x), rtol=1e-14)


def inputs_by_hand(network, model, x, state, layers):
    """The unit's input edges from a run in which `layers` use their codes, the rest NaN."""
    weights = {}
    for layer in model.weights:
        w = np.full_like(network.params[(layer, "w")], np.nan)
        if layer in layers:
            step = model.weights[layer].step(
                {name: value for (node, name), value in state.items() if node == layer}
            )
            w = dequantized(state[(layer, "codes")], step)
        weights[(f"{layer}.product", "w")] = w
    with np.errstate(invalid="ignore"):
        return forward(model.network, x, params={**state, **weights}).values


def test_inputs_come_from_the_codes_of_earlier_layers_only():
    """The codes are made up, so nothing else can give these inputs; later layers are NaN."""
    network = residual()
    x = images(network)
    model = build_model(network, x, adaround(), BITS)
    rng = np.random.default_rng(0)
    state = harden(model, model.start, ("stem", "dw"))
    for layer in ("stem", "dw"):
        codes = state[(layer, "codes")]
        state[(layer, "codes")] = np.clip(codes + rng.integers(-1, 2, codes.shape), -4, 3)
    units = cut(model.network, "layer")
    with nx.arithmetic("pinned"):
        expected = inputs_by_hand(network, model, x, state, ("stem", "dw"))
        supply = Supply.begin(model, adaround().phases[0], x)
        for unit in units[:3]:
            supply = supply.to(unit, model, state)
        np.testing.assert_array_equal(supply.quantized.values["r1.q"], expected["r1.q"])
    assert np.isnan(expected["fc"]).all() and not np.isnan(expected["r1.q"]).any()


def test_layers_that_no_phase_has_hardened_are_rounded_as_they_stand():
    """A phase that quantizes weights never feeds a unit from float weights."""
    network = dense(sizes=(6, 5, 4, 3))
    x = images(network)
    setting = adaround(harden=())
    task, _ = task_of(network, x, setting, unit=1, state=lambda model: model.start)
    model = task.model
    hard = harden(model, model.start, ("fc1",))
    expected = inputs_by_hand(network, model, x, hard, ("fc1",))["r1.q"]
    supply = Supply.begin(model, setting.phases[0], x)
    supply = supply.to(task.unit, model, model.start)
    np.testing.assert_allclose(supply.quantized.values["r1.q"], expected, rtol=1e-12)


def test_a_phase_that_leaves_a_role_real_has_a_real_prefix():
    """quantize=("weights",): no activation quantizer; ("activations",): float weights."""
    network = dense(sizes=(6, 5, 4, 3))
    x = images(network)
    model = build_model(network, x, CASE_111, BITS)
    state = harden(model, model.start, ("fc1",))
    weight = dequantized(state[("fc1", "codes")], state[("fc1", "s_w")].reshape(-1))
    unit = cut(model.network, "layer")[1]
    supply = Supply.begin(model, CASE_111.phases[0], x).to(unit, model, state)
    expected = np.maximum(x @ weight.T + network.params[("fc1", "bias")], 0.0)
    np.testing.assert_allclose(supply.quantized.values["r1.q"], expected, rtol=1e-12)
    only_activations = replace(CASE_111.phases[1], quantize=("activations",))
    supply = Supply.begin(model, only_activations, x).to(unit, model, state)
    params = dict(model.start)
    expected = forward(model.network, x, params=params).values["r1.q"]
    np.testing.assert_allclose(supply.quantized.values["r1.q"], expected, rtol=1e-12)


def test_source_says_which_inputs_are_learnt_from():
    """D30: quantized prefix or float network; targets are float values in both."""
    network = residual()
    x = images(network)
    for source in ("quantized", "float"):
        task, _ = task_of(network, x, adaround(source=source), unit=2)
        real = forward(task.model.float_network, x).values
        np.testing.assert_allclose(task.float_inputs["r1.q"], real["r1"], rtol=1e-12)
        np.testing.assert_allclose(task.targets[task.unit.output], real["point"], rtol=1e-10)
        same = np.array_equal(task.inputs["r1.q"], task.float_inputs["r1.q"])
        assert same == (source == "float")


def test_a_mix_is_given_both_inputs():
    """QDrop needs the quantized and the float input of the same samples."""
    network = residual()
    setting = adaround(mix=(Mix(at="input"),))
    task, _ = task_of(network, images(network), setting, unit=1)
    assert task.inputs.keys() == task.float_inputs.keys() == {"r0.q"}
    assert np.any(task.inputs["r0.q"] != task.float_inputs["r0.q"])


def test_the_units_part_of_the_state_can_be_taken_and_put_back():
    """Also where the part has lost an entry."""
    model = model_of(residual())
    unit = cut(model.network, "layer")[1]
    state = harden(model, model.start, tuple(model.weights))
    part = part_of(state, unit)
    assert {node for node, _ in part} == {"dw", "r1.q"}
    assert with_part(state, unit, part) == state
    less = {key: value for key, value in part.items() if key[1] != "codes"}
    assert set(state) - set(with_part(state, unit, less)) == {("dw", "codes")}


def test_chunks_shrink_with_the_size_of_a_sample():
    """At most `CHUNK` samples, at most `ROOM` bytes of the widest edge, at least one sample."""
    for side, size in ((4, 128), (64, 32), (256, 2), (1024, 1)):
        values = {"a": np.zeros((130, side, side)), "b": np.zeros((130, 1))}
        found = [rows.stop - rows.start for rows in prefix_module.slices(values)]
        assert set(found) == {size} and len(found) == -(-130 // size)
