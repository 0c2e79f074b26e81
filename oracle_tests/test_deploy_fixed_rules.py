"""Fixed point before it runs: room at additions, constants, waiting operations, refusals."""

import numpy as np
import pytest

from oracle_tests.deploy_cases import case, chain, coder, linear, node
from refquant.deploy import deploy, run_fake, run_integer
from refquant.deploy.fixed import compile_fixed
from refquant.layers.geometry import Geometry
from refquant.network import Network

X = np.array([[0.5, -1.0, 2.0, 3.0]])


def sum_of_two_parts(step):
    """Two layers added before a quantize node of the given step."""
    nodes = (
        coder("input.q", "input"),
        *linear("l", "input.q"),
        *linear("r", "input.q"),
        node("add", "add", "l", "r"),
        coder("add.q", "add"),
        *linear("fc", "add.q"),
    )
    codes = (("l", [[7, 7, 7, 7]]), ("r", [[-7, 7, 0, 1]]), ("fc", [[1]]))
    network, layers = chain(*nodes, codes=codes)
    params = {**network.params, ("add.q", "s_x"): np.array(step)}
    return Network("n", network.input_shape, network.nodes, params), layers


def sum_of_two(step):
    return deploy(*sum_of_two_parts(step))


def test_guard_bits_are_those_that_int32_has_room_for():
    """2 (28 + 15) 128 * 0.125 / s_y * 2^guard + 4 must stay below 2^31."""
    reach = 2 * (28 + 15) * 128 * 0.125
    for step in (1.0, 2.0**-10, 2.0**-14, 2.0**-18, 2.0**-20):
        room = [g for g in range(9) if reach / step * 2**g + 4 < 2**31]
        assert compile_fixed(sum_of_two(step)).guards["add.q"] == max(room)
    assert compile_fixed(sum_of_two(1.0), 3).guards["add.q"] == 3
    with pytest.raises(ValueError, match=r"the sum before 'add\.q'.*below 2"):
        compile_fixed(sum_of_two(2.0**-21))
    with pytest.raises(ValueError, match="guard_bits"):
        run_integer(sum_of_two(1.0), X, "fixed", guard_bits=21)


def test_a_constant_takes_room_at_an_addition_too():
    """A dead channel of value 2^25 at s_y = 1 leaves 5 guard bits: 2^25 2^6 is 2^31."""
    network, layers = sum_of_two_parts(1.0)
    layers["l"] = layers["l"]._replace(step=np.array([0.0]))
    params = {**network.params, ("l", "bias"): np.array([2.0**25])}
    plan = deploy(Network("n", network.input_shape, network.nodes, params), layers)
    assert compile_fixed(plan).guards["add.q"] == 5
    assert run_integer(plan, X, "fixed").codes["add.q"].tolist() == [[255]]


def test_a_constant_beyond_int32_is_the_last_code():
    """methods 17.4: st = 0; neither the integer bias nor the cast may overflow."""
    nodes = (coder("input.q", "input"), *linear("l", "input.q"), coder("l.q", "l"))
    for bias, code in ((1e12, 255), (-1e12, 0), (0.75, 130)):
        net, layers = chain(
            *nodes,
            *linear("fc", "l.q"),
            codes=(("l", [[1, 2, 3, 4]]), ("fc", [[1]])),
            params={("l", "bias"): np.array([bias])},
        )
        layers["l"] = layers["l"]._replace(step=np.array([0.0]))
        trace = run_integer(deploy(net, layers), X, "fixed")
        assert trace.codes["l.q"].tolist() == [[code]]
        assert trace.accumulators["l"].tolist() == [[1 - 4 + 12 + 24]]  # no bias added


@pytest.mark.parametrize("requantize", ["double", "single"])
def test_reshaping_and_selecting_between_accumulator_and_codes(requantize):
    """M = 1 loses nothing, so the fixed codes are the float ones: max pool, concat, flatten."""
    g = Geometry((2, 2), padding=(0, 0, 1, 1))

    def conv(name):
        parts = linear(name, "input.q")
        return (node(parts[0].name, "patches", "input.q", geometry=g), *parts[1:])

    nodes = (
        coder("input.q", "input"),
        *conv("l"),
        *conv("r"),
        node("r.max", "max_pool", "r", geometry=Geometry((2, 1), padding=(1, 0, 0, 0))),
        node("same", "identity", "l"),
        node("cat", "concat", "r.max", "same", "input.q"),
        node("relu", "relu", "cat"),
        node("flat", "flatten", "relu"),
        coder("flat.q", "flat"),
        *linear("fc", "flat.q"),
    )
    rng = np.random.default_rng(0)
    rows = {"l": (2, 1, 2, 2), "r": (1, 1, 2, 2), "fc": (3, 4 * 6)}
    codes = tuple((name, rng.integers(-3, 4, shape)) for name, shape in rows.items())
    network, layers = chain(*nodes, shape=(1, 2, 3), codes=codes)
    params = {**network.params, ("flat.q", "s_x"): np.array(0.125)}
    plan = deploy(Network("n", network.input_shape, network.nodes, params), layers)
    x = rng.integers(-8, 9, (5, 1, 2, 3)) / 2
    want, got = run_integer(plan, x), run_integer(plan, x, "fixed", requantize)
    assert got.codes["flat.q"].tolist() == want.codes["flat.q"].tolist()
    assert got.codes["flat.q"].min() == 128  # ReLU clips at the zero point
    assert got.output.tolist() == want.output.tolist()


