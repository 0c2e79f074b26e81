"""Goldens of the family `integer`, derived by hand."""

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.integer.ops import OPS

BY_NAME = {op.name: op for op in OPS}


def goldens(op, inputs, attrs, tier="T8"):
    built = build(BY_NAME[op], Case(op, tier, "by hand", inputs, attrs))
    return {name: golden.value.tolist() for name, golden in built.outputs.items()}


def test_requant_float_by_hand():
    """real = acc / 4 + 1/4 in steps of 1/2: acc = 0 -> 1/2 -> 0, acc = 2 -> 3/2 -> 2; z = 5."""
    inputs = {"acc": np.array([0, 2, -3, 90, -90]), "scale": 0.25, "offset": 0.25, "step": 0.5}
    inputs["zero_point"] = 5
    assert goldens("requant_float", inputs, {"bits": 4})["codes"] == [5, 7, 4, 15, 0]
    relu = goldens("requant_float", inputs, {"bits": 4, "relu": True})
    assert relu["codes"] == [5, 7, 5, 15, 5]


@pytest.mark.parametrize(
    ("requantize", "codes"),
    [
        # SRDHM(5, 2^30): 5/2 -> 3, then 3/2 -> 2. For -5: -5/2 -> -2 (ties up), then -1.
        ("double", [2, -1, 1, -2]),
        # 5/4 -> 1, -5/4 -> -1, 2/4 -> 1 and -6/4 -> -1: ties up.
        ("single", [1, -1, 1, -1]),
    ],
)
def test_requant_fixed_by_hand(requantize, codes):
    """M = 1/4 as 2^30 and a shift of 1; SRDHM(2) = 1, 1/2 -> 1; SRDHM(-6) = -3, -3/2 -> -2."""
    inputs = {"acc": np.array([5, -5, 2, -6]), "m0": 2**30, "exponent": 1, "zero_point": 0}
    attrs = {"requantize": requantize, "grid": "signed"}
    assert goldens("requant_fixed", inputs, attrs)["codes"] == codes


def test_quantize_multiplier_by_hand():
    """-3/8 = -(3/4) 2^-1; 6 = (3/4) 2^3; zero by convention 16."""
    found = goldens("quantize_multiplier", {"multiplier": np.array([-0.375, 6.0, 0.0])}, {})
    assert found == {"m0": [-3 * 2**29, 3 * 2**29, 0], "exponent": [1, -3, 0]}


def test_int_conv_acc_by_hand():
    """z = 3, padding on the left: -(3 - 3) + 2 (5 - 3) = 4; then -(5 - 3) + 2 (2 - 3) = -4."""
    inputs = {"x_codes": np.array([[[[5, 2]]]]), "w": np.array([[[[-1, 2]]]]), "zero_point": 3}
    found = goldens("int_conv_acc", inputs, {"padding": [0, 1, 0, 0]})
    assert found["acc"] == [[[[4, -4]]]]


def test_the_family_holds_its_part_of_the_table():
    """Operations 66 to 69 of the specification."""
    names = ["int_conv_acc", "requant_float", "requant_fixed", "quantize_multiplier"]
    assert list(BY_NAME) == names
