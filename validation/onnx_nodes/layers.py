"""Other operators of ONNX that refquant has: layers, activations, products, rounding.

Most are ops of the oracle; the rest have the library's function beside the twin's formula on
numbers that track their roundings.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.layers.batch_norm import batch_norm_train_forward
from refquant.layers.leaky_relu import leaky_relu_forward
from refquant.oracle.exact import activations, batch_norm, real
from refquant.oracle.nested import each
from validation.onnx_nodes.node import NodeTest, OutOfScope
from validation.onnx_nodes.reading import (
    Answer,
    Lift,
    Reading,
    each_array,
    stacked,
    step,
    tracked,
)
from validation.onnx_nodes.windows import window

EPSILON = 1e-5  # of batch norm, ONNX's default


def conv(node: NodeTest) -> Reading:
    """`Conv` in two dimensions."""
    x, w = node.inputs["X"], node.inputs["W"]
    bias = {"bias": node.inputs["B"]} if "B" in node.inputs else {}
    place = window(node.attrs, w.shape[2:], x.shape[2:])
    found = step("conv2d", {"x": x, "w": w} | bias, groups=node.attrs.get("group", 1), **place)
    return Reading({"Y": found.answer("y")}, (found.built,))


def gemm(node: NodeTest) -> Reading:
    """A' B' + C, where C is a row or one number."""
    if {node.attrs.get("alpha", 1.0), node.attrs.get("beta", 1.0)} != {1.0}:
        raise OutOfScope("factors alpha and beta: `linear` has none")
    x, w = node.inputs["A"], node.inputs["B"]
    x, w = x.T if node.attrs.get("transA") else x, w if node.attrs.get("transB") else w.T
    inputs = {"x": x, "w": w}
    if "C" in node.inputs:
        bias = node.inputs["C"]
        if bias.size not in (1, len(w)):
            raise OutOfScope("a matrix C: `linear` adds a row")
        inputs["bias"] = np.broadcast_to(bias.ravel(), (len(w),))
    found = step("linear", inputs)
    return Reading({"Y": found.answer("y")}, (found.built,))


def matmul(node: NodeTest) -> Reading:
    """Products of stacks of matrices; a vector is a row, or a column."""
    a, b = node.inputs["A"], node.inputs["B"]
    shape = np.matmul(a, b).shape
    a, b = a[np.newaxis] if a.ndim == 1 else a, b[:, np.newaxis] if b.ndim == 1 else b
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(m, (*stack, *m.shape[-2:])) for m in (a, b))
    found = [step("linear", {"x": a[i], "w": b[i].T}) for i in np.ndindex(*stack)]
    answer = stacked([one.answer("y") for one in found], shape)
    return Reading({"Y": answer}, tuple(one.built for one in found))


def batch_normalization(node: NodeTest) -> Reading:
    """With given statistics; in training with those of x (running averages are left out)."""
    names = {"x": "X", "gamma": "scale", "beta": "B", "mean": "input_mean", "var": "input_var"}
    inputs = {ours: node.inputs[theirs] for ours, theirs in names.items()}
    eps = node.attrs.get("epsilon", EPSILON)
    if node.attrs.get("training_mode"):
        return Reading({"Y": with_own_statistics(inputs, eps)})
    found = step("bn_infer", inputs, eps=eps)
    return Reading({"Y": found.answer("y")}, (found.built,))


def with_own_statistics(inputs: dict[str, Array], eps: float) -> Answer:
    """Batch norm in training."""
    x, gamma, beta = inputs["x"], inputs["gamma"], inputs["beta"]
    ours = np.moveaxis(batch_norm_train_forward(x, gamma, beta, eps)[0], 1, 0)

    def exact(number: Lift) -> Any:
        rows = number(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1))
        floor = number(np.float32(eps))
        table = zip(rows, number(gamma), number(beta), strict=True)
        return [normalized(row, *parameters, floor) for row, *parameters in table]

    by_channel = tracked(ours, exact)
    return each_array(by_channel, lambda value: np.moveaxis(value, 0, 1))


def normalized(row: list[Any], gamma: Any, beta: Any, eps: Any) -> list[Any]:
    """A channel with its own mean and deviation."""
    mean, var = batch_norm.statistics(row)
    return batch_norm.batch_norm(row, gamma, beta, mean, batch_norm.deviation(var, eps))


def pool(op: str) -> Callable[[NodeTest], Reading]:
    """`MaxPool` and `AveragePool` in one dimension (as a map of one row) and in two."""

    def reading(node: NodeTest) -> Reading:
        x, attrs = node.inputs["X"], dict(node.attrs)
        flat = x.ndim == 3
        if flat and set(attrs) != {"kernel_shape"}:
            raise OutOfScope("one dimension with stride or padding")
        if flat:
            x, attrs["kernel_shape"] = x[:, :, np.newaxis], [1, *attrs["kernel_shape"]]
        kernel = list(attrs["kernel_shape"])
        place = window(attrs, kernel, x.shape[2:])
        if op == "average_pool":
            place["count_include_pad"] = bool(attrs.get("count_include_pad"))
        found = step(op, {"x": x.astype(np.float32)}, kernel=kernel, **place)
        answer = each_array(found.answer("y"), lambda y: y.squeeze(2) if flat else y)
        return Reading({"Y": answer}, (found.built,))

    return reading


def by_op(op: str, **attrs: Any) -> Callable[[NodeTest], Reading]:
    """An op of the oracle with one input and one output."""

    def reading(node: NodeTest) -> Reading:
        found = step(op, {"x": node.inputs["X"]}, **attrs)
        return Reading({"Y": found.answer("y")}, (found.built,))

    return reading


def leaky_relu(node: NodeTest) -> Reading:
    """x where it is positive, else alpha x; alpha is a float32."""
    x, slope = node.inputs["X"], np.float32(node.attrs.get("alpha", 0.01))
    ours = leaky_relu_forward(x, float(slope))[0]
    return Reading({"Y": tracked(ours, lambda n: activations.leaky_relu(n(x), n(slope)))})


def sigmoid(node: NodeTest) -> Reading:
    """1 / (1 + exp(-x))."""
    x = node.inputs["X"]
    return Reading({"Y": tracked(nx.sigmoid(x), lambda number: each(number(x), real.sigmoid))})


def softmax(function: Callable[..., Array], twin: Callable[[list[Any]], list[Any]]) -> Any:
    """`Softmax` or `LogSoftmax` along one axis."""

    def reading(node: NodeTest) -> Reading:
        axis = node.attrs.get("axis", -1)
        rows = np.moveaxis(node.inputs["input"], axis, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        found = tracked(function(flat, axis=-1), lambda number: [twin(r) for r in number(flat)])
        back = each_array(found, lambda y: np.moveaxis(y.reshape(rows.shape), -1, axis))
        return Reading({"output": back})

    return reading


def exact_softmax(row: list[Any]) -> list[Any]:
    """exp(t) / sum exp(t), the largest t taken out first."""
    powers = [real.exp(t - max(row)) for t in row]
    total = sum(powers[1:], powers[0])
    return [power / total for power in powers]


def exact_log_softmax(row: list[Any]) -> list[Any]:
    """t - log(sum exp(t)), the largest t taken out first."""
    top = max(row)
    powers = [real.exp(t - top) for t in row]
    return [t - top - real.log(sum(powers[1:], powers[0])) for t in row]


LAYERS: dict[str, Callable[[NodeTest], Reading]] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_normalization,
    "MaxPool": pool("max_pool"),
    "AveragePool": pool("average_pool"),
    "GlobalAveragePool": by_op("global_average_pool"),
    "Relu": by_op("relu"),
    "Round": by_op("round", mode="rint"),
    "LeakyRelu": leaky_relu,
    "Sigmoid": sigmoid,
    "Softmax": softmax(nx.softmax, exact_softmax),
    "LogSoftmax": softmax(nx.log_softmax, exact_log_softmax),
}
