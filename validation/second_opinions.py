"""Write validation/second-opinions.md: two libraries in wide use, held against the oracle.

    python -m validation.second_opinions      (needs torch, onnx and onnxruntime)

They are backends like anybody's, fifteen lines each. What they give never becomes a golden; where
they differ from the specification, the report says how, in the words of the diagnosis.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from refquant import oracle
from refquant.oracle.build import build
from refquant.oracle.registry import cases, ops
from refquant.quantizers.grid import Grid

REPORT = Path(__file__).parent / "second-opinions.md"
Arrays = Mapping[str, Any]
ONNX_TYPES = {
    ("unsigned", 8): (TensorProto.UINT8, np.uint8),
    ("affine", 8): (TensorProto.UINT8, np.uint8),
    ("signed", 8): (TensorProto.INT8, np.int8),
    ("affine", 16): (TensorProto.UINT16, np.uint16),
    ("signed", 16): (TensorProto.INT16, np.int16),
}


def only(condition: bool, text: str) -> None:
    """Skip a case that the library has no function for."""
    if not condition:
        raise oracle.Unsupported(text)


class PyTorch:
    """`torch.round`, `torch.fake_quantize_*` and its learnable kernels, `conv2d`."""

    name, profile, dtype = f"PyTorch {torch.__version__}", "any", "float32"

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Dispatch by name."""
        return dispatch(
            op, inputs, attrs, round=self.round, fake_quant=self.fake_quant,
            fake_quant_backward=self.fake_quant_backward, conv2d=self.conv2d,
        )  # fmt: skip

    def round(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.round`, `floor` and `ceil`."""
        modes = {"rint": torch.round, "floor": torch.floor, "ceil": torch.ceil}
        only(attrs["mode"] in modes, f"no {attrs['mode']}")
        return {"y": modes[attrs["mode"]](tensor(inputs["x"])).numpy()}

    def fake_quant(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.fake_quantize_per_tensor_affine` and `_per_channel_affine`: values alone."""
        only(attrs["rounding"] == "rint", "ties to even only")
        grid, axis = Grid(attrs["grid"], attrs["bits"]), attrs["axis"]
        s, z = tensor(inputs["s"]), tensor(inputs["zero_point"]).int()
        quantize = torch.fake_quantize_per_tensor_affine
        where: tuple[int, ...] = ()
        if axis is not None:
            quantize, where = torch.fake_quantize_per_channel_affine, (axis,)
        y = quantize(tensor(inputs["x"]), s, z, *where, grid.code_min, grid.code_max)
        return {"y": y.numpy()}

    def fake_quant_backward(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """The learnable kernels behind LSQ in `torch.ao.quantization`."""
        only(attrs["rounding"] == "rint" and attrs["mask"] == "rounded", "one convention only")
        grid, axis = Grid(attrs["grid"], attrs["bits"]), attrs["axis"]
        x, s = tensor(inputs["x"]).requires_grad_(), tensor(inputs["s"]).reshape(-1)
        s, z = s.requires_grad_(), tensor(inputs["zero_point"]).reshape(-1).float()
        quantize = torch._fake_quantize_learnable_per_tensor_affine
        where: tuple[int, ...] = ()
        if axis is not None:
            quantize, where = torch._fake_quantize_learnable_per_channel_affine, (axis,)
        ends = grid.code_min, grid.code_max
        quantize(x, s, z, *where, *ends, attrs["grad_scale"]).backward(tensor(inputs["d_y"]))
        return {"d_x": x.grad.numpy(), "d_s": s.grad.numpy().reshape(np.shape(inputs["s"]))}

    def conv2d(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.nn.functional.conv2d` on a padded map."""
        top, left, bottom, right = attrs["padding"]
        x = torch.nn.functional.pad(tensor(inputs["x"]), (left, right, top, bottom))
        bias = tensor(inputs["bias"]) if "bias" in inputs else None
        window = attrs["stride"], 0, attrs["dilation"], attrs["groups"]
        return {"y": torch.nn.functional.conv2d(x, tensor(inputs["w"]), bias, *window).numpy()}


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
        """`Conv`."""
        return run_nodes(dict(inputs), ("Conv", " ".join(inputs), "y", window(attrs)))


def dispatch(op: str, inputs: Arrays, attrs: Arrays, **functions: Callable[..., Arrays]) -> Arrays:
    """Call the function of an op; skip the op if there is none."""
    only(op in functions, "no such function")
    return functions[op](inputs, attrs)


def tensor(value: Any) -> Any:
    """An array as a tensor of its own."""
    return torch.tensor(np.array(value))


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


def rows(backend: Any) -> list[str]:
    """A line per op: cases run and skipped, wrong, and what the oracle makes of it."""
    known = ops()
    names = {"round", "fake_quant", "fake_quant_backward", "int_conv_acc", "conv2d"}
    built = [build(known[case.op], case) for case in cases() if case.op in names]
    report = oracle.verify(backend, cases=built)
    lines = []
    for name, count in report.coverage.items():
        told = next((f.diagnosis.text for f in report.failures if f.op == name), "conforms")
        if count.ran:
            lines.append(f"| {backend.name} | {name} | {count.ran} | {count.failed} | {told} |")
    return lines


def main() -> int:
    """Write the report."""
    onnxruntime.set_default_logger_severity(3)
    head = [
        "# Second opinions",
        "",
        "Two libraries held against the oracle as backends in float32, by",
        "`python -m validation.second_opinions`. Cases that a library has no function for (other",
        "rules of rounding, other widths) are not counted. Goldens never come from here.",
        "",
        "| library | op | cases | wrong | what the oracle says |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines = [line for backend in (PyTorch(), OnnxRuntime()) for line in rows(backend)]
    REPORT.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
