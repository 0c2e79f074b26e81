"""The family of redistributions: what it holds, and goldens derived by hand."""

import numpy as np

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.redistribution.cases import cases
from refquant.oracle.families.redistribution.ops import OPS

OP = {op.name: op for op in OPS}


def golden(op, inputs, attrs=None):
    """The outputs of one case as lists."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    built = build(OP[op], Case(op, "T8", "by hand", arrays, attrs or {}))
    return {name: item.value.tolist() for name, item in built.outputs.items()}


def test_the_ops_are_those_of_the_specification():
    assert list(OP) == ["smoothquant_scale", "osplus_shift_scale", "repq_reparam", "cle_scale"]
    assert {case.op for case in cases()} == set(OP)


def test_smoothquant():
    """sqrt(9 / (1/4)) = 6; a silent channel is bounded by 1e-5, a dead one by sqrt(4 / 1e-5)."""
    found = golden("smoothquant_scale", {"x_max": [9.0, 0.0, 4.0], "w_max": [0.25, 1.0, 0.0]})
    assert found == {"scale": [6.0, 1e-5, (4 / 1e-5) ** 0.5]}


def test_outlier_suppression():
    """-2..10: the middle 4, then -6..6, over 2: 3; -1/2..1/2 stays inside the threshold."""
    found = golden("osplus_shift_scale", {"low": [-2.0, -0.5], "high": [10.0, 0.5]},
                   {"threshold": 2.0})  # fmt: skip
    assert found == {"shift": [4.0, 0.0], "scale": [3.0, 1.0]}


def test_repq():
    """Steps 1/2, 3/2: mean 1; zero points 2, 3: 5/2, half to even 2; 1 (2 - z)."""
    found = golden("repq_reparam", {"s": [0.5, 1.5], "zero_point": [2, 3]})
    assert (found["common_s"], found["common_zero_point"]) == (1.0, 2)
    assert (found["ratio"], found["offset"]) == ([0.5, 1.5], [0.0, -1.0])


def test_equalization():
    """sqrt(4 / 1) = 2, sqrt(1 / 16) = 1/4 clipped to 1/2, and 1 for a silent channel."""
    found = golden(
        "cle_scale", {"r1": [1.0, 16.0, 0.0], "r2": [4.0, 1.0, 3.0]}, {"clip": [0.5, 8.0]}
    )
    assert found == {"scale": [2.0, 0.5, 1.0]}
