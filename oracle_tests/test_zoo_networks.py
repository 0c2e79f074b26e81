"""The zoo's networks: what they are made of, and that the embedded ones are good."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from refquant import numerics as nx
from refquant import zoo
from refquant.network import consumers, count_parameters, fold, predict
from refquant.zoo.catalogue import entry, flatten, unflatten
from refquant.zoo.recipes import COPIES, RECIPES
from refquant.zoo.training import digest

IMAGE_NETWORKS = ("digits-resnet", "digits-mobilenet", "digits-regnet")
ARCHITECTURES = (*IMAGE_NETWORKS, "digits-mlp")


def build(architecture, seed=1):
    return RECIPES[architecture].build(seed)


def ops(network):
    return [node.op for node in network.nodes]


def test_names_are_three_copies_of_four_architectures():
    expected = {f"{a}:{k}" for a in ARCHITECTURES for k in (1, 2, 3)}
    assert set(zoo.names()) == expected and len(zoo.names()) == 12


def test_a_plain_name_is_the_first_copy():
    assert zoo.load("digits-mlp").name == "digits-mlp:1"
    assert np.array_equal(flatten(zoo.load("digits-mlp")), flatten(zoo.load("digits-mlp:1")))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("digits-resnt", "digits-resnet"),
        ("digits-mobilenet:4", "digits-mobilenet:"),
        ("digit_mlp", "digits-mlp"),
    ],
)
def test_an_unknown_name_brings_the_nearest_known_one(name, near):
    for function in (zoo.load, zoo.train, zoo.check):
        with pytest.raises(ValueError, match=f"Did you mean '{near}"):
            function(name)


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match=r"zoo\.load\(\): dtype is 'float16'"):
        zoo.load("digits-mlp", dtype="float16")


def test_a_vector_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="digits-mlp:1"):
        unflatten(entry("digits-mlp"), np.zeros(7))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_flatten_and_unflatten_are_inverses(architecture):
    network = build(architecture)
    again = unflatten(entry(architecture), flatten(network))
    assert list(again.params) == list(network.params)
    assert all(np.array_equal(again.params[key], network.params[key]) for key in network.params)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_random_weights_follow_he_and_depend_on_the_seed_and_the_layer_only(architecture):
    network, other = build(architecture, 1), build(architecture, 2)
    with nx.arithmetic("pinned", slices=3):
        again = build(architecture, 1)
    scaled = []
    for key, value in network.params.items():
        assert value.dtype == np.float64
        assert np.array_equal(value, again.params[key]), key
        if key[1] == "w":
            assert not np.any(value == other.params[key])
            scaled.append(value.reshape(-1) * np.sqrt(prod(value.shape[1:]) / 2.0))
        else:
            expected = 1.0 if key[1] in ("gamma", "var") else 0.0
            assert np.all(value == expected), key
    noise = np.concatenate(scaled)
    # Mean and variance of N standard normals: standard errors 1 / sqrt(N) and sqrt(2 / N).
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.size)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_blocks_hold_everything_but_the_stem_and_the_last_linear(architecture):
    network = build(architecture)
    members = [name for _, block in network.blocks for name in block]
    assert [block for block, _ in network.blocks] == [
        f"block{i}" for i in range(1, len(network.blocks) + 1)
    ]
    assert len(members) == len(set(members))
    weighted = [node.name for node in network.nodes if node.op in ("conv2d", "linear")]
    assert weighted[1:-1] == [name for name in weighted if name in members]
    assert all(
        node.name in members
        for node in network.nodes
        if node.op in ("add", "batch_norm") and node.name != "stem.bn"
    )
    # Blocks are consecutive runs of nodes, in order.
    order = [node.name for node in network.nodes]
    assert members == order[order.index(members[0]) : order.index(members[-1]) + 1]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_its_last_node_leaves_a_block(architecture):
    network = build(architecture)
    for _, members in network.blocks:
        for name in members[:-1]:
            assert all(reader.name in members for reader in consumers(network, name)), name


@pytest.mark.parametrize("architecture", IMAGE_NETWORKS)
def test_image_networks_end_in_pooling_flattening_and_a_linear_layer(architecture):
    network = build(architecture)
    assert ops(network)[-3:] == ["global_average_pool", "flatten", "linear"]
    assert ops(network)[0] == "conv2d" and network.nodes[0].name == "stem"
    assert len([op for op in ops(network) if op in ("conv2d", "linear")]) >= 10


@pytest.mark.parametrize("architecture", IMAGE_NETWORKS)
def test_every_batch_norm_folds(architecture):
    assert "batch_norm" not in ops(fold(build(architecture)))


def convs(network):
    """Return {name: (c_in, c_out, groups, kernel, stride)} of the convolutions."""
    found = {}
    for node in network.nodes:
        if node.op == "conv2d":
            geometry = node.attr("geometry")
            c_out, per_group = network.params[(node.name, "w")].shape[:2]
            c_in = per_group * geometry.groups
            found[node.name] = (c_in, c_out, geometry.groups, geometry.kernel, geometry.stride)
    return found


def test_resnet_has_basic_blocks_with_1x1_downsampling_where_the_shape_changes():
    network = build("digits-resnet")
    found = convs(network)
    assert ops(network).count("add") == len(network.blocks)
    assert all(groups == 1 for _, _, groups, _, _ in found.values())
    for block, members in network.blocks:
        c_in, c_out, _, kernel, stride = found[f"{block}.conv1"]
        changes = stride != (1, 1) or c_in != c_out
        assert (f"{block}.downsample" in members) == changes
        assert kernel == (3, 3)
        if changes:
            assert found[f"{block}.downsample"] == (c_in, c_out, 1, (1, 1), stride)
    assert any(stride == (2, 2) for *_, stride in found.values())


def test_mobilenet_has_depthwise_convolutions_relu6_and_linear_bottlenecks():
    network = build("digits-mobilenet")
    found = convs(network)
    assert "relu6" in ops(network) and "relu" not in ops(network)
    for block, members in network.blocks:
        c_in, wide, groups, kernel, _ = found[f"{block}.expand"]
        assert (groups, kernel) == (1, (1, 1)) and wide > c_in
        assert found[f"{block}.depthwise"][:4] == (wide, wide, wide, (3, 3))
        c_out, stride = found[f"{block}.project"][1], found[f"{block}.depthwise"][4]
        assert (f"{block}.add" in members) == (c_in == c_out and stride == (1, 1))
        assert network.node(members[-1]).op in ("batch_norm", "add")  # no activation at the end
    assert "add" in ops(network)


def test_regnet_has_grouped_bottlenecks():
    network = build("digits-regnet")
    found = convs(network)
    assert ops(network).count("add") == len(network.blocks)
    for block, _ in network.blocks:
        _, c_out, groups, kernel, _ = found[f"{block}.conv2"]
        assert kernel == (3, 3) and 1 < groups < c_out
        assert found[f"{block}.conv1"][3] == found[f"{block}.conv3"][3] == (1, 1)


def test_mlp_is_three_linear_layers():
    assert ops(build("digits-mlp")) == ["flatten", "linear", "relu", "linear", "relu", "linear"]


@pytest.mark.parametrize("name", [f"{a}:{k}" for a in ARCHITECTURES for k in COPIES])
def test_each_network_reads_at_least_97_percent_of_the_test_digits(name):
    network, test = zoo.load(name), zoo.data().test
    logits = predict(network, test.x.astype(np.float64))
    assert logits.dtype == np.float64 and logits.shape == (773, 10)
    assert (logits.argmax(axis=1) == test.y).mean() >= 0.97


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float32_and_float64_hold_the_same_numbers(architecture):
    single, double = zoo.load(architecture, dtype="float32"), zoo.load(architecture)
    for key, value in single.params.items():
        assert value.dtype == np.float32 and double.params[key].dtype == np.float64
        assert np.array_equal(value, double.params[key])
    assert single(zoo.data().test.x[:2]).dtype == np.float32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_copies_differ(architecture):
    one, two, three = (flatten(zoo.load(f"{architecture}:{k}")) for k in COPIES)
    assert np.any(one != two) and np.any(one != three) and np.any(two != three)


def test_the_twelve_stay_small():
    total = sum(4 * count_parameters(zoo.load(name)) for name in zoo.names())
    assert total < 2 * 2**20


def test_the_committed_table_is_of_these_weights():
    """The rest of validation/zoo.md is compared by ``python -m validation.zoo_table --check``."""
    table = Path(__file__).parents[1] / "validation" / "zoo.md"
    rows = [line.split(" | ") for line in table.read_text().splitlines() if line.startswith("| d")]
    listed = {cells[0].strip("| "): cells[-1].strip("|` ") for cells in rows if ":" in cells[0]}
    assert listed == {name: digest(flatten(zoo.load(name))) for name in zoo.names()}
