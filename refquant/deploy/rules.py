"""The three networks, as rules for the evaluator: fake-quantized, integer, fixed-point.

Reference: methods 17.3 and 17.4.

    fake_rules      products in float64, real numbers between the layers
    integer_rules   products in int32, the same real numbers between the layers
    fixed_rules     products in int32, integers between the layers

The first two share every function but the product. In the third, operations between an
accumulator and the next quantize node wait (`Deferred`) until that node's step is known, and are
then done in units of it. What follows the last quantize node is read out once, in float64.
"""

from collections.abc import Callable

import numpy as np

from refquant._types import Array
from refquant.deploy.codes import Accumulator, Codes, to_real
from refquant.deploy.epilogue import per_channel
from refquant.deploy.evaluate import Rules, Value
from refquant.deploy.fixed import FixedProgram
from refquant.deploy.integer_conv import product_float, product_int32
from refquant.deploy.plan import EdgeCoder, IntegerLayer, Plan
from refquant.deploy.requantize import clip_codes
from refquant.deploy.rescale import Deferred, rescale, shift_down
from refquant.network import Node
from refquant.network.ops import OPS

Product = Callable[[Value, IntegerLayer], Array]


def fake_rules(plan: Plan) -> Rules:
    """Return the rules of the hardened fake-quantized network."""
    return _float_rules(plan, _product_fake)


def integer_rules(plan: Plan) -> Rules:
    """Return the rules of the integer network with the float epilogue."""
    return _float_rules(plan, _product_codes)


def fixed_rules(plan: Plan, program: FixedProgram, requantize: str) -> Rules:
    """Return the rules of the network whose layers hand over integers only.

    Parameters
    ----------
    plan : Plan
    program : FixedProgram
        From `compile_fixed`, which proves that nothing below can overflow.
    requantize : {"double", "single"}
    """

    def finish(name: str, sums: Accumulator) -> Accumulator:
        """Add the integer bias; the epilogue's constant goes along."""
        biased, ndim = program.bias[name], sums.total.ndim
        total = sums.total + per_channel(biased.bias, ndim)
        return Accumulator(total, sums.scale, per_channel(biased.constant, ndim))

    def quantize(name: str, coder: EdgeCoder, value: Value) -> Codes:
        """Rescale levels to an edge's step, its guard bits rounded away last."""
        if isinstance(value, np.ndarray):  # the network's input
            return _quantize_real(name, coder, value)
        guard = program.guards[name]
        levels = rescale(value, float(np.ldexp(coder.step, -guard)), requantize)
        codes = clip_codes(shift_down(levels, guard, requantize), coder.zero_point, coder.limits)
        return Codes(codes - np.int32(coder.zero_point), coder.step, coder.zero_point)

    def combine(node: Node, operands: tuple[Value, ...]) -> Value:
        """Put off what joins codes until a step is known; real numbers at once."""
        if all(isinstance(value, np.ndarray) for value in operands):
            return _real_op(plan, node, operands)
        return Deferred(node, operands)

    def real(value: Value) -> Array:
        """Return real numbers, now that nobody asks for codes."""
        if isinstance(value, Deferred):
            return _real_op(plan, value.node, tuple(real(operand) for operand in value.operands))
        return to_real(value)

    return Rules(_product_codes, finish, quantize, combine, real)


def _float_rules(plan: Plan, product: Product) -> Rules:
    def finish(name: str, sums: Accumulator) -> Accumulator:
        """Leave the sums alone: scale and offset are real."""
        return sums

    def combine(node: Node, operands: tuple[Value, ...]) -> Array:
        """Join operands as real numbers."""
        return _real_op(plan, node, tuple(to_real(value) for value in operands))

    return Rules(product, finish, _quantize_real, combine, to_real)


def _product_codes(patches: Value, layer: IntegerLayer) -> Array:
    """Accumulators in int32."""
    return product_int32(patches.q, layer.codes, layer.groups)


def _product_fake(patches: Value, layer: IntegerLayer) -> Array:
    """Accumulators in float64; with dequantized weights where the input is real."""
    if isinstance(patches, Codes):
        return product_float(patches.q, layer.codes, layer.groups)
    step = layer.step.reshape(-1, *(1,) * (layer.codes.ndim - 1))
    return product_float(patches, step * layer.codes.astype(np.float64), layer.groups)


def _quantize_real(name: str, coder: EdgeCoder, value: Value) -> Codes:
    """The codes that the component gives the real values of an edge."""
    codes = coder.component.codes(to_real(value), dict(coder.params))
    return Codes((codes - coder.zero_point).astype(np.int32), coder.step, coder.zero_point)


def _real_op(plan: Plan, node: Node, arrays: tuple[Array, ...]) -> Array:
    return OPS[node.op].forward(node, arrays, plan.network.params_of(node.name))[0]
