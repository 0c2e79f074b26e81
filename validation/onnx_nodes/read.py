"""Read ONNX's node tests from the files that ONNX's own generator writes.

DIR/MANIFEST.json                     a list of {"name": ..., ...}
DIR/test_NAME/model.onnx              a graph of one node
DIR/test_NAME/set0_input_0.pb ...     its inputs, in the order of the graph
DIR/test_NAME/set0_output_0.pb ...    what it must give
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

from refquant._types import Array
from validation.onnx_nodes.node import NodeTest

# What NumPy has no type for, in one that holds all its values.
WIDER = {"i": np.int64, "u": np.int64, "f": np.float32}


class Stored(NamedTuple):
    """A node test with the files it was read from."""

    test: NodeTest
    model: onnx.ModelProto
    tensors: dict[str, TensorProto]  # inputs, by their names in the graph


def read(data: Path) -> Iterator[Stored]:
    """Yield the tests that a manifest lists.

    Raises
    ------
    OSError
        If a file is missing.
    """
    for entry in json.loads((data / "MANIFEST.json").read_text(encoding="utf-8")):
        yield read_one(data / entry["name"])


def read_one(folder: Path) -> Stored:
    """Return the test in a folder."""
    model = onnx.load(folder / "model.onnx")
    (node,) = model.graph.node
    version = next(o.version for o in model.opset_import if o.domain == "")
    schema = defs.get_schema(node.op_type, version)
    given = dict(zip((i.name for i in model.graph.input), tensors(folder, "input"), strict=True))
    inputs = {
        formal.name: given[name]
        for formal, name in zip(schema.inputs, node.input, strict=False)
        if name
    }
    formal_outputs = [formal.name for formal in schema.outputs]
    outputs = dict(zip(formal_outputs, tensors(folder, "output"), strict=False))
    attrs = {a.name: plain(helper.get_attribute_value(a)) for a in node.attribute}
    both = inputs | outputs
    test = NodeTest(
        folder.name,
        node.op_type,
        schema.since_version,
        {name: array(tensor) for name, tensor in inputs.items()},
        {name: array(tensor) for name, tensor in outputs.items()},
        attrs,
        {name: TensorProto.DataType.Name(t.data_type).lower() for name, t in both.items()},
    )
    return Stored(test, model, given)


def tensors(folder: Path, which: str) -> list[TensorProto]:
    """Return set 0 of the inputs or outputs, in order."""
    found = []
    while (path := folder / f"set0_{which}_{len(found)}.pb").exists():
        tensor = TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append(tensor)
    return found


def array(tensor: TensorProto) -> Array:
    """Return a tensor in a type that NumPy has."""
    value = numpy_helper.to_array(tensor)
    return value if in_numpy(value.dtype) else value.astype(WIDER[value.dtype.name[0]])


def in_numpy(dtype: np.dtype[Any]) -> bool:
    """Return whether a type is NumPy's own."""
    return dtype.isbuiltin == 1


def plain(value: Any) -> Any:
    """Return an attribute's bytes as text."""
    return value.decode() if isinstance(value, bytes) else value
