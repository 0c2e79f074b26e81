"""What the fixed-point network knows before it runs: integer biases, and room at additions.

Reference: methods 17.2 and 17.4.

    paper       here       meaning
    bias_int    bias       rint(bt / st), added to the accumulator
    --          constant   bt where st = 0, whose channel is a constant; 0 elsewhere
    --          guard      bits by which the common step of an addition is finer than s_y

Before a quantize node, every value is an integer at the step s_y * 2^-guard. `compile_fixed`
takes the largest guard up to the wanted one for which no branch, no left shift and no sum can
leave int32: |acc * M| bounds a branch, 2 |acc * M| its left shift, and sums of these a sum.

The codes of a sum stay within one of the float epilogue's if the |M| = st / s_y of the branches
that are accumulators sum to less than 1; otherwise their integer biases alone may cost half that
sum (P57; carried codes have no bias).

Fixed point needs a step wherever integers meet. It is refused, with the name of the node, for
operations without an integer form (sigmoid, leaky ReLU, batch norm), for averages of values
without codes, and for quantizers on patches: input placement leaves feature maps and skip paths
in real numbers.
"""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np

from refquant._checks import check_int, complaint
from refquant._types import Array
from refquant.deploy import overflow
from refquant.deploy.build import source_of
from refquant.deploy.plan import IntegerLayer, Plan
from refquant.deploy.rescale import AT_STEP
from refquant.network import INPUT, Node

POOLS = ("average_pool", "global_average_pool")
REASONS = {
    "patches": "quantized as patches (input placement), so its feature map has no step",
    **dict.fromkeys(POOLS, "an average of values that were not quantized"),
    "quantize": "on levels that are no integers times a step",
}


class Biased(NamedTuple):
    """Integer bias of a layer (int32), and the constant of its channels of scale 0 (float64)."""

    bias: Array
    constant: Array


class FixedProgram(NamedTuple):
    """Biases by layer, guard bits by quantize node."""

    bias: Mapping[str, Biased]
    guards: Mapping[str, int]


def compile_fixed(plan: Plan, guard_bits: int = 8) -> FixedProgram:
    """Return the integer biases and guard bits of a plan, or refuse it.

    Parameters
    ----------
    plan : Plan
        With codes as input of every linear layer.
    guard_bits : int
        Wanted at additions, 0..20.

    Returns
    -------
    FixedProgram

    Raises
    ------
    ValueError
        If a node has no fixed-point form, or an accumulator with its bias, or an addition, might
        not fit int32; the message names the node.
    """
    check_int("run_integer", "guard_bits", guard_bits, 0, 20)
    bias = {name: integer_bias(name, layer) for name, layer in plan.layers.items()}
    guards = {name: _guard(plan, bias, name, guard_bits) for name in plan.coders}
    return FixedProgram(bias, guards)


def integer_bias(name: str, layer: IntegerLayer) -> Biased:
    """Return rint(bt / st) per channel, proved to leave the accumulator within int32."""
    if layer.scale.ndim > 1 or layer.offset.ndim > 1:
        fix = "Use epilogue='float', or xi and eta per channel."
        got = "xi or eta per pixel, which no multiplier per channel can carry"
        raise ValueError(complaint("run_integer", f"node {name!r}", got, "one a channel", fix))
    dead = layer.scale == 0.0
    with np.errstate(over="ignore"):
        bias = np.rint(layer.offset / np.where(dead, 1.0, layer.scale))
    bias = np.where(dead, 0.0, bias)
    overflow.check_biased(name, layer.bound, bias)
    return Biased(bias.astype(np.int32), np.where(dead, layer.offset, 0.0))


def _guard(plan: Plan, bias: Mapping[str, Biased], name: str, wanted: int) -> int:
    edge = plan.network.node(name).inputs[0]
    if _from_input(plan, edge):
        return 0
    step = plan.coders[name].step
    reach = _reach(plan, bias, edge, step)  # refuses what has no fixed-point form
    if not _adds(plan, edge):
        return 0  # one requantization: saturation is monotone and lies beyond every code
    for guard in range(wanted, -1, -1):
        if _reach(plan, bias, edge, float(np.ldexp(step, -guard))) < overflow.LIMIT:
            return guard
    fix = "Recalibrate the step, or use epilogue='float'."
    got = f"up to {reach:.3g} steps"
    raise ValueError(complaint("run_integer", f"the sum before {name!r}", got, "below 2^31", fix))


def _reach(plan: Plan, bias: Mapping[str, Biased], edge: str, step: float) -> float:
    """The largest magnitude on the way to `edge` at `step`, left shifts included."""
    if edge == INPUT:
        raise _refusal("input", "real numbers beside codes")
    node = plan.network.node(edge)
    if edge in plan.coders:
        coder = plan.coders[edge]
        return _scaled(coder.largest, coder.step, 0.0, step)
    if node.op == "output":
        layer, (own, constant) = plan.layers[edge], bias[edge]
        return _scaled(layer.bound + np.abs(own.astype(np.int64)), layer.scale, constant, step)
    if node.op in POOLS and source_of(plan.network, node.inputs[0]) is not None:
        return _reach(plan, bias, node.inputs[0], step)  # the count cancels out
    if node.op not in AT_STEP:
        raise _refusal(edge, REASONS.get(node.op, f"{node.op}, which has no integer form"))
    parts = [_reach(plan, bias, operand, step) for operand in node.inputs]
    return reduce(add, parts) if node.op == "add" else max(parts)  # sum() rounds by version


def _scaled(
    bound: Array | int, scale: Array | float, constant: Array | float, step: float
) -> float:
    """2 |acc M| + |constant| in steps; 2 for the roundings."""
    with np.errstate(over="ignore"):
        return float(np.max(2.0 * bound * np.abs(scale / step) + np.abs(constant / step))) + 2.0


def _adds(plan: Plan, edge: str) -> bool:
    node = plan.network.node(edge)
    if node.op in ("quantize", "output", *POOLS):
        return False
    return node.op == "add" or any(_adds(plan, operand) for operand in node.inputs)


def _from_input(plan: Plan, edge: str) -> bool:
    """Whether `edge` is computed from the network's input by real operations alone."""
    if edge == INPUT:
        return True
    node: Node = plan.network.node(edge)
    if node.op in ("quantize", "output"):
        return False
    return all(_from_input(plan, operand) for operand in node.inputs)


def _refusal(node: str, why: str) -> ValueError:
    expected = "a fixed-point form for epilogue='fixed'"
    fix = "Use epilogue='float', or quantize the edge before it (output placement)."
    return ValueError(complaint("run_integer", f"node {node!r}", why, expected, fix))
