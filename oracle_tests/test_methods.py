"""Laws that hold for every method of the catalogue, and for the settings of table 15.1."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import TABLE, adaround, classes, images, residual
from refquant import numerics as nx
from refquant.calibrate.ranges import MinMax
from refquant.components import (
    AdaRoundWeights,
    DecoupledWeights,
    NearestActivations,
    NearestWeights,
)
from refquant.deploy import run_fake, run_integer
from refquant.layers.geometry import Geometry
from refquant.methods import METHODS
from refquant.methods.nearest import NEAREST
from refquant.methods.prepare import FoldBatchNorm
from refquant.network import Network, Node, fold
from refquant.pipeline import quantize
from refquant.quantizers.grid import Grid

AFFINE = replace(
    adaround(), name="affine", weights=AdaRoundWeights(grid="affine", calibration=MinMax())
)
COMPOSED = tuple(
    METHODS[name]
    for name in ("brecq+adaqtransform", "aquant+adaqtransform+bias-correction", "qdrop+cle+ols")
)
# Real weights have no codes; A-rounding has tests of its own.
LISTED = {name: setting for name, setting in METHODS.items() if setting.weights is not None}
EVERY = {**LISTED, **{setting.name: setting for setting in (*TABLE, AFFINE, *COMPOSED)}}
STEPS = 4
every = pytest.mark.parametrize("name", EVERY)
# In so few steps that it may travel as far as in all, xi moves by a fifth a step.
pytestmark = pytest.mark.filterwarnings("ignore:.*xi is:UserWarning")


def run(name, network=None, x=None, **options):
    network = residual() if network is None else network
    x = images(network) if x is None else x
    widths = {"weight_bits": 3, "act_bits": 4}
    options = {**widths, "steps": STEPS, "labels": classes(x), **options}
    return quantize(network, x, EVERY.get(name, name), **options)


@cache
def plainly(name):
    """The run that several laws look at; a result is immutable."""
    return run(name)


def bits_of(result):
    """Everything a result holds, as bytes by name."""
    found = {str(key): value.tobytes() for key, value in result.prepared.params.items()}
    for layer, values in result.layers.items():
        for field, value in values._asdict().items():
            parts = value if isinstance(value, dict) else {"": value}  # a border has several
            for part, array in parts.items():
                found[f"{layer}.{field}{part}"] = b"" if array is None else array.tobytes()
    return found, result.history


@every
@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_same_seed_same_bits(name, mode):
    """And the global generator plays no part."""
    with nx.arithmetic(mode):
        np.random.seed(1)  # noqa: NPY002
        first = run(name, seed=3)
        np.random.seed(2)  # noqa: NPY002
        assert bits_of(run(name, seed=3)) == bits_of(first)


@every
def test_another_seed_differs_where_a_method_draws(name):
    """Batches are drawn from the seed; without learning, or in a fixed order, nothing is drawn."""
    x = images(residual(), n=40)  # more than a batch
    one, two = (bits_of(run(name, x=x, seed=seed)) for seed in (0, 1))
    phases = [phase for phase in EVERY[name].phases if phase.solver == "minibatch"]
    assert (one != two) == any(phase.sampling not in ("cycle", "full") for phase in phases)


@every
def test_what_is_not_learnt_comes_back_unchanged(name):
    """Steps, zero points and float weights are those of the run that learns nothing.

    The step of a layer is the one that multiplies its codes: s_w_out where the two are apart.
    """
    setting = EVERY[name]
    moved = {*setting.learnt, *setting.fitted}
    if isinstance(setting.weights, DecoupledWeights):
        moved = moved - {"s_w"} | ({"s_w"} if "s_w_out" in moved else set())
    if {"r_w", "m_w"} & moved:  # AdaQuant: step and zero point follow from the range
        moved |= {"s_w", "zero_point"}
    if "z_w" in moved:
        moved |= {"zero_point"}
    found = plainly(name)
    still = run(replace(setting, phases=(), name="still"))
    for key, value in still.prepared.params.items():
        if key[1] not in moved:
            np.testing.assert_array_equal(found.prepared.params[key], value, err_msg=str(key))
    for layer, values in still.layers.items():
        for field in ("s_w", "zero_point", "alpha", "xi", "eta"):
            value = getattr(values, field)
            if value is not None and field not in moved:
                np.testing.assert_array_equal(getattr(found.layers[layer], field), value)


def placed(setting, placement):
    """The setting at another placement; on the Gram matrix, s_x is learnt at the input alone."""
    phases = tuple(
        replace(phase, learn=tuple(pair for pair in phase.learn if pair[0] != "s_x"))
        if phase.solver == "gram" and placement == "output"
        else phase
        for phase in setting.phases
    )
    return replace(setting, placement=placement, phases=phases)


@every
@pytest.mark.parametrize("placement", ["output", "input"])
def test_the_integer_network_equals_the_fake_quantized_one(name, placement):
    """P42: every code and every logit with ==, at both placements of the quantizers."""
    there = EVERY[name].placement == placement
    if not there and any(step.at == "patches" for step in EVERY[name].finish):
        with pytest.raises(ValueError, match="looks at the inputs of layers"):
            replace(EVERY[name], placement=placement)
        return
    if placement not in getattr(EVERY[name].activations, "placements", (placement,)):
        with pytest.raises(ValueError, match="Use placement='input'"):
            replace(EVERY[name], placement=placement)
        return
    result = plainly(name) if there else run(placed(EVERY[name], placement))
    x = images(residual(), 9, seed=4)
    fake, integer = run_fake(result.plan, x), run_integer(result.plan, x)
    assert fake.codes.keys() == integer.codes.keys() and len(fake.codes) >= 4
    for edge in fake.codes:
        np.testing.assert_array_equal(fake.codes[edge], integer.codes[edge])
    assert result.network(x).tobytes() == result.integer(x).tobytes()
    assert result.network(x).shape == (9, 3) and result.network(x).std() > 0


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_codes_lie_on_the_grid(name, dtype):
    """Integers of the layer's bits; in float32 too, whose arrays stay float32."""
    result = plainly(name) if dtype == "float64" else run(name, dtype=dtype)
    component = EVERY[name].weights
    assert list(result.layers) == ["stem", "dw", "point", "fc"]
    for layer, values in result.layers.items():
        grid = Grid(component.grid, 8 if layer in ("stem", "fc") else 3)
        assert values.codes.dtype == np.int64
        assert values.codes.shape == result.prepared.params[(f"{layer}.product", "w")].shape
        assert grid.code_min <= values.codes.min() and values.codes.max() <= grid.code_max
        assert len(np.unique(values.codes)) > 3
        if component.grid == "affine":  # 0 is the zero point, whatever has to be clipped
            still = "v_w" not in EVERY[name].learnt  # weights that are trained may leave the ends
            assert values.codes.max() == grid.code_max or not still
            assert values.zero_point.max() > 0
        floats = [v for f, v in values._asdict().items() if f in ("s_w", "alpha", "xi", "eta")]
        assert all(v is None or v.dtype == dtype for v in floats)
    logits = result.network(images(residual(), 5))
    assert logits.dtype == np.float64 and np.isfinite(logits).all()


