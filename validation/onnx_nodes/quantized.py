"""The seven quantization operators of ONNX by refquant's functions.

    operator                by
    QuantizeLinear          quantizers.fake_quant.quantize
    DequantizeLinear        quantizers.fake_quant.dequantize
    DynamicQuantizeLinear   calibrate.ranges.minmax, calibrate.qparams.range_to_qparams, quantize
    ConvInteger             deploy.integer_conv.integer_conv_accumulate
    MatMulInteger           the same, as a 1x1 convolution
    QLinearConv             the same, then deploy.epilogue.float_epilogue and requantize_float
    QLinearMatMul           both of that

The product of two scales is handed over exactly (48 bits fit float64), so that the exact answer is
that of the real numbers which the scales are. Blocks of a step each become a step for every number.
"""

from collections.abc import Callable

import numpy as np

from refquant._types import Array
from refquant.oracle.exact import fake_quant as twin
from refquant.quantizers.fake_quant import dequantize
from refquant.quantizers.grid import make_qparams
from validation.onnx_nodes.node import NodeTest, integer_grid, one_number
from validation.onnx_nodes.reading import (
    Answer,
    Reading,
    Step,
    each_array,
    moved,
    stacked,
    step,
    tracked,
)
from validation.onnx_nodes.windows import window

SMALLEST = float(np.finfo(np.float32).tiny)  # ONNX has no floor for a step; 0 is none


def quantize_linear(node: NodeTest) -> Reading:
    """saturate(x / y_scale + y_zero_point), the quotient rounded half to even."""
    x, s, z, axis = placed(node, "x", "y_scale", "y_zero_point")
    grid, low = integer_grid(node.types["y"], z)
    inputs = {"x": x, "s": s, "zero_point": z - low}
    codes = step("fake_quant", inputs, grid=grid.kind, bits=grid.bits, axis=axis)
    answer = each_array(moved(codes.answer("codes"), low), like(node.inputs["x"]))
    return Reading({"y": answer}, (codes.built,))


def placed(
    node: NodeTest, x: str, scale: str, zero_point: str
) -> tuple[Array, Array, Array, int | None]:
    """x, steps, zero points, and the axis along which they differ."""
    value, s = node.inputs[x], node.inputs[scale]
    z = node.inputs.get(zero_point, np.zeros(s.shape)).astype(np.int64)
    axis = node.attrs.get("axis", 1)
    if s.size == 1:
        return value, s.reshape(()), z.reshape(()), None
    if s.ndim == 1:
        return value, s, z, axis % value.ndim
    s, z = (
        np.repeat(part, node.attrs["block_size"], axis).take(range(value.shape[axis]), axis)
        for part in (s, z)
    )
    return value.ravel(), s.ravel(), z.ravel(), 0


def like(x: Array) -> Callable[[Array], Array]:
    """A function that gives arrays the shape of x."""
    return lambda value: value.reshape(x.shape)


def dequantize_linear(node: NodeTest) -> Reading:
    """(x - x_zero_point) * x_scale."""
    codes, s, z, axis = placed(node, "x", "x_scale", "x_zero_point")
    grid, low = integer_grid(node.types["x"], z)
    codes, z = codes.astype(np.int64) - low, z - low
    s, z = (part if axis is None else along(part, axis, codes.ndim) for part in (s, z))
    ours = dequantize(codes, make_qparams(s, z, grid))
    table = [np.broadcast_to(part, codes.shape).ravel() for part in (codes, s, z)]
    answer = tracked(
        ours,
        lambda number: [
            twin.dequantize(*row)
            for row in zip(table[0].tolist(), number(table[1]), table[2].tolist(), strict=True)
        ],
    )
    return Reading({"y": each_array(answer, like(node.inputs["x"]))})


def along(parameter: Array, axis: int, ndim: int) -> Array:
    """A (c,) array in the shape that broadcasts along `axis`."""
    return parameter.reshape([-1 if i == axis else 1 for i in range(ndim)])


def dynamic_quantize_linear(node: NodeTest) -> Reading:
    """Step and zero point of the range of x and 0, then the codes by that step as rounded."""
    x = node.inputs["x"]
    ends = step("minmax_observer", {"batches": x[np.newaxis]})
    place = step("range_to_qparams", ends.ours, grid="affine", bits=8, eps=SMALLEST)
    codes = step("fake_quant", {"x": x, **place.ours}, grid="affine", bits=8)
    outputs = {
        "y": codes.answer("codes"),
        "y_scale": place.answer("s"),
        "y_zero_point": place.answer("zero_point"),
    }
    return Reading(outputs, (ends.built, place.built, codes.built))


