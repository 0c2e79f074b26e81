"""Descriptions of `relu` and `relu6`, forward and backward."""

from dataclasses import dataclass
from typing import Any

from refquant.layers import relu as library
from refquant.layers import relu6 as library6
from refquant.oracle.exact import activations as twin
from refquant.oracle.families.layers import plain_dense as plain
from refquant.oracle.op import Op, Plain, Tensor

X = Tensor("x", "float", "any", "the input")


@dataclass(frozen=True)
class Clip:
    """What tells the two apart: words, formulas, and (forward, backward) implementations."""

    name: str
    says: str
    passes: str
    value: str
    mask: str
    library: tuple[Any, Any]
    twin: tuple[Any, Any]
    plain: tuple[Plain, Plain]


CLIPS = (
    Clip(
        "relu",
        "What is positive, and 0 elsewhere; NaN stays NaN.",
        "Pass the gradient where x is above 0: not at 0, and not for NaN.",
        "max(x, 0)",
        "x > 0",
        (library.relu_forward, library.relu_backward),
        (twin.relu, twin.relu_backward),
        (plain.RELU, plain.RELU_BACKWARD),
    ),
    Clip(
        "relu6",
        "Clip to 0 .. 6, element by element; NaN stays NaN.",
        "Pass the gradient strictly between 0 and 6: not at the ends, and not for NaN.",
        "min(max(x, 0), 6)",
        "0 < x < 6",
        (library6.relu6_forward, library6.relu6_backward),
        (twin.relu6, twin.relu6_backward),
        (plain.RELU6, plain.RELU6_BACKWARD),
    ),
)


def _forward(clip: Clip) -> Op:
    return Op(
        name=clip.name,
        says=clip.says,
        formula=f"y = {clip.value}",
        inputs=(X,),
        outputs=(Tensor("y", "float", "like x", "the output"),),
        clauses=("4.3", "C23"),
        reference=lambda inputs, attrs: {"y": clip.library[0](inputs["x"])[0]},
        twin=lambda numbers, attrs: {"y": clip.twin[0](numbers["x"])},
        plain=clip.plain[0],
    )


def _backward(clip: Clip) -> Op:
    def reference(inputs: Any, attrs: Any) -> dict[str, Any]:
        _, cache = clip.library[0](inputs["x"])
        return {"d_x": clip.library[1](inputs["d_y"], cache)}

    return Op(
        name=f"{clip.name}_backward",
        says=clip.passes,
        formula=f"d_x = d_y where {clip.mask}, else 0, be d_y infinite or NaN",
        inputs=(Tensor("d_y", "float", "like x", "dL/dy"), X),
        outputs=(Tensor("d_x", "float", "like x", "dL/dx"),),
        clauses=("4.3",),
        reference=reference,
        twin=lambda numbers, attrs: {"d_x": clip.twin[1](numbers["d_y"], numbers["x"])},
        plain=clip.plain[1],
    )


OPS = tuple(op for clip in CLIPS for op in (_forward(clip), _backward(clip)))
