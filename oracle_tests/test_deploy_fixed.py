"""Whole networks in fixed point: within one code of the float epilogue, and equal to the twin."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from oracle_tests.deploy_cases import FIXED, Nearest, case, same
from refquant.deploy import deploy, run_integer
from refquant.deploy.fixed import compile_fixed
from refquant.network import INPUT
from refquant.oracle.exact import requantize as exact

SEEDS = range(4)


def branches_of(network, edge):
    """The linear layers whose accumulators meet at `edge` before the next codes."""
    node = network.node(edge)
    if node.op == "quantize":
        return []
    if node.op == "output":
        return [edge]
    return [layer for operand in node.inputs for layer in branches_of(network, operand)]


def allowed(plan, name):
    """P57 for a sum of branches: 1 code, unless rint(bt / st) alone may cost more."""
    network, step = plan.network, plan.coders[name].step
    edge = network.node(name).inputs[0]
    layers = [] if edge == INPUT else branches_of(network, edge)
    total = sum(np.abs(plan.layers[layer].scale).max() / step for layer in layers)
    return 1 if total < 1 else int(1.5 + total / 2)


@pytest.mark.parametrize("architecture", FIXED)
@pytest.mark.parametrize("requantize", ["double", "single"])
def test_fixed_point_is_within_one_code_from_equal_inputs(architecture, requantize):
    """P57, layer by layer: every layer reads the codes of the float path."""
    strict = moved = 0
    for kind in ("real", "dyadic"):
        for seed in range(8):
            network, layers, x = case(architecture, seed, kind)
            plan = deploy(network, layers)
            want = run_integer(plan, x)
            trace = run_integer(plan, x, "fixed", requantize, forced=want.codes)
            for name, codes in trace.codes.items():
                gap = np.abs(codes - want.codes[name])
                assert gap.max() <= allowed(plan, name), name
                strict += allowed(plan, name) == 1
                moved += int(np.count_nonzero(gap))
            last = plan.layers["fc"]
            half = np.abs(last.scale) / 2  # the logits lose at most the rounding of the bias
            assert (np.abs(trace.output - want.output) <= half * (1 + 1e-9)).all()
    assert strict > 40  # most layers are held to one code
    assert moved > 0 or (architecture, requantize) == ("mlp", "single")


@pytest.mark.parametrize("requantize", ["double", "single"])
def test_a_layer_with_relu_equals_the_twin(requantize):
    """methods 17.4 and 17.5: integer bias, multiplier, ReLU as the clip at z_y."""
    for seed in SEEDS:
        network, layers, x = case("mlp", seed)
        plan = deploy(network, layers)
        trace = run_integer(plan, x, "fixed", requantize)
        acc = run_integer(plan, x, forced=trace.codes).accumulators  # without the bias
        for layer in ("fc1", "fc2"):
            own, coder = plan.layers[layer], plan.coders[f"{layer}.relu.q"]
            limits = (coder.zero_point, coder.limits[1])
            for c, column in enumerate(acc[layer].T.tolist()):
                bias = round(Fraction(float(own.offset[c])) / Fraction(float(own.scale[c])))
                m = exact.quantize_multiplier(float(own.scale[c] / coder.step))
                totals = [a + bias for a in column]
                want = exact.requantize_fixed(totals, m, coder.zero_point, limits, requantize)
                assert trace.codes[f"{layer}.relu.q"][:, c].tolist() == want
                assert trace.accumulators[layer][:, c].tolist() == totals


@pytest.mark.parametrize("requantize", ["double", "single"])
@pytest.mark.parametrize(("step", "top"), [(0.05, 120), (0.07, 86), (0.0465, 129)])
def test_relu6_is_the_upper_clip(requantize, step, top):
    """methods 17.5: codes never exceed rint(6 / s_y) + z_y, although the grid has more.

    6 / 0.05 = 120, 6 / 0.07 = 85.7, 6 / 0.0465 = 129.03.
    """
    network, layers, x = case("mobile", 0)
    name, layers["stem"] = "stem.relu.q", layers["stem"]._replace(step=np.full(4, 0.5))
    wide = {(name, "s_x"): np.array(step), (name, "zero_point"): np.array(7)}
    attrs = (("component", Nearest("affine", 8)),)
    nodes = tuple(replace(n, attrs=attrs) if n.name == name else n for n in network.nodes)
    network = replace(network, nodes=nodes, params={**network.params, **wide})
    codes = run_integer(deploy(network, layers), x, "fixed", requantize).codes[name]
    assert codes.max() == top + 7 and codes.min() == 7


@pytest.mark.parametrize("requantize", ["double", "single"])
def test_an_addition_meets_at_a_finer_step(requantize):
    """Carried codes and an accumulator, both at s_y 2^-8, then one rounding: as the twin."""
    for seed in SEEDS:
        network, layers, x = case("residual", seed)
        plan = deploy(network, layers)
        trace = run_integer(plan, x, "fixed", requantize)
        own, skip, out = plan.layers["a2"], plan.coders["stem.relu.q"], plan.coders["a.relu.q"]
        fine = Fraction(out.step) / 256
        assert compile_fixed(plan).guards["a.relu.q"] == 8
        carried = exact.quantize_multiplier(float(Fraction(skip.step) / fine))
        codes, acc = trace.codes["stem.relu.q"], trace.accumulators["a2"]
        for c in range(acc.shape[1]):
            m = exact.quantize_multiplier(float(own.scale[c] / float(fine)))
            for a, q, got in zip(
                acc[:, c].ravel().tolist(),
                (codes[:, c] - skip.zero_point).ravel().tolist(),
                trace.codes["a.relu.q"][:, c].ravel().tolist(),
                strict=True,
            ):
                total = sum(
                    exact.apply_multiplier(v, *by, requantize) for v, by in ((a, m), (q, carried))
                )
                total = max(total, 0)
                down = exact.rdivpot(total, 8) if requantize == "double" else (total + 128) >> 8
                assert got == max(out.limits[0], min(out.limits[1], down + out.zero_point))


def test_an_average_pool_is_one_multiplication():
    """methods 17.5: the int32 sum times s_x / (count s_y); padding of the window not counted."""
    network, layers, x = case("mobile", 3)
    plan = deploy(network, layers)
    trace = run_integer(plan, x, "fixed", "single")
    source, out = plan.coders["add.q"], plan.coders["avg.q"]
    q = trace.codes["add.q"] - source.zero_point
    for row, column in np.ndindex(trace.codes["avg.q"].shape[2:]):
        rows = slice(max(0, 2 * row - 1), 2 * row + 2)
        window = q[:, :, rows, max(0, 2 * column - 1) : 2 * column + 2]
        count = window.shape[2] * window.shape[3]
        m = exact.quantize_multiplier(source.step / count / out.step)
        sums = window.sum(axis=(2, 3)).tolist()
        want = exact.requantize_fixed(sums, m, out.zero_point, out.limits, "single")
        assert trace.codes["avg.q"][:, :, row, column].tolist() == want


def test_negative_xi_keeps_its_sign_in_the_multiplier():
    """methods 17.4: the same codes as a network whose weights have the other sign."""
    network, layers, x = case("mlp", 0)
    flipped = {name: hard._replace(codes=-hard.codes, xi=-hard.xi) for name, hard in layers.items()}
    assert any((hard.xi < 0).any() for hard in layers.values())
    a, b = deploy(network, layers), deploy(network, flipped)
    for requantize in ("double", "single"):
        one, two = (run_integer(p, x, "fixed", requantize) for p in (a, b))
        gap = [np.abs(one.codes[n] - two.codes[n]).max() for n in one.codes]
        assert max(gap) <= 1  # ties in SRDHM go up, so the mirror image may round the other way
    same(*(run_integer(p, x)._replace(accumulators={}) for p in (a, b)))


@pytest.mark.parametrize("how", ["step", "xi"])
def test_a_dead_channel_is_its_constant(how):
    """methods 17.4: st = 0 emits rint(bt / s_y) + z_y, in the logits bt."""
    network, layers, x = case("mlp", 1)
    for name, hard in layers.items():
        dead = (hard.step if how == "step" else hard.xi).copy()
        dead[0] = 0.0
        layers[name] = hard._replace(**{how: dead})
    plan = deploy(network, layers)
    fixed, real = run_integer(plan, x, "fixed"), run_integer(plan, x)
    coder, offset = plan.coders["fc1.relu.q"], plan.layers["fc1"].offset[0]
    want = max(0, round(Fraction(float(offset)) / Fraction(coder.step))) + coder.zero_point
    want = min(want, coder.limits[1])
    assert (fixed.codes["fc1.relu.q"][:, 0] == want).all()
    assert (real.codes["fc1.relu.q"][:, 0] == want).all()
    bt = plan.layers["fc"].offset[0]
    assert (fixed.output[:, 0] == bt).all() and (real.output[:, 0] == bt).all()
