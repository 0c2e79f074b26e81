"""Networks as data: what is refused, what cannot be changed, what survives a worker process."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import FrozenInstanceError, replace
from multiprocessing import get_context

import numpy as np
import pytest

from oracle_tests.network_samples import everything, images, plain, writable_parameters
from refquant.network import (
    Network,
    Node,
    consumers,
    count_parameters,
    describe,
    forward,
    replace_params,
    shapes,
    training_mode,
)
from refquant.network.ops import OPS
from refquant.network.signatures import SIGNATURES

A, B = plain("a", "relu", "input"), plain("b", "relu", "a")


def make(nodes=(A, B), params=None, blocks=(), shape=(2,)):
    return Network("n", shape, nodes, params or {}, blocks)


def test_every_operation_has_a_signature():
    assert set(OPS) == set(SIGNATURES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": (A, A)}, r"'a', used twice; expected unique names"),
        ({"nodes": (plain("input", "relu", "input"),)}, "the name of the network's input"),
        ({"nodes": (A, plain("b", "relu", "inptu"))}, r"input of node 'b'.*Did you mean 'input'"),
        ({"nodes": (B, A)}, r"an input of node 'b' is 'a'"),
        ({"nodes": ()}, "at least one node"),
        ({"params": {("aa", "w"): np.ones(2)}}, r"owner of parameter 'w'.*Did you mean 'a'"),
        ({"blocks": (("one", ("a", "c")),)}, r"member of block 'one'"),
        ({"blocks": (("one", ("a",)), ("one", ("b",)))}, r"'one', a name used twice"),
        ({"blocks": (("one", ()),)}, r"'one', without nodes"),
        ({"blocks": (("one", ("a",)), ("two", ("a",)))}, r"in 'one' and in 'two'"),
        ({"shape": (2, 0)}, r"input_shape is 0"),
    ],
)
def test_a_network_that_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", "rleu", ("input",)), ValueError, r"op of node 'a'.*Did you mean 'relu'"),
        (("a", "relu", "input"), TypeError, r"Write \('input',\)"),
        (("a", "relu", ("x", "y")), ValueError, "of 2 names; expected 1 for 'relu'"),
        (("a", "add", ("x",)), ValueError, "at least 2"),
        (("a", "conv2d", ("x",)), ValueError, r"attrs of node 'a' is \[\]; expected \['geometry'"),
        (("a", "relu", ("x",), (("slope", 1),)), ValueError, r"\['slope'\]; expected \[\]"),
        (("a", "relu", ("x",), {}), TypeError, "tuple of"),
        (("", "relu", ("x",)), TypeError, "non-empty"),
    ],
)
def test_a_node_that_its_operation_cannot_run_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Node(*arguments)


def test_a_parameter_must_hold_numbers():
    for bad in (np.array(["x"]), np.array([None]), np.array([1j])):
        with pytest.raises(TypeError, match="floats, integers or booleans"):
            make(params={("a", "w"): bad})


def test_lookups_name_the_nearest():
    network = everything()
    assert network.node("c2").op == "conv2d" and network.output == "fc"
    with pytest.raises(ValueError, match="Did you mean 'leak'"):
        network.node("leek")
    with pytest.raises(ValueError, match="Did you mean 'slope'"):
        network.node("leak").attr("slop")
    assert set(network.params_of("c2")) == {"w", "bias"}
    assert [node.name for node in consumers(network, "r1")] == ["c2", "sum"]
    # c1 108, c2 36 + 6, c3 192 + 4, fc 12 + 3, norms 4 * (6 + 6 + 12)
    assert count_parameters(network) == 108 + 42 + 196 + 15 + 96


def test_the_callers_arrays_are_neither_kept_nor_frozen():
    w = np.ones((2, 2))
    network = make(params={("a", "w"): w, ("a", "view"): w[:1]})
    w[:] = 7.0
    np.testing.assert_array_equal(network.params[("a", "w")], np.ones((2, 2)))
    np.testing.assert_array_equal(network.params[("a", "view")], np.ones((1, 2)))


def test_a_read_only_view_of_a_writable_array_is_copied_too():
    w = np.ones(3)
    view = w.view()
    view.flags.writeable = False
    network = make(params={("a", "w"): view})
    w[:] = 7.0
    np.testing.assert_array_equal(network.params[("a", "w")], np.ones(3))


def test_nothing_can_be_changed():
    network = everything()
    assert not writable_parameters(network)
    with pytest.raises(ValueError, match="read-only"):
        network.params[("c1", "w")][0] = 1.0
    with pytest.raises(TypeError):
        network.params[("c1", "w")] = np.ones(1)
    with pytest.raises(FrozenInstanceError):
        network.name = "other"
    given = {("a", "w"): np.ones(1)}
    made = make(params=given)
    given[("a", "v")] = np.ones(1)
    assert list(made.params) == [("a", "w")]


def test_networks_made_from_one_another_share_their_arrays():
    network = everything()
    other = replace_params(network, {("fc", "bias"): np.zeros(3)})
    assert other.params[("c1", "w")] is network.params[("c1", "w")]
    np.testing.assert_array_equal(other.params[("fc", "bias")], np.zeros(3))
    assert np.any(network.params[("fc", "bias")] != 0.0)


def test_parameters_are_stored_native_and_in_c_order():
    w = np.asfortranarray(np.arange(6.0).reshape(2, 3)).astype(">f8")
    stored = make(params={("a", "w"): w}).params[("a", "w")]
    assert stored.flags.c_contiguous and stored.dtype.isnative
    np.testing.assert_array_equal(stored, w)


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, *(lambda n, p=p: pickle.loads(pickle.dumps(n, p)) for p in range(2, 6))],
)
def test_copies_and_pickles_equal_the_network_and_stay_read_only(again):
    network = everything()
    other = again(network)
    for name in ("name", "input_shape", "nodes", "blocks"):
        assert getattr(other, name) == getattr(network, name)
    assert list(other.params) == list(network.params)
    for key, value in network.params.items():
        np.testing.assert_array_equal(other.params[key], value)
    assert not writable_parameters(other)
    with pytest.raises(TypeError):
        other.params[("c1", "w")] = np.ones(1)


def test_a_spawned_worker_gets_read_only_arrays():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(writable_parameters, everything()).result() == []


def test_training_mode_changes_batch_norms_and_nothing_else():
    """Each norm's batch comes out with mean beta and deviation |gamma| sqrt(var/(var + eps))."""
    network = everything()
    training = training_mode(network)
    changed = {n.name for n, m in zip(network.nodes, training.nodes, strict=True) if n != m}
    assert changed == {"n1", "n2", "n3"}
    assert all(training.params[key] is value for key, value in network.params.items())
    assert all(replace(m, op=n.op) == n for n, m in zip(network.nodes, training.nodes, strict=True))
    trace = forward(training, images(n=8))
    beta = network.params[("n1", "beta")]
    np.testing.assert_allclose(trace.values["n1"].mean(axis=(0, 2, 3)), beta, atol=1e-14)
    np.testing.assert_allclose(trace.caches["n1"].mean, trace.values["c1"].mean(axis=(0, 2, 3)))


def test_shapes_and_table_of_a_network():
    """Derived by hand: 6 x 6 maps, pooled to 3 x 3, a 2 x 2 kernel leaves 2 x 2."""
    network = everything()
    found = shapes(network)
    assert found["input"] == (4, 6, 6) and found["act"] == (6, 6, 6)
    assert found["cat"] == (12, 3, 3) and found["c3"] == (4, 2, 2)
    assert found["gap"] == (4, 1, 1) and found["flat"] == (4,) and found["fc"] == (3,)
    lines = describe(network).splitlines()
    assert lines[0] == "everything: 457 parameters in 16 nodes"
    assert [line.split() for line in lines if line.startswith("sum ")] == [
        ["sum", "add", "n2,", "r1", "6", "x", "6", "x", "6"]
    ]
    assert next(line for line in lines if line.startswith("c2 ")).split()[-1] == "42"
