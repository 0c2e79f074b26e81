"""Runs forwards and backwards: gradients, sub-runs, forks, several cotangents at once."""

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradient
from oracle_tests.network_samples import (
    Cube,
    conv,
    dyadic,
    everything,
    images,
    mlp_like,
    plain,
    real,
)
from refquant.network import (
    Network,
    backward,
    evaluate,
    forward,
    insert_quantizers,
    lower,
    predict,
    replace_params,
    training_mode,
)

FROZEN = ("mean", "var")


def with_cubes(network):
    """Return `network`, lowered, with a smooth quantizer on a fork and one on patches."""
    quantized = insert_quantizers(lower(network), {"r1": Cube(), "c3.patches": Cube()})
    steps = {("r1.q", "s"): np.array(0.75), ("c3.patches.q", "s"): np.array(1.25)}
    steps |= {("c1", "xi"): np.linspace(0.5, 1.5, 6), ("c2", "eta"): np.linspace(-1.0, 1.0, 6)}
    return replace_params(quantized, steps)


VARIANTS = {
    "plain": everything,
    "lowered": lambda: lower(everything()),
    "training": lambda: training_mode(everything()),
    "quantized": lambda: with_cubes(everything()),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_every_parameter_and_of_the_input(variant):
    """Central differences; cotangents enter at the output and in the middle."""
    network, x = VARIANTS[variant](), images()
    rng = np.random.default_rng(11)
    trace = forward(network, x)
    cotangents = {edge: real(rng, *trace.values[edge].shape) for edge in ("fc", "act", "c3")}

    def loss(run):
        return sum(float((cotangents[edge] * run.values[edge]).sum()) for edge in cotangents)

    grads = backward(network, trace, cotangents)
    learnt = {key for key in network.params if key[1] not in FROZEN}
    assert set(grads.params) == learnt and set(grads.values) == {"input"}
    for key in sorted(learnt):
        check_gradient(
            lambda value, key=key: loss(forward(network, x, params={key: value})),
            network.params[key].copy(),
            np.asarray(grads.params[key]),
            rtol=1e-5,
            atol=1e-6,
            name=f"{variant} {key}",
        )
    check_gradient(
        lambda value: loss(forward(network, value)), x, grads.values["input"], 1e-5, 1e-6
    )


def dyadic_run():
    network = everything(dyadic)
    return network, forward(network, images(dyadic))


def test_cotangents_at_several_nodes_add_up():
    """Backward is linear in the cotangents: exactly, where every sum is exact."""
    network, trace = dyadic_run()
    rng = np.random.default_rng(2)
    edges = ("fc", "gap", "sum", "r1", "c1", "input")
    cotangents = {edge: dyadic(rng, *trace.values[edge].shape) for edge in edges}
    together = backward(network, trace, cotangents)
    each = [backward(network, trace, {edge: cotangents[edge]}) for edge in edges]
    for key, value in together.params.items():
        np.testing.assert_array_equal(value, sum(g.params[key] for g in each if key in g.params))
    d_x = sum(g.values["input"] for g in each)
    np.testing.assert_array_equal(together.values["input"], d_x)
    np.testing.assert_array_equal(each[-1].values["input"], cotangents["input"])
    assert not each[-1].params


def test_what_the_loss_does_not_depend_on_is_absent():
    network, trace = dyadic_run()
    grads = backward(network, trace, {"n1": np.ones_like(trace.values["n1"])})
    assert set(grads.params) == {("c1", "w"), ("n1", "gamma"), ("n1", "beta")}
    assert set(grads.values) == {"input"}


@pytest.mark.parametrize("last", range(1, 15))
def test_two_sub_runs_equal_the_whole_run(last):
    """Cut after any node: values pass forwards over the cut and cotangents backwards."""
    network, whole = dyadic_run()
    names = [node.name for node in network.nodes]
    first, second = names[:last], names[last:]
    one = forward(network, whole.values["input"], first)
    assert list(one.caches) == first
    two = forward(network, one.values, second)
    assert list(two.caches) == second
    for edge, value in whole.values.items():
        np.testing.assert_array_equal(two.values[edge], value)
    d_y = dyadic(np.random.default_rng(last), *whole.values["fc"].shape)
    back = backward(network, two, {"fc": d_y})
    assert set(back.values) <= {"input", *first}
    front = backward(network, one, back.values)
    expected = backward(network, whole, {"fc": d_y})
    for key, value in expected.params.items():
        np.testing.assert_array_equal((front.params | back.params)[key], value)
    np.testing.assert_array_equal(front.values["input"], expected.values["input"])


def test_gradients_add_where_an_edge_forks():
    """y = (x + x) + x reads x three times: d_x = 3 d_y; params in place of the network's own."""
    nodes = (plain("twice", "add", "input", "input"), plain("y", "add", "twice", "input"))
    network = Network("fork", (3,), nodes, {})
    trace = forward(network, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(trace.values["y"], 3.0 * np.arange(6.0).reshape(2, 3))
    d_y = np.array([[1.0, 2.0, 4.0], [-1.0, 0.0, 0.5]])
    np.testing.assert_array_equal(backward(network, trace, {"y": d_y}).values["input"], 3.0 * d_y)


def test_gradients_of_inner_edges_on_request():
    """dL/dgap through fc is d_y @ w; a cotangent that enters there itself is included."""
    network, trace = dyadic_run()
    rng = np.random.default_rng(4)
    d_y, d_gap = dyadic(rng, 2, 3), dyadic(rng, 2, 4, 1, 1)
    grads = backward(network, trace, {"fc": d_y, "gap": d_gap}, edges=("gap", "fc"))
    w = network.params[("fc", "w")]
    expected = sum(d_y[:, k, None] * w[k] for k in range(3)) + d_gap[:, :, 0, 0]
    np.testing.assert_array_equal(grads.values["gap"][:, :, 0, 0], expected)
    np.testing.assert_array_equal(grads.values["fc"], d_y)
    assert set(grads.values) == {"input", "gap", "fc"}


@pytest.mark.parametrize("owner", ["c1", "c3", "fc"])
def test_naming_the_owners_saves_work_and_changes_no_gradient(owner):
    """What lies before the owner is not passed: its gradients, and the input's, are absent."""
    network, trace = dyadic_run()
    d_y = {"fc": dyadic(np.random.default_rng(5), 2, 3)}
    whole, part = backward(network, trace, d_y), backward(network, trace, d_y, owners={owner})
    assert (owner, "w") in part.params
    for key, value in part.params.items():
        np.testing.assert_array_equal(value, whole.params[key])
    assert not part.values
    if owner == "fc":
        assert {node for node, _ in part.params} == {"fc"}


@pytest.mark.parametrize("edge", ["input", "r1", "cat"])
def test_an_edge_asked_for_is_reached_whatever_the_owners(edge):
    """Also where it is the start of the run, or a fork of which one branch has no owner."""
    network, trace = dyadic_run()
    d_y = {"fc": dyadic(np.random.default_rng(5), 2, 3)}
    whole = backward(network, trace, d_y, edges=(edge,))
    part = backward(network, trace, d_y, edges=(edge,), owners={"c3"})
    assert list(part.values) == [edge]
    np.testing.assert_array_equal(part.values[edge], whole.values[edge])


def test_an_edge_asked_for_is_reached_through_a_product_that_leaves_out_what_nobody_wants():
    """The patches start the run: nothing made them, and no parameter of the product is wanted."""
    network, rng = lower(everything(dyadic)), np.random.default_rng(6)
    patches = forward(network, images(dyadic)).values["c3.patches"]
    trace = forward(network, {"c3.patches": patches}, ("c3.product",))
    d_y = dyadic(rng, *trace.values["c3.product"].shape)
    part = backward(network, trace, {"c3.product": d_y}, edges=("c3.patches",), owners=())
    w = network.params[("c3.product", "w")].reshape(d_y.shape[1], -1)
    np.testing.assert_array_equal(part.values["c3.patches"], np.einsum("or,nopq->nrpq", w, d_y))
    assert not part.params


def test_backward_leaves_the_cotangents_alone():
    network, trace = dyadic_run()
    cotangents = {"fc": np.ones((2, 3)), "sum": np.ones((2, 6, 6, 6))}
    backward(network, trace, cotangents)
    assert list(cotangents) == ["fc", "sum"]
    assert all(np.all(value == 1.0) for value in cotangents.values())


def test_parameters_given_to_a_run_replace_those_of_the_network():
    network, trace = dyadic_run()
    bias = network.params[("fc", "bias")]
    other = forward(network, trace.values["input"], params={("fc", "bias"): bias + 1.0})
    np.testing.assert_array_equal(other.values["fc"], trace.values["fc"] + 1.0)
    np.testing.assert_array_equal(network(trace.values["input"]), trace.values["fc"])


def test_a_given_value_is_not_computed_again_unless_asked():
    network, trace = dyadic_run()
    shifted = {"input": trace.values["input"], "flat": trace.values["flat"] + 1.0}
    w, kept = network.params[("fc", "w")], forward(network, shifted)
    moved = trace.values["fc"] + np.add.reduce(w, axis=1)
    np.testing.assert_array_equal(kept.values["fc"], moved)
    assert "flat" not in kept.caches
    again = forward(network, shifted | {"gap": trace.values["gap"]}, ("flat", "fc"))
    np.testing.assert_array_equal(again.values["fc"], trace.values["fc"])


def test_a_run_may_forget_what_nobody_reads_any_more():
    """The values to keep, and what nobody reads; every gradient as ever."""
    network, trace = dyadic_run()
    spare = forward(network, trace.values["input"], keep=("r1",))
    assert spare.values.keys() == {"r1", "fc"}
    for edge, value in spare.values.items():
        np.testing.assert_array_equal(value, trace.values[edge])
    d_y = dyadic(np.random.default_rng(4), 2, 3)
    whole, found = (backward(network, t, {"fc": d_y}) for t in (trace, spare))
    assert found.params.keys() == whole.params.keys()
    for key, value in whole.params.items():
        np.testing.assert_array_equal(found.params[key], value)


def test_evaluate_gives_the_values_of_a_run_from_wherever_it_starts():
    network, trace = dyadic_run()
    x = trace.values["input"]
    for edge, value in trace.values.items():
        found = evaluate(network, x, (edge,))
        assert list(found) == [edge]
        np.testing.assert_array_equal(found[edge], value)
    found = evaluate(network, x, ("r1", "input", "fc"))
    assert list(found) == ["r1", "input", "fc"]
    given = {"r1": trace.values["r1"] + 1.0, "n2": trace.values["n2"]}
    found = evaluate(network, given, ("sum", "n2"))
    np.testing.assert_array_equal(found["sum"], trace.values["sum"] + 1.0)
    assert found["n2"] is given["n2"]


def test_evaluate_runs_only_what_is_needed():
    """All parameters after c1 are missing, and nobody minds until one of them is read."""
    network = everything(dyadic)
    bare = Network("bare", network.input_shape, network.nodes, {("c1", "w"): np.ones((6, 2, 3, 3))})
    assert evaluate(bare, images(dyadic), ("c1",))["c1"].shape == (2, 6, 6, 6)
    with pytest.raises(ValueError, match=r"\('n1', 'gamma'\) is missing"):
        evaluate(bare, images(dyadic), ("n1",))


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_prediction_in_batches_equals_prediction_at_once(batch):
    network, x = everything(dyadic), images(dyadic, 7)
    np.testing.assert_array_equal(predict(network, x, batch), network(x))
    assert predict(network, x[:0], batch).shape == (0, 3)


def test_runs_in_single_precision_stay_there():
    network = everything(dyadic)
    single = {key: value.astype(np.float32) for key, value in network.params.items()}
    network = replace_params(network, single)
    trace = forward(network, images(dyadic).astype(np.float32))
    assert {value.dtype for value in trace.values.values()} == {np.dtype(np.float32)}
    grads = backward(network, trace, {"fc": np.ones((2, 3), np.float32)})
    assert {value.dtype for value in grads.params.values()} == {np.dtype(np.float32)}
    # float64 has the dyadic values exactly; float32 rounds some after 24 bits.
    np.testing.assert_allclose(trace.values["fc"], dyadic_run()[1].values["fc"], rtol=1e-5)


def test_mistakes_are_named():
    network, trace = dyadic_run()
    x = trace.values["input"]
    with pytest.raises(ValueError, match=r"expected \(n, 4, 6, 6\).*leading axis"):
        forward(network, x[0])
    with pytest.raises(TypeError, match="float32 or float64"):
        forward(network, x.astype(int))
    with pytest.raises(ValueError, match=r"node 'sum' is without a value for 'n2'.*run node 'n2'"):
        forward(network, {"r1": trace.values["r1"]}, ("sum",))
    with pytest.raises(ValueError, match="Did you mean 'flat'"):
        forward(network, x, ("flot",))
    with pytest.raises(ValueError, match="Did you mean 'flat'"):
        evaluate(network, x, ("flot",))
    with pytest.raises(ValueError, match="edge of cotangents is 'fd'"):
        backward(network, trace, {"fd": x})
    with pytest.raises(ValueError, match=r"cotangent of 'fc' is of shape \(2, 1\)"):
        backward(network, trace, {"fc": np.ones((2, 1))})
    with pytest.raises(ValueError, match="batch"):
        predict(network, x, 0)
    with pytest.raises(ValueError, match=r"\('fc1', 'w'\) is missing"):
        mlp_like()(np.ones((1, 2, 2, 2)))


def test_a_layers_complaint_is_noted_with_the_node():
    network = Network(
        "n", (3, 4, 4), (conv("first", "input"),), {("first", "w"): np.ones((2, 4, 3, 3))}
    )
    with pytest.raises(ValueError) as caught:
        network(np.ones((1, 3, 4, 4)))
    assert caught.value.__notes__ == ["in node 'first' (conv2d)"]
