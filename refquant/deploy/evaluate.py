"""The one evaluator: walk the nodes once, with codes on some edges and real numbers on others.

Reference: methods 17; DESIGN "integer equals fake-quant by construction".

    edge carries    produced by                          read by real operations as
    Codes           quantize; patches, max pool,         step * q
                    flatten, identity of codes
    Accumulator     output (linear layer) on codes,      scale * total + offset
                    average pools of codes
    real array      everything else, in float64          itself

What differs between the networks is the functions of `Rules`; the walk, the codes and the
epilogue are the same, hence the same bits:

                 fake-quantized    integer, float epilogue   integer, fixed epilogue
    product      codes in float64  int32                     int32
    finish       --                --                        adds the integer bias
    quantize     component         component                 requantize_fixed
    combine      float64           float64                   waits for the next step
    real         the output, read as real numbers; the same everywhere

Edges are dropped after their last reader, so memory stays at a few layers.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_array, check_shape, complaint
from refquant._types import Array
from refquant.deploy.codes import Accumulator, Codes
from refquant.deploy.epilogue import per_channel
from refquant.deploy.on_codes import ON_CODES
from refquant.deploy.plan import EdgeCoder, IntegerLayer, Plan
from refquant.network import INPUT, Node

Value = Any  # Array, Codes, Accumulator, or what `Rules.combine` returned
Forced = Mapping[str, Array]


class Trace(NamedTuple):
    """What a run leaves.

    Attributes
    ----------
    codes : dict of quantize-node name to int32 array
        Code space, as computed (where codes were forced, not the forced ones).
    accumulators : dict of layer name to array
        int32, or whole numbers in float64 in the fake-quantized network; with the integer bias
        in the fixed epilogue.
    output : float64 array
        Value of the last node.
    """

    codes: dict[str, Array]
    accumulators: dict[str, Array]
    output: Array


class Rules(NamedTuple):
    """The places where the networks differ; see the module docstring."""

    product: Callable[[Value, IntegerLayer], Array]
    finish: Callable[[str, Accumulator], Accumulator]
    quantize: Callable[[str, EdgeCoder, Value], Codes]
    combine: Callable[[Node, tuple[Value, ...]], Value]
    real: Callable[[Value], Array]


def evaluate(plan: Plan, x: Array, rules: Rules, forced: Forced | None = None) -> Trace:
    """Run a plan under some rules.

    Parameters
    ----------
    plan : Plan
    x : (n, \\*input_shape) array, float32 or float64
    rules : Rules
    forced : mapping of quantize-node name to array, optional
        Codes that the readers of these edges see in place of the computed ones.

    Returns
    -------
    Trace
    """
    edges: dict[str, Value] = {INPUT: _input(plan, x)}
    readers = Counter(edge for node in plan.network.nodes for edge in node.inputs)
    codes: dict[str, Array] = {}
    accumulators: dict[str, Array] = {}
    for node in plan.network.nodes:
        value = _step(plan, node, tuple(edges[edge] for edge in node.inputs), rules)
        if node.name in plan.coders:
            codes[node.name] = value.codes
            value = _forced(node.name, value, forced or {})
        elif node.op == "output":
            accumulators[node.name] = value.total
        edges[node.name] = value
        readers.subtract(node.inputs)
        for edge in {*node.inputs}:
            if readers[edge] == 0:
                del edges[edge]
    return Trace(codes, accumulators, rules.real(edges[plan.network.output]))


def _step(plan: Plan, node: Node, operands: tuple[Value, ...], rules: Rules) -> Value:
    """The value of one node."""
    if node.name in plan.coders:
        return rules.quantize(node.name, plan.coders[node.name], operands[0])
    if node.op == "product":  # the layer's last node knows weights and scales, and multiplies
        return operands[0]
    if node.op == "output":
        return _linear(node.name, plan.layers[node.name], operands[0], rules)
    if isinstance(operands[0], Codes) and node.op in ON_CODES:
        return ON_CODES[node.op](node, operands[0])
    return rules.combine(node, operands)


def _linear(name: str, layer: IntegerLayer, patches: Value, rules: Rules) -> Accumulator:
    total = rules.product(patches, layer)
    scale, offset = per_channel(layer.scale, total.ndim), per_channel(layer.offset, total.ndim)
    return rules.finish(name, Accumulator(total, scale, offset))


def _input(plan: Plan, x: Array) -> Array:
    check_array("run", "x", x)
    shape = (len(x) if x.ndim else 0, *plan.network.input_shape)
    return check_shape("run", "x", x, shape).astype(np.float64)


def _forced(name: str, value: Codes, forced: Forced) -> Codes:
    if name not in forced:
        return value
    codes = check_shape("run", f"forced[{name!r}]", forced[name], value.q.shape)
    if codes.dtype.kind not in "iu":
        raise TypeError(complaint("run", f"forced[{name!r}]", codes.dtype, "integers"))
    return value._replace(q=codes.astype(np.int32) - np.int32(value.zero_point))
