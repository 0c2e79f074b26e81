"""ONNX Runtime as a backend: a model of one or two nodes per case.

refquant verify validation.backends.onnxruntime_backend:OnnxRuntime
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from validation.backends.common import Arrays, dispatch, only

onnxruntime.set_default_logger_severity(3)
ONNX_TYPES = {
    ("unsigned", 8): (TensorProto.UINT8, np.uint8),
    ("affine", 8): (TensorProto.UINT8, np.uint8),
    ("signed", 8): (TensorProto.INT8, np.int8),
    ("affine", 16): (TensorProto.UINT16, np.uint16),
    ("signed", 16): (TensorProto.INT16, np.int16),
}


class OnnxRuntime:
    """`Round`, `QuantizeLinear` with `DequantizeLinear`, `ConvInteger`, `Conv`."""

    name, profile, dtype = f"ONNX Runtime {onnxruntime.__version__}", "any", "float32"

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Dispatch by name."""
        return dispatch(
            op, inputs, attrs, round=self.round, fake_quant=self.fake_quant,
            int_conv_acc=self.int_conv_acc, conv2d=self.conv2d,
        )  # fmt: skip

    def round(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`Round`, `Floor` and `Ceil`."""
        modes = {"rint": "Round", "floor": "Floor", "ceil": "Ceil"}
        only(attrs["mode"] in modes, f"no {attrs['mode']}")
        return {"y": run_nodes({"x": inputs["x"]}, (modes[attrs["mode"]], "x", "y", {}))["y"]}

    def fake_quant(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Codes and values of 8 and 16 bits."""
        kind = attrs["grid"], attrs["bits"]
        only(kind in ONNX_TYPES and attrs["rounding"] == "rint", "ties to even, 8 or 16 bits")
        given = {"x": inputs["x"], "s": inputs["s"]}
        given["z"] = np.asarray(inputs["zero_point"]).astype(ONNX_TYPES[kind][1])
        axis = {"axis": attrs["axis"]} if attrs["axis"] is not None else {}
        return run_nodes(
            given, ("QuantizeLinear", "x s z", "q", axis), ("DequantizeLinear", "q s z", "y", axis),
            ("Cast", "q", "codes", {"to": TensorProto.INT32}), outputs=("y", "codes"),
        )  # fmt: skip

    def int_conv_acc(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """uint8 codes times int8 levels."""
        x, w = np.asarray(inputs["x_codes"]), np.asarray(inputs["w"])
        as_bytes = x.astype(np.uint8), w.astype(np.int8)
        fits = np.array_equal(x, as_bytes[0]) and np.array_equal(w, as_bytes[1])
        only(fits, "uint8 times int8 only")
        z = np.asarray(inputs["zero_point"]).astype(np.uint8)
        given = {"x": as_bytes[0], "w": as_bytes[1], "z": z}
        return run_nodes(given, ("ConvInteger", "x w z", "acc", window(attrs)), outputs=("acc",))

    def conv2d(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`Conv`: inputs by place, whatever order they come in."""
        names = [name for name in ("x", "w", "bias") if name in inputs]
        return run_nodes(dict(inputs), ("Conv", " ".join(names), "y", window(attrs)))


def window(attrs: Arrays) -> dict[str, Any]:
    """Geometry in the words of ONNX."""
    names = {"strides": "stride", "dilations": "dilation", "pads": "padding", "group": "groups"}
    return {theirs: attrs[ours] for theirs, ours in names.items()}


def run_nodes(given: dict[str, Any], *nodes: Any, outputs: tuple[str, ...] = ("y",)) -> Arrays:
    """Run nodes (op, inputs, output, attributes) and return some of their outputs."""
    made = [helper.make_node(op, a.split(), [y], **extra) for op, a, y, extra in nodes]
    given = {name: np.array(value) for name, value in given.items()}
    typed = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for k, v in given.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(made, "g", typed, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    data = onnx.shape_inference.infer_shapes(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), given), strict=True))