def conv_integer(node: NodeTest) -> Reading:
    """Convolve x - x_zero_point with w - w_zero_point."""
    found = convolved(node)
    return Reading({"y": found.answer("acc")}, (found.built,))


def qlinear_conv(node: NodeTest) -> Reading:
    """`conv_integer`, plus a bias, times x_scale w_scale / y_scale, rounded, plus y_zero_point."""
    found = convolved(node)
    total = found.ours["acc"]
    if "B" in node.inputs:
        total = total + along(node.inputs["B"].astype(np.int64), 1, total.ndim)
    scale = np.float64(one_number(node, "x_scale")) * node.inputs["w_scale"].astype(np.float64)
    return requantized(node, total, scale, (found,))


def convolved(node: NodeTest) -> Step:
    """The accumulators; a zero point of the weights may differ between filters."""
    x, w = node.inputs["x"].astype(np.int64), node.inputs["w"].astype(np.int64)
    zeros = np.asarray(node.inputs.get("w_zero_point", 0)).astype(np.int64)
    given = {"x_codes": x, "w": w - zeros.reshape(-1, 1, 1, 1)}
    place = window(node.attrs, w.shape[2:], x.shape[2:])
    zero_point = int(one_number(node, "x_zero_point"))
    groups = node.attrs.get("group", 1)
    return step("int_conv_acc", given | {"zero_point": zero_point}, "T53", groups=groups, **place)


def matmul_integer(node: NodeTest) -> Reading:
    """(A - a_zero_point) (B - b_zero_point)."""
    answer, found = multiplied(node, "A", "B")
    return Reading({"Y": answer}, tuple(one.built for one in found))


def qlinear_matmul(node: NodeTest) -> Reading:
    """`matmul_integer`, times a_scale b_scale / y_scale, rounded, plus y_zero_point."""
    answer, found = multiplied(node, "a", "b")
    scale = np.float64(one_number(node, "a_scale")) * np.float64(one_number(node, "b_scale"))
    return requantized(node, answer.ours, np.asarray(scale), found)


def multiplied(node: NodeTest, a: str, b: str) -> tuple[Answer, tuple[Step, ...]]:
    """The accumulators of a stack of matrices; zero points may differ by row of a, column of b."""
    left, right = (node.inputs[name].astype(np.int64) for name in (a, b))
    zero_a, zero_b = (
        np.asarray(node.inputs.get(f"{name.lower()}_zero_point", 0)).astype(np.int64)
        for name in (a, b)
    )
    shape = (*left.shape[:-1], right.shape[-1])
    by_row = zero_a.size > 1
    left = left - (zero_a[:, np.newaxis] if zero_a.ndim == 1 else zero_a) if by_row else left
    zero_point = 0 if by_row else int(zero_a.reshape(()))
    pairs = zip(
        left.reshape(-1, *left.shape[-2:]),
        np.swapaxes(right - zero_b, -1, -2).reshape(-1, *right.shape[:-3:-1]),
        strict=True,
    )
    found = tuple(
        step(
            "int_conv_acc", {"x_codes": pixels(m), "w": pixels(k), "zero_point": zero_point}, "T53"
        )
        for m, k in pairs
    )
    return stacked([one.answer("acc") for one in found], shape), found


def pixels(matrix: Array) -> Array:
    """A matrix as maps of one pixel."""
    return matrix[:, :, np.newaxis, np.newaxis]


def requantized(node: NodeTest, acc: Array, scale: Array, before: tuple[Step, ...]) -> Reading:
    """Accumulators as codes of the output's type; several scales differ along axis 1."""
    grid, _ = integer_grid(node.types["y"], np.zeros(1))  # its ends: a zero point moves neither
    one = scale.size == 1
    scale = scale.reshape(()) if one else scale
    given = {
        "acc": acc,
        "scale": scale,
        "offset": np.zeros_like(scale),
        "step": np.float64(one_number(node, "y_scale")),
        "zero_point": int(one_number(node, "y_zero_point")),
    }
    axis = None if one else 1
    codes = step("requant_float", given, "T53", grid=grid.kind, bits=grid.bits, axis=axis)
    steps = (*(found.built for found in before), codes.built)
    return Reading({"y": codes.answer("codes")}, steps)


QUANTIZED: dict[str, Callable[[NodeTest], Reading]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "ConvInteger": conv_integer,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
}
