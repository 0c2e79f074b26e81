"""Nodes that no golden of ONNX has: where software may differ from the text of the specification.

Each is a node of a few numbers. What refquant says of it is compared with what ONNX Runtime and
ONNX's reference evaluator give; `text` is what the specification asks, or that it is silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto, defs, helper, numpy_helper

from refquant._types import Array
from validation.onnx_nodes.node import NodeTest
from validation.onnx_nodes.quantized import QUANTIZED
from validation.onnx_nodes.read import Stored
from validation.onnx_nodes.reading import Reading

F32, F16, U8 = np.float32, np.float16, np.uint8


@dataclass(frozen=True)
class Probe:
    """A node and what it shows.

    Attributes
    ----------
    op, version
        The operator, and the operator set that defines it.
    shows, text : str
    inputs : mapping of formal name to Array
    outputs : mapping of formal name to type
    why : str
        Why those differ that do.
    silent : bool
        The text does not decide, so nobody is wrong.
    """

    op: str
    version: int
    shows: str
    text: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, str]
    why: str = ""
    silent: bool = False


def column(*values: int) -> Array:
    """Codes of uint8, one a row."""
    return np.array(values, U8)[:, np.newaxis]


def place(dtype: type = F32, **values: float) -> dict[str, Array]:
    """Steps of a type and zero points of uint8, without dimensions."""
    return {k: np.asarray(v, U8 if k.endswith("zero_point") else dtype) for k, v in values.items()}


CODES = {"y": "uint8"}
ODD_CODES = column(1, 2, 3, 5, 6, 7)  # less 4 and halved: -1.5 -1 -0.5 0.5 1 1.5
ADDED_FIRST = "onnx.reference adds the zero point before it rounds"
PROBES = (
    Probe(
        "QuantizeLinear", 21, "ties, an odd zero point",
        "x / y_scale rounds to the nearest even; then the zero point",
        {"x": F32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]), **place(y_scale=1, y_zero_point=101)},
        CODES,
    ),
    Probe(
        "QuantizeLinear", 21, "3e9, 1e30, inf, -3e9",
        "saturates: uint8 to [0, 255]",
        {"x": F32([3e9, 1e30, np.inf, -3e9]), **place(y_scale=1, y_zero_point=100)},
        CODES,
        "onnx.reference casts to int32 before it saturates",
    ),
    Probe(
        "QuantizeLinear", 21, "NaN, 1",
        "silent on NaN",
        {"x": F32([np.nan, 1]), **place(y_scale=1, y_zero_point=100)},
        CODES,
        "a known difference of ONNX Runtime's [adapter](backends/onnxruntime.toml)",
        silent=True,
    ),
    Probe(
        "QLinearMatMul", 21, "ties, an odd zero point",
        "x / y_scale is rounded half to even; then the zero point",
        {"a": ODD_CODES, "b": column(1), **place(
            a_scale=1, a_zero_point=4, b_scale=0.5, b_zero_point=0, y_scale=1, y_zero_point=101
        )},
        CODES,
        ADDED_FIRST,
    ),
    Probe(
        "QLinearConv", 10, "ties, an odd zero point",
        "silent on rounding",
        {"x": ODD_CODES.reshape(1, 1, 1, 6), "w": column(1).reshape(1, 1, 1, 1), **place(
            x_scale=1, x_zero_point=4, w_scale=0.5, w_zero_point=0, y_scale=1, y_zero_point=101
        )},
        CODES,
        ADDED_FIRST,
        silent=True,
    ),
    Probe(
        "QLinearMatMul", 21, "two float16 scales of 1e-4",
        "silent on the precision of their product",
        {"a": np.full((1, 8), 200, U8), "b": np.full((8, 1), 200, U8), **place(
            F16, a_scale=1e-4, a_zero_point=0, b_scale=1e-4, b_zero_point=0, y_scale=1e-4,
            y_zero_point=0,
        )},
        CODES,
        "onnx.reference multiplies them in float16: 0",
        silent=True,
    ),
    Probe(
        "MatMulInteger", 10, "a zero point for every row",
        "may be an M element vector",
        {"A": U8([[5, 6], [7, 8]]), "B": column(1, 1), "a_zero_point": U8([1, 2])},
        {"Y": "int32"},
        "onnx.reference subtracts it from columns; ONNX Runtime refuses it",
    ),
    Probe(
        "DynamicQuantizeLinear", 11, "0, 0",
        "y_scale would be 0, the codes 0 / 0",
        {"x": F32([0, 0])},
        {"y": "uint8", "y_scale": "float", "y_zero_point": "uint8"},
        "what a range of 0 gives; here refquant's least step is the smallest normal float32",
        silent=True,
    ),
)  # fmt: skip


def posed(probe: Probe) -> tuple[Stored, Reading]:
    """Return the node of a probe as if it had been read, outputs by refquant, and its reading."""
    types = {name: type_of(value) for name, value in probe.inputs.items()} | dict(probe.outputs)
    test = NodeTest(probe.shows, probe.op, probe.version, probe.inputs, {}, {}, types)
    reading = QUANTIZED[probe.op](test)
    outputs = {name: reading.outputs[name].ours for name in probe.outputs}
    return stored(replace(test, outputs=outputs)), reading


def type_of(value: Array) -> str:
    """The name that ONNX has for the type of an array."""
    return TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(value.dtype)).lower()


def stored(test: NodeTest) -> Stored:
    """A model of one node, whose names in the graph are the formal ones."""
    order = [formal.name for formal in defs.get_schema(test.op, test.version).inputs]
    names = [name if name in test.inputs else "" for name in order]
    node = helper.make_node(test.op, names, list(test.outputs))
    inputs, outputs = (
        [described(name, test.types[name], value) for name, value in arrays.items()]
        for arrays in (test.inputs, test.outputs)
    )
    graph = helper.make_graph([node], "probe", inputs, outputs)
    opset = helper.make_opsetid("", test.version)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    tensors = {name: numpy_helper.from_array(v, name) for name, v in test.inputs.items()}
    return Stored(test, model, tensors)


def described(name: str, kind: str, value: Array) -> object:
    """What a graph says of an input or output."""
    return helper.make_tensor_value_info(
        name, TensorProto.DataType.Value(kind.upper()), value.shape
    )
