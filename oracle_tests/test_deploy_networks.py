"""Whole networks: the integer network equals the fake-quantized one; fixed point within a code."""

import pickle

import numpy as np
import pytest

from oracle_tests.deploy_cases import ARCHITECTURES, case, same
from refquant import numerics as nx
from refquant.deploy import deploy, run_fake, run_integer
from refquant.network import Network, consumers
from refquant.network.run import forward

SEEDS = range(4)
every = pytest.mark.parametrize(
    ("architecture", "kind"), [(a, k) for a in ARCHITECTURES for k in ("real", "dyadic")]
)


@every
@pytest.mark.parametrize("placement", ["output", "input"])
def test_the_integer_network_is_the_fake_quantized_one(architecture, kind, placement):
    """P42, P58: every code, every accumulator and every logit, with ==."""
    variety = []
    for seed in SEEDS:
        network, layers, x = case(architecture, seed, kind, placement)
        plan = deploy(network, layers)
        fake, integer = run_fake(plan, x), run_integer(plan, x)
        same(fake, integer)
        assert all(acc.dtype == np.int32 for acc in integer.accumulators.values())
        variety += [len(np.unique(codes)) for codes in fake.codes.values()]
        assert fake.output.std() > 0.0
    assert np.median(variety) > 5 and variety.count(1) <= 1  # the equality is not one of zeros


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_codes_and_logits_do_not_depend_on_the_arithmetic(architecture):
    """The accumulators are exact, so fast and pinned agree wherever no real sum is taken."""
    network, layers, x = case(architecture, 1)
    plan = deploy(network, layers)
    fast = run_fake(plan, x)
    with nx.arithmetic("pinned"):
        pinned = run_fake(plan, x)
        same(pinned, run_integer(plan, x))
    if architecture != "branches":  # its sigmoid is not the same function in the two
        same(fast, pinned)


@every
def test_literal_fake_quantization_agrees_to_float_tolerance(architecture, kind):
    """AT eq. 4: convolutions of dequantized floats, layer by layer, from the same codes."""
    network, layers, x = case(architecture, 2, kind)
    plan = deploy(network, layers)
    params = dict(network.params)
    for name, hard in layers.items():
        step = hard.step.reshape(-1, *(1,) * (hard.codes.ndim - 1))
        params[(f"{name}.product", "w")] = step * hard.codes
        params |= {(name, p): v for p, v in (("xi", hard.xi), ("eta", hard.eta)) if v is not None}
        if hard.eta is not None and hard.xi is None:
            params[(name, "xi")] = np.ones(len(hard.eta))
    literal = Network(network.name, network.input_shape, network.nodes, params)
    values = forward(literal, x).values
    codes = {
        name: coder.component.codes(values[network.node(name).inputs[0]], coder.params)
        for name, coder in plan.coders.items()
    }
    trace = run_fake(plan, x, forced=codes)
    for name, layer in plan.layers.items():
        shape = (-1, *(1,) * (values[name].ndim - 2))
        real = layer.scale.reshape(shape) * trace.accumulators[name] + layer.offset.reshape(shape)
        np.testing.assert_allclose(values[name], real, rtol=1e-12, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(values[network.output], trace.output, rtol=1e-12, atol=1e-12)
    if kind == "dyadic" and architecture in ("mlp", "residual"):  # means over a power of two
        np.testing.assert_array_equal(values["fc"], trace.output)


@every
def test_absent_and_neutral_are_the_same_bits(architecture, kind):
    """P42, P47: xi = 1 and eta = 0 change nothing, and nothing more is stored."""
    network, layers, x = case(architecture, 5, kind)
    plain = {name: hard._replace(xi=None, eta=None) for name, hard in layers.items()}
    neutral = {
        name: hard._replace(xi=np.ones(len(hard.codes)), eta=np.zeros(len(hard.codes)))
        for name, hard in layers.items()
    }
    plans = [deploy(network, given) for given in (plain, neutral, layers)]
    same(*(run_integer(plan, x) for plan in plans[:2]))
    sizes = [sum(la.scale.size + la.offset.size for la in plan.layers.values()) for plan in plans]
    assert sizes[0] == sizes[1] == sizes[2]
    assert all(layer.codes.dtype == np.int8 for layer in plans[2].layers.values())


def test_a_real_input_runs_with_dequantized_weights():
    """Weights quantized, activations not: y = xi * conv(x, s_w w_int) + b + eta."""
    network, layers, x = case("residual", 0)
    bare = tuple(n for n in network.nodes if n.op != "quantize")
    rename = {n.name: n.inputs[0] for n in network.nodes if n.op == "quantize"}
    nodes = tuple(
        type(n)(n.name, n.op, tuple(rename.get(e, e) for e in n.inputs), n.attrs) for n in bare
    )
    kept = {key: value for key, value in network.params.items() if key[0] not in rename}
    for name, hard in layers.items():
        step = hard.step.reshape(-1, *(1,) * (hard.codes.ndim - 1))
        kept[(f"{name}.product", "w")] = step * hard.codes
        kept |= {(name, "xi"): hard.xi, (name, "eta"): hard.eta}
    literal = Network("literal", network.input_shape, nodes, kept)
    plan = deploy(Network("bare", network.input_shape, nodes, kept), layers)
    np.testing.assert_allclose(run_fake(plan, x).output, literal(x), rtol=1e-12)
    with pytest.raises(ValueError, match=r"node 'stem'.*real numbers"):
        run_integer(plan, x)


def test_forced_codes_reach_the_readers_and_not_the_trace():
    network, layers, x = case("mlp", 0)
    plan = deploy(network, layers)
    free = run_integer(plan, x)
    name = "fc1.relu.q"
    zero = np.full_like(free.codes[name], plan.coders[name].zero_point)
    forced = run_integer(plan, x, forced={name: zero})
    np.testing.assert_array_equal(forced.codes[name], free.codes[name])
    assert not forced.accumulators["fc2"].any() and free.accumulators["fc2"].any()


def test_batches_do_not_change_a_bit():
    network, layers, x = case("residual", 0, batch=5)
    plan = deploy(network, layers)
    for epilogue in ("float", "fixed"):
        whole = run_integer(plan, x, epilogue)
        parts = [run_integer(plan, x[i : i + 2], epilogue).output for i in (0, 2, 4)]
        assert whole.output.tobytes() == np.concatenate(parts).tobytes()
    assert run_integer(plan, x[:0]).output.shape == (0, 5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plan_survives_pickling(architecture):
    network, layers, x = case(architecture, 3)
    plan = deploy(network, layers)
    again = pickle.loads(pickle.dumps(plan))
    same(run_integer(plan, x), run_integer(again, x))
    assert again.describe() == plan.describe()


def test_float32_inputs_are_taken_as_the_numbers_they_are():
    network, layers, x = case("residual", 0)
    plan = deploy(network, layers)
    narrow = x.astype(np.float32)
    same(run_integer(plan, narrow), run_integer(plan, narrow.astype(np.float64)))


def test_every_edge_has_one_quantizer_before_its_readers():
    """The cases are what they claim: linear layers read codes, additions read both kinds."""
    network, layers, _ = case("residual", 0)
    plan = deploy(network, layers)
    assert plan.layers["bd"].source == "a.relu.q" and plan.layers["fc"].source == "pool.q"
    assert {n.name for n in consumers(network, "stem.relu.q")} == {"a1.patches", "a.add"}
