"""What a plan refuses, and says: overflow, shapes, steps, missing fixed-point forms; the table."""

import gc
import pickle
import weakref
from dataclasses import dataclass, field

import numpy as np
import pytest

from oracle_tests.deploy_cases import Nearest, case, chain, coder, linear, node
from refquant.deploy import HardLayer, deploy, run_fake, run_integer
from refquant.deploy.describe import weight_bits
from refquant.layers.geometry import Geometry
from refquant.network import Network, lower

X = np.array([[0.5, -1.0, 2.0, 3.0]])


def test_a_network_worked_by_hand():
    """codes 129 126 132 134, levels 1 -2 4 6; acc = 1 + 2 + 8 = 11; y = 0.5 * 0.25 * 11."""
    plan = deploy(*chain(coder("input.q", "input"), *linear("fc", "input.q")))
    for trace in (run_fake(plan, X), run_integer(plan, X), run_integer(plan, X, "fixed")):
        assert trace.codes["input.q"].tolist() == [[129, 126, 132, 134]]
        assert trace.accumulators["fc"].tolist() == [[11]]
        assert trace.output.tolist() == [[1.375]]


SIDES = Geometry((1, 2), padding=(0, 1, 0, 1))  # of (a, b): (padding, a), (a, b), (b, padding)
MEANS = {
    "the map": (("global_average_pool", {}), [9 / 8]),
    "what is on the map": (
        ("average_pool", {"geometry": SIDES, "count_include_pad": False}),
        [1 / 2, -1 / 4, -1, 2, 5 / 2, 3],
    ),
    "padding too": (
        ("average_pool", {"geometry": SIDES, "count_include_pad": True}),
        [1 / 4, -1 / 4, -1 / 2, 1, 5 / 2, 3 / 2],
    ),
}


@pytest.mark.parametrize("counted", MEANS)
def test_averages_of_codes_worked_by_hand(counted):
    """Levels 1 -2 | 4 6 of steps 1/2: sums of levels, over the number that is counted."""
    (op, attrs), means = MEANS[counted]
    nodes = (coder("input.q", "input"), node("mean", op, "input.q", **attrs))
    plan = deploy(*chain(*nodes, shape=(1, 2, 2), codes=()))
    for run in (run_fake, run_integer):
        assert run(plan, X.reshape(1, 1, 2, 2)).output.ravel().tolist() == means


@dataclass(frozen=True)
class Watch(Nearest):
    """Notes which of the arrays it has read are still alive when it reads the next one."""

    read: list = field(default_factory=list)
    alive: list = field(default_factory=list)

    def codes(self, x, params):
        gc.collect()
        self.alive.append([array() is not None for array in self.read])
        self.read.append(weakref.ref(x))
        return super().codes(x, params)


def test_an_edge_is_forgotten_after_its_last_reader():
    """What a quantizer reads is gone when the next one runs."""
    watch, nodes, source = Watch(), [], "input"
    for name in ("a", "b", "c"):
        nodes.append(node(f"{name}.q", "quantize", source, component=watch))
        nodes.append(node(name, "relu", f"{name}.q"))
        source = name
    run_fake(deploy(*chain(*nodes, codes=())), X)
    assert watch.alive == [[], [False], [False, False]]


def test_an_accumulator_that_may_overflow_is_refused_at_load_time():
    """methods 17.2: the bound is tight, so one step below it is accepted."""
    q = coder("input.q", "input", bits=16)
    terms = 2**31 // (2**15 * 2**10)  # |x - z| reaches 2^15 at z = 2^15
    for last, refused in ((2**10, True), (2**10 - 1, False)):
        rows = [[1] * terms, [2**10] * (terms - 1) + [-last]]
        net = chain(q, *linear("fc", "input.q"), shape=(terms,), codes=(("fc", rows),), bits=16)
        if refused:
            with pytest.raises(ValueError, match=r"'fc'.*2147483648 in channel 1, 33 bits.*fewer"):
                deploy(*net)
        else:
            plan = deploy(*net)
            assert plan.layers["fc"].bound.tolist() == [terms * 2**15, 2**31 - 2**15]
            assert plan.layers["fc"].loose == 2**31
            assert "32 (33)" in plan.describe()


def test_an_integer_bias_that_may_overflow_is_refused():
    """methods 17.4: |acc| + |bias_int|; a tiny step makes a huge integer bias."""
    network, layers = chain(coder("input.q", "input"), *linear("fc", "input.q"))
    bound = 4 * 128
    for bias, refused in ((2.0**31 - bound, True), (2.0**31 - bound - 1, False)):
        params = {**network.params, ("fc", "bias"): np.array([-0.125 * bias])}
        plan = deploy(Network("n", network.input_shape, network.nodes, params), layers)
        assert run_integer(plan, X).output.shape == (1, 1)
        if refused:
            with pytest.raises(ValueError, match=r"bias of layer 'fc'.*512 \+ 2147483136"):
                run_integer(plan, X, "fixed")
        else:
            assert run_integer(plan, X, "fixed").accumulators["fc"].tolist() == [[11 - int(bias)]]
    tiny = {"fc": layers["fc"]._replace(step=np.array([1e-300]))}
    params = {**network.params, ("fc", "bias"): np.array([1.0])}
    plan = deploy(Network("n", network.input_shape, network.nodes, params), tiny)
    with pytest.raises(ValueError, match="bias of layer 'fc'"):
        run_integer(plan, X, "fixed")