def test_sums_at_the_chosen_guard_do_not_wrap():
    """All inputs at their ends: the fixed codes stay within one of the float ones."""
    for step in (1.0, 2.0**-14, 2.0**-20):
        plan = sum_of_two(step)
        for ends in np.ndindex(2, 2, 2, 2):
            x = np.array([[-64.0, 63.5]])[:, list(ends)]
            want, got = run_integer(plan, x), run_integer(plan, x, "fixed")
            assert np.abs(want.codes["add.q"] - got.codes["add.q"]).max() <= 1


@pytest.mark.parametrize(
    ("architecture", "placement", "message"),
    [
        ("branches", "output", r"node 'c1\.relu' is leaky_relu"),
        ("residual", "input", r"node 'a1\.patches' is quantized as patches \(input placement\)"),
        ("mlp", "input", r"node 'fc2\.patches' is quantized as patches"),
    ],
)
def test_nodes_without_a_fixed_point_form_are_named(architecture, placement, message):
    network, layers, x = case(architecture, 0, placement=placement)
    plan = deploy(network, layers)
    with pytest.raises(ValueError, match=f"{message}.*Use epilogue='float'"):
        run_integer(plan, x, "fixed")


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ((node("s", "sigmoid", "l"),), r"node 's' is sigmoid, which has no integer form"),
        ((node("s", "add", "l", "input"),), r"node 'input' is real numbers beside codes"),
        ((node("p", "leaky_relu", "l", slope=0.5), node("s", "relu", "p")), r"node 'p' is leaky"),
    ],
)
def test_operations_before_a_quantizer_are_checked(between, message):
    rows = np.eye(4, dtype=int).tolist()
    nodes = (coder("input.q", "input"), *linear("l", "input.q"), *between, coder("s.q", "s"))
    plan = deploy(*chain(*nodes, *linear("fc", "s.q"), codes=(("l", rows), ("fc", rows))))
    assert run_integer(plan, X).output.shape == (1, 4)
    with pytest.raises(ValueError, match=message):
        run_integer(plan, X, "fixed")


def test_an_average_of_accumulators_is_refused():
    g = Geometry((1, 1))
    nodes = (
        coder("input.q", "input"),
        node("c.patches", "patches", "input.q", geometry=g),
        node("c.product", "product", "c.patches", groups=1),
        node("c", "output", "c.product"),
        node("pool", "global_average_pool", "c"),
        coder("pool.q", "pool"),
        node("flat", "flatten", "pool.q"),
        *linear("fc", "flat"),
    )
    plan = deploy(*chain(*nodes, shape=(1, 2, 2), codes=(("c", [[[[2]]]]), ("fc", [[1]]))))
    x = X.reshape(1, 1, 2, 2)
    assert run_integer(plan, x).output.tobytes() == run_fake(plan, x).output.tobytes()
    with pytest.raises(ValueError, match="node 'pool' is an average of values that were not"):
        run_integer(plan, x, "fixed")


@pytest.mark.parametrize(
    ("requantize", "codes"), [("double", (130, 131, 131, 131)), ("single", (130, 130, 131, 131))]
)
def test_an_average_of_selected_codes_has_a_fixed_form(requantize, codes):
    """Codes pass a max pool; sums 8 to 11 times M = 1/4: 9/4 is 2, in two stages 9/2, 5/2, 3."""
    nodes = (
        coder("input.q", "input"),
        node("max", "max_pool", "input.q", geometry=Geometry((1, 2))),
        node("pool", "global_average_pool", "max"),
        coder("pool.q", "pool"),
        node("flat", "flatten", "pool.q"),
        *linear("fc", "flat"),
    )
    plan = deploy(*chain(*nodes, shape=(1, 2, 3), codes=(("fc", [[1]]),)))
    x = np.array([[0, 1, 2], [1, 0, 4]]).reshape(1, 1, 2, 3) / 2  # maxima 1 2 1 4, sum 8
    for extra, code in enumerate(codes):
        x[0, 0, 1, 2] = 2 + extra / 2
        trace = run_integer(plan, x, "fixed", requantize)
        assert trace.codes["pool.q"].tolist() == [[[[code]]]]


def test_what_follows_the_last_codes_is_read_out_in_float():
    """A sigmoid behind the last layer belongs to the host: one dequantization, then float64."""
    nodes = (coder("input.q", "input"), *linear("fc", "input.q"), node("y", "sigmoid", "fc"))
    plan = deploy(*chain(*nodes))
    float_out = run_integer(plan, X).output
    assert run_integer(plan, X, "fixed").output.tobytes() == float_out.tobytes()
    assert abs(float(float_out[0, 0]) - 1 / (1 + np.exp(-1.375))) < 1e-15
