"""A batch in portions has the loss and the gradients of the whole batch, on any geometry."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import BITS, CASE_112, conv, images, plain, residual, task_of
from oracle_tests.term_cases import DIAG, FULL, KL, MIXED
from refquant import numerics as nx
from refquant.layers.geometry import Geometry
from refquant.methods import METHODS, Mix, Term
from refquant.methods.real_weights import with_real_weights
from refquant.network import Network
from refquant.reconstruct import portions
from refquant.reconstruct.folded import foldable
from refquant.reconstruct.model import weight_params
from refquant.reconstruct.rest import weighed
from refquant.reconstruct.unit import gradients

SETTINGS = ("aquant", "aquant-recommended", "qdrop", "brecq", "adaqtransform")
# Summands of a gradient: at most 2^9 windows times 2^5 rows; a portion changes their order only.
ROUNDINGS = 2**14


def odd():
    """Asymmetric padding and stride 2; groups; depthwise and dilated; 5x5; 1x1; 3x3."""
    rng = np.random.default_rng(4)
    shapes = {
        "a": (Geometry((3, 3), stride=(2, 1), padding=(1, 0, 2, 1)), (4, 2, 3, 3)),
        "b": (Geometry((3, 3), padding=(1, 1, 1, 1), groups=2), (6, 2, 3, 3)),
        "c": (Geometry((3, 2), dilation=(1, 2), padding=(1, 2, 1, 0), groups=6), (6, 1, 3, 2)),
        "d": (Geometry((5, 5), stride=(1, 2), padding=(2, 2, 2, 2)), (4, 6, 5, 5)),
        "e": (Geometry((1, 1)), (3, 4, 1, 1)),
        "f": (Geometry((3, 3), padding=(1, 2, 0, 1)), (4, 3, 3, 3)),
    }
    nodes, params, source = [], {}, "input"
    for name, (geometry, shape) in shapes.items():
        nodes += [conv(name, source, geometry), plain(f"r{name}", "relu", name)]
        params[(name, "w")] = rng.normal(0, 1.5 / np.sqrt(np.prod(shape[1:])), shape)
        params[(name, "bias")] = rng.normal(0, 0.1, shape[0])
        source = f"r{name}"
    block = ("all", tuple(node.name for node in nodes))
    return Network("odd", (2, 7, 6), tuple(nodes), params, (block,))


def whole_and_cut(monkeypatch, task, own, step=6):
    """Return the step of the whole batch, of one sample at a time, and of odd portions."""
    found = []
    for size in (2**40, 1, 3 * task.widest):
        monkeypatch.setattr(portions, "BYTES", size)
        found.append(gradients(task, own, step))
    return found


def assert_alike(one, other, dtype):
    """Equal up to the order of the sums."""
    unit = np.finfo(dtype).eps
    assert one.grads.keys() == other.grads.keys()
    assert abs(one.loss - other.loss) <= ROUNDINGS * unit * abs(one.loss)
    for key, value in one.grads.items():
        assert other.grads[key].dtype == value.dtype
        bound = ROUNDINGS * unit * max(np.abs(value).max(), np.abs(other.grads[key]).max())
        assert np.all(np.abs(value - other.grads[key]) <= bound), key


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("network", [odd, residual])
def test_portions_are_the_whole_batch(monkeypatch, name, network):
    """Loss and every gradient, on odd geometry and on a block with a skip path."""
    net = network()
    setting = METHODS[name]
    first = replace(setting.phases[-1], batch=8)
    task, own = task_of(net, images(net), replace(setting, phases=(first,)), bits=BITS)
    own = {k: np.asarray(0.6) if k[1] == "a" else v for k, v in own.items()}
    whole, single, thirds = whole_and_cut(monkeypatch, task, own)
    assert_alike(whole, single, np.float64)
    assert_alike(whole, thirds, np.float64)


@pytest.mark.parametrize("name", ["qdrop", "brecq", "aquant"])
def test_joined_nodes_take_the_same_step(name):
    """Fast arithmetic runs the parts of a layer in one node where a kernel computes them."""
    net = odd()
    setting = replace(METHODS[name], phases=(replace(METHODS[name].phases[-1], batch=8),))
    task, own = task_of(net, images(net), setting, bits=BITS)
    apart = replace(task)
    vars(apart)["joined"] = apart
    joined = {node.op for node in task.joined.network.nodes}
    assert ("patches_product" in joined) == (name != "aquant")
    assert ("quantized_product" in joined) == (name == "aquant")
    assert_alike(gradients(task, own, 6), gradients(apart, own, 6), np.float64)


@pytest.mark.parametrize("name", [*SETTINGS, "adaqtransform-layer", "adaqtransform-pixel"])
def test_kernels_take_the_step_of_the_definitions(name):
    """Pinned arithmetic runs no kernel; alike up to rounding, on every geometry."""
    net = odd()
    setting = replace(METHODS[name], phases=(replace(METHODS[name].phases[-1], batch=8),))
    task, own = task_of(net, images(net), setting, bits=BITS)
    rng = np.random.default_rng(1)  # no sum over a layer cancels to a thousandth of its like
    for key, value in own.items():
        if key[1] in ("xi", "eta"):
            own[key] = np.asarray(value + rng.normal(0, 0.1, value.shape))
        elif key[1] == "a":
            own[key] = np.asarray(0.6)
    fast = gradients(task, own, 6)
    with nx.arithmetic("pinned", slices=3):
        assert_alike(fast, gradients(task, own, 6), np.float64)


@pytest.mark.parametrize("owners", [{"l"}, {"l.product"}, set(), {"l", "l.product"}])
def test_a_layer_is_folded_only_where_both_gradients_are_asked_for(owners):
    """`backward` may leave out the others', of which scale and shift need both."""
    params = {("l.product", "w"): np.ones((2, 3)), ("l", "xi"): np.ones(2)}
    assert set(foldable(params, owners, {})) == ({"l"} if len(owners) == 2 else set())