@every
def test_float32_is_close_to_float64(name):
    """The same method in another arithmetic: calibrated steps stay close.

    Not closer than a few hundredths: where two candidates of a search are as good, rounding picks.
    A learnt step may move apart: in a single step Adam moves it by its whole rate, in the
    direction of the gradient's sign, however small the gradient.
    """
    wide, narrow = run(name, steps=1), run(name, steps=1, dtype="float32")
    moves = {"s_w", "s_w_out"} & {*EVERY[name].learnt}
    kept = () if moves else tuple(wide.layers)
    for layer in wide.layers:
        assert narrow.layers[layer].s_w.dtype == np.float32
    for layer in kept:
        np.testing.assert_allclose(wide.layers[layer].s_w, narrow.layers[layer].s_w, rtol=0.2)


@every
def test_nothing_of_the_input_is_mutated(name):
    """Network and images keep their bits; the result shares no writable memory with them."""
    network, x = residual(), images(residual())
    before = {key: value.tobytes() for key, value in network.params.items()}
    bytes_of_x = x.tobytes()
    x.flags.writeable = False
    result = run(name, network, x)
    assert {key: value.tobytes() for key, value in network.params.items()} == before
    assert x.tobytes() == bytes_of_x
    for values in result.layers.values():
        for value in values:
            assert value is None or not any(
                np.shares_memory(value, theirs) for theirs in network.params.values()
            )


@every
def test_steps_and_bits_are_recorded(name):
    """What was asked for, as plain integers, and one record a phase and unit."""
    result = run(name, seed=np.int64(5), steps=np.int32(STEPS), weight_bits=np.int8(3))
    assert (result.seed, result.steps, result.bits.weights) == (5, STEPS, 3)
    assert all(type(v) is int for v in (result.seed, result.steps, result.bits.weights))
    assert run(name, seed=5).run_id == result.run_id
    for record in result.history:
        taken = EVERY[name].phases[record.phase].taking(STEPS).steps
        assert record.steps == ((1, 2, 3, 4) if taken == STEPS else (1,))
        assert np.isfinite(record.hard_start) and np.isfinite(record.hard_end)
    assert bool(result.history) == bool(result.setting.phases)
    assert json.loads(json.dumps(result.manifest(), allow_nan=False))["steps"] == STEPS


