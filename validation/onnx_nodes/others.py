"""The third and fourth opinions: ONNX Runtime, and the reference evaluator that ONNX ships.

Both get the model as it is, but for two things that change no number. Tensors of types that Python
arrays do not have (int4, float8, ...) enter ONNX Runtime as constants and leave it through a Cast.
And where its operator set is older than the model's, the model claims the newest it knows: of the
operators here, later sets only add types.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from refquant._types import Array
from validation.onnx_nodes.read import Stored, array, in_numpy
from validation.onnx_nodes.verdict import Found

onnxruntime.set_default_logger_severity(4)
OPSETS = range(28, 20, -1)


def by_onnxruntime(stored: Stored) -> Found:
    """Return what ONNX Runtime's CPU provider gives."""
    model, feeds = closed(stored)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def run() -> list[Array]:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return list(session.run(None, feeds))

    own = model.opset_import[0].version
    failure = ""
    for version in [own, *(v for v in OPSETS if v < own)]:
        model.opset_import[0].version = version
        found = attempt(stored, run)
        if not isinstance(found, str):
            return found
        failure = failure if failure and "opset" not in failure else found
    return failure


def by_reference(stored: Stored) -> Found:
    """Return what `onnx.reference` gives."""
    feeds = {name: numpy_helper.to_array(tensor) for name, tensor in stored.tensors.items()}
    return attempt(stored, lambda: ReferenceEvaluator(stored.model).run(None, feeds))


def attempt(stored: Stored, run: Callable[[], list[Array]]) -> Found:
    """Return outputs by formal name, or the message of the exception."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = run()
    except Exception as error:  # whatever it is, it is the answer
        return shortened(" ".join(str(error).split()))
    arrays = [array(numpy_helper.from_array(np.asarray(value))) for value in found]
    return dict(zip(stored.test.outputs, arrays, strict=True))


def shortened(message: str) -> str:
    """The part of an exception's message that says what is missing."""
    for mark in ("was false. ", "Type Error: ", "Status Message: "):
        message = message.rpartition(mark)[2]
    return message.strip()


def closed(stored: Stored) -> tuple[onnx.ModelProto, Mapping[str, Array]]:
    """Return a model whose inputs and outputs NumPy has, and the inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(stored.model)
    graph = model.graph
    narrow = {name for name, tensor in stored.tensors.items() if not has(tensor.data_type)}
    for name in narrow:
        graph.initializer.add().CopyFrom(stored.tensors[name])
        graph.initializer[-1].name = name
    kept = [value for value in graph.input if value.name not in narrow]
    del graph.input[:]
    graph.input.extend(kept)
    for value in graph.output:
        if not has(value.type.tensor_type.elem_type):
            inner, value.name = value.name, f"{value.name}_wide"
            graph.node.append(helper.make_node("Cast", [inner], [value.name], to=TensorProto.FLOAT))
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    feeds = {n: array(tensor) for n, tensor in stored.tensors.items() if n not in narrow}
    return model, feeds


def has(data_type: int) -> bool:
    """Whether NumPy has a type of ONNX."""
    return in_numpy(helper.tensor_dtype_to_np_dtype(data_type))