@pytest.mark.parametrize("terms", [(KL,), (DIAG,), (FULL,), (Term(normalize="power"), KL)])
def test_every_term_is_a_mean_over_samples(monkeypatch, terms):
    net = residual()
    phase = replace(CASE_112.phases[0], terms=terms, mix=MIXED)
    task, own = task_of(net, images(net), replace(CASE_112, phases=(phase,)))
    whole, single, thirds = whole_and_cut(monkeypatch, weighed(task, own), own)
    assert_alike(whole, single, np.float64)
    assert_alike(whole, thirds, np.float64)


def test_a_scalar_share_is_for_all_portions(monkeypatch):
    """The annealed mixture has one number for the step, not a row a sample."""
    net = residual()
    mix = (Mix(at="quantizers", rule="anneal"),)
    phase = replace(CASE_112.phases[0], mix=mix)
    task, own = task_of(net, images(net), replace(CASE_112, phases=(phase,)))
    whole, single, _ = whole_and_cut(monkeypatch, task, own)
    assert_alike(whole, single, np.float64)


def test_pinned_arithmetic_does_not_cut(monkeypatch):
    """The order of its sums is part of the result."""
    net = residual()
    task, own = task_of(net, images(net), CASE_112)
    with nx.arithmetic("pinned"):
        whole, single, _ = whole_and_cut(monkeypatch, task, own)
    assert single.loss == whole.loss
    for key, value in whole.grads.items():
        assert np.array_equal(single.grads[key], value)


def test_portions_cover_the_batch_once(monkeypatch):
    net = residual()
    task, _ = task_of(net, images(net), CASE_112)
    indices = np.arange(8)
    for samples, count in ((1, 8), (2, 4), (3, 3), (6, 1), (8, 1), (100, 1)):
        monkeypatch.setattr(portions, "BYTES", samples * task.widest)
        parts = [indices[rows] for rows in portions.portions(task, indices)]
        assert len(parts) == count
        assert np.concatenate(parts).tolist() == indices.tolist()


def test_the_widest_edge_is_the_patches_of_the_block():
    """Depthwise 3x3 on (4, 4, 4): 4 * 9 * 16 float64 numbers a sample."""
    net = residual()
    task, _ = task_of(net, images(net), CASE_112, unit=1)
    assert task.widest == 4 * 9 * 16 * 8


def test_quantizers_are_not_joined_where_weights_stay_real():
    """Their product's gradient, which a joined node's step needs, is then nobody else's."""
    net = odd()
    task, _ = task_of(net, images(net), with_real_weights(METHODS["aquant"]), bits=BITS)
    assert "quantized_product" not in {node.op for node in task.joined.network.nodes}


def test_a_joined_quantizer_has_its_gradients_without_the_filters():
    """As where the codes of a layer are frozen, and only its step is asked for."""
    net = odd()
    task, own = task_of(net, images(net), METHODS["aquant"], bits=BITS)
    weights, _ = weight_params(task.model, own, task.quantized_layers)
    given = (task, dict(task.inputs), np.arange(len(images(net))), {**own, **weights})
    owners = {"c.patches.q"}
    _, found = portions.loss_and_gradients(*given, owners)
    _, whole = portions.loss_and_gradients(*given, {*owners, "c.product"})
    assert ("c.patches.q", "s_x") in found
    assert all(np.array_equal(found[key], whole[key]) for key in found)


def test_joined_the_patches_that_a_kernel_makes_count():
    """The widest edge of the step as it was, though no node makes it any more."""
    geometry = Geometry((3, 3), stride=(2, 1), padding=(1, 0, 2, 1))
    w = np.random.default_rng(1).normal(size=(2, 4, 3, 3))
    net = Network("one", (4, 7, 6), (conv("a", "input", geometry),), {("a", "w"): w})
    task, _ = task_of(net, images(net), METHODS["aquant"])
    patches = 4 * 9 * np.prod(geometry.output_size(7, 6)) * 8
    assert (task.widest, task.joined.widest) == (patches, patches)


def test_joined_the_tiles_of_the_kernel_count_by_half():
    """A 3x3 convolution of (4, 4, 4): 4 channels, 16 places, 2 * 2 tiles of float64 numbers."""
    w = np.random.default_rng(1).normal(size=(2, 4, 3, 3))
    geometry = Geometry((3, 3), padding=(1, 1, 1, 1))
    net = Network("one", (4, 4, 4), (conv("a", "input", geometry),), {("a", "w"): w})
    task, _ = task_of(net, images(net), METHODS["qdrop"])
    assert (task.widest, task.joined.widest) == (4 * 9 * 16 * 8, 4 * 16 * 2 * 2 * 8 // 2)