@every
def test_learnt_values_reach_the_deployed_network(name):
    """xi, eta and steps of the result are those the plan multiplies by."""
    result = plainly(name)
    for layer, values in result.layers.items():
        plan = result.plan.layers[layer]
        np.testing.assert_array_equal(plan.codes, values.codes - values.zero_point)
        s_x = result.plan.coders[plan.source].step
        xi = np.float64(1.0) if values.xi is None else values.xi
        by_channel = (-1, *(1,) * (xi.ndim - 1))  # beside numbers per pixel
        scale = xi * values.s_w.reshape(by_channel) * s_x
        np.testing.assert_array_equal(plan.scale, scale)
        bias = result.prepared.params.get((layer, "bias"), np.zeros(len(values.codes)))
        eta = np.float64(0.0) if values.eta is None else values.eta
        o_x = result.prepared.params.get((plan.source, "o_x"), 0.0)  # LSQ+: o sum w
        sums = plan.codes.reshape(len(bias), -1).sum(axis=1, dtype=np.int64)
        constant = xi * values.s_w * o_x * sums if o_x else 0.0
        np.testing.assert_array_equal(plan.offset, bias.reshape(by_channel) + eta + constant)
    for edge, coder in result.plan.coders.items():
        own = result.prepared.params_of(edge)
        assert coder.step == own.get("s_x", coder.component.step(own))


def test_scaling_a_layer_scales_its_step_alone():
    """P28: by a power of two, the same codes and the output scaled."""
    network = residual()
    doubled = {k: 4.0 * v for k, v in network.params.items() if k[0] == "fc"}
    larger = replace(network, params={**network.params, **doubled})
    plain, scaled = run("nearest", network), run("nearest", larger)
    np.testing.assert_array_equal(plain.layers["fc"].codes, scaled.layers["fc"].codes)
    np.testing.assert_array_equal(4.0 * plain.layers["fc"].s_w, scaled.layers["fc"].s_w)
    x = images(network, 5)
    np.testing.assert_array_equal(4.0 * plain.network(x), scaled.network(x))


def test_flipping_a_feature_and_its_weights_changes_nothing():
    """P27: on narrow grids with ties away from zero, codes change sign and logits stay."""
    narrow = replace(
        NEAREST,
        weights=NearestWeights(grid="narrow", rounding="half_away", calibration=MinMax()),
        activations=NearestActivations(
            grid="narrow", rounding="half_away", calibration=MinMax(), bits=4
        ),
    )
    rng = np.random.default_rng(0)
    w, x = rng.integers(-6, 7, (3, 5)) / 2.0, rng.integers(-6, 7, (20, 5)) / 2.0
    signs = np.array([1.0, -1.0, 1.0, -1.0, -1.0])
    results = []
    for flip in (np.ones(5), signs):
        network = Network("one", (5,), (Node("fc", "linear", ("input",)),), {("fc", "w"): w * flip})
        options = {"weight_bits": 3, "act_bits": 3, "first_last_bits": None}
        results.append((quantize(network, x * flip, narrow, **options), x * flip))
    (plain, x0), (flipped, x1) = results
    np.testing.assert_array_equal(plain.layers["fc"].codes * signs, flipped.layers["fc"].codes)
    np.testing.assert_array_equal(plain.integer(x0), flipped.integer(x1))


def test_batch_norm_is_folded_first():
    """FoldBatchNorm is `fold`, and a network without batch norm is itself."""
    rng = np.random.default_rng(0)
    nodes = (
        Node("c", "conv2d", ("input",), (("geometry", Geometry((1, 1))),)),
        Node("n", "batch_norm", ("c",), (("eps", 1e-5),)),
    )
    params = {("c", "w"): rng.normal(size=(2, 2, 1, 1))}
    params |= {("n", p): rng.uniform(0.5, 2.0, 2) for p in ("gamma", "beta", "mean", "var")}
    network = Network("bn", (2, 3, 3), nodes, params)
    x = images(network)
    folded = FoldBatchNorm().apply(network, x)
    assert [node.op for node in folded.nodes] == ["conv2d"]
    result = run("nearest", network, x, weight_bits=8, act_bits=8)
    np.testing.assert_array_equal(
        result.prepared.params[("c.product", "w")], fold(network).params[("c", "w")]
    )
    np.testing.assert_allclose(result.network(x), network(x), atol=0.1)
    assert FoldBatchNorm().apply(residual(), x) is not None
    again = FoldBatchNorm().apply(folded, x)
    assert again is folded