def spoil(layers, **fields):
    return {**layers, "fc2": layers["fc2"]._replace(**fields)}


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"codes": np.ones((12, 12))}, TypeError, "codes of layer 'fc2' is float64"),
        ({"codes": np.ones((12, 3), int)}, ValueError, r"codes of layer 'fc2' is of shape"),
        ({"codes": np.full((12, 12), 2**16)}, ValueError, "codes of layer 'fc2'"),
        ({"step": np.ones(11)}, ValueError, "fc2|broadcast"),
        ({"step": -np.ones(12)}, ValueError, "step of 'fc2' is -1.0.*xi"),
        ({"step": np.full(12, np.nan)}, ValueError, "step of layer 'fc2' is nan"),
        ({"xi": np.full(12, np.inf)}, ValueError, "xi of layer 'fc2' is inf"),
        ({"eta": np.ones(5)}, ValueError, r"eta of layer 'fc2' is of shape \(5,\)"),
    ],
)
def test_bad_layers_are_refused_by_name(fields, error, message):
    network, layers, _ = case("mlp", 0)
    with pytest.raises(error, match=message):
        deploy(network, spoil(layers, **fields))


def test_layers_and_network_must_match():
    network, layers, _ = case("mlp", 0)
    with pytest.raises(ValueError, match="without 'fc2'"):
        deploy(network, {k: v for k, v in layers.items() if k != "fc2"})
    with pytest.raises(ValueError, match="given for 'fc9', no linear layer"):
        deploy(network, {**layers, "fc9": layers["fc2"]})
    raw = Network("raw", (4,), (node("fc", "linear", "input"),), {("fc", "w"): np.ones((1, 4))})
    with pytest.raises(ValueError, match=r"a linear node, 'fc'.*lower"):
        deploy(raw, {})
    assert deploy(lower(raw), {"fc": HardLayer(np.ones((1, 4), int), np.array(0.5))}).layers


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("s_x", np.array(0.0), "step of node 'input.q'"),
        ("s_x", np.array(1e-310), "step of node 'input.q'"),
        ("s_x", np.ones(2), r"step of node 'input.q' is of shape \(2,\)"),
        ("zero_point", np.array(999), "zero_point"),
    ],
)
def test_bad_quantizers_are_refused(key, value, message):
    network, layers, _ = case("mlp", 0)
    params = {**network.params, ("input.q", key): value}
    with pytest.raises(ValueError, match=message):
        deploy(Network("n", network.input_shape, network.nodes, params), layers)


def test_bad_runs_are_refused():
    network, layers, x = case("mlp", 0)
    plan = deploy(network, layers)
    with pytest.raises(ValueError, match=r"epilogue is 'fixd'.*Did you mean 'fixed'"):
        run_integer(plan, x, "fixd")
    with pytest.raises(ValueError, match="requantize is 'triple'"):
        run_integer(plan, x, "fixed", "triple")
    with pytest.raises(ValueError, match="x is of shape"):
        run_integer(plan, x[0])
    with pytest.raises(TypeError, match="x is int64"):
        run_fake(plan, np.zeros(x.shape, int))
    with pytest.raises(ValueError, match=r"forced\['fc1.relu.q'\] is of shape"):
        run_fake(plan, x, forced={"fc1.relu.q": np.zeros((1, 1), int)})
    with pytest.raises(TypeError, match=r"forced\['fc1.relu.q'\] is float64"):
        run_fake(plan, x, forced={"fc1.relu.q": np.zeros((3, 12))})


def test_a_plan_is_immutable_and_keeps_no_float_weights():
    network, layers, _ = case("residual", 0)
    plan = deploy(network, layers)
    assert not any(name in ("w", "bias") for _, name in plan.network.params)
    for same in (plan, pickle.loads(pickle.dumps(plan))):
        with pytest.raises(TypeError):
            same.layers["fc"] = None
        for array in (same.layers["fc"].codes, same.layers["fc"].scale):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


def test_float32_steps_are_taken_as_the_numbers_they_are():
    network, layers, x = case("mlp", 0)
    narrow = {
        key: value.astype(np.float32) for key, value in network.params.items() if key[1] == "s_x"
    }
    wide = {key: value.astype(np.float64) for key, value in narrow.items()}
    plans = [
        deploy(Network("n", (1, 4, 4), network.nodes, {**network.params, **steps}), layers)
        for steps in (narrow, wide)
    ]
    assert all(c.params["s_x"].dtype == np.float64 for c in plans[0].coders.values())
    assert len({run_integer(plan, x).output.tobytes() for plan in plans}) == 1


def test_the_table_names_every_layer_and_quantizer():
    network, layers, _ = case("residual", 0)
    table = deploy(network, layers).describe()
    rows = {line.split()[0]: line for line in table.splitlines() if line}
    assert rows.keys() >= {*layers, "input.q", "a.relu.q", "pool.q"}
    assert "4x2x3x3" in rows["stem"] and "-> stem.relu.q" in rows["stem"]
    assert rows["fc"].split()[-1] == "real"
    assert rows["stem"].split()[3] == "4"  # codes are -8..7


@pytest.mark.parametrize(
    ("codes", "bits"),
    [([[-8, 7]], 4), ([[-8, -5]], 4), ([[5, 6]], 3), ([[0, 1], [-1, 1]], 2), ([[0, 0]], 1)],
)
def test_the_bits_of_a_layer_hold_every_channel_and_zero(codes, bits):
    """A grid is as wide as a channel's span with 0: -8..0 are nine codes, 0..6 are seven."""
    assert weight_bits(np.array(codes)) == bits
