"""validation/onnx_nodes: ONNX's operators in refquant's words, on nodes small enough to do by hand.

The page itself needs onnx and its node tests; what is below needs neither.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant._types import Array
from validation.onnx_nodes.findings import FINDINGS, unexplained
from validation.onnx_nodes.layers import LAYERS
from validation.onnx_nodes.node import NodeTest, OutOfScope
from validation.onnx_nodes.proof import ASKABLE, forbidden, proof
from validation.onnx_nodes.quantized import QUANTIZED
from validation.onnx_nodes.reading import Reading
from validation.onnx_nodes.verdict import judged
from validation.onnx_nodes.windows import window

PAGE = Path(__file__).parent.parent / "validation" / "onnx-goldens.md"
F32, U8, I8 = np.float32, np.uint8, np.int8


def node(op: str, inputs: Mapping[str, Any], types: Mapping[str, str], **attrs: Any) -> NodeTest:
    """A node without goldens."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    return NodeTest("test", op, 0, arrays, {}, attrs, types)


def read(test: NodeTest) -> Reading:
    """What refquant says."""
    return (QUANTIZED | LAYERS)[test.op](test)


def quantize(x: Any, scale: Any, zero_point: Any, kind: str, **attrs: Any) -> NodeTest:
    """QuantizeLinear to a type."""
    inputs = {"x": F32(x), "y_scale": F32(scale), "y_zero_point": np.array(zero_point)}
    return node("QuantizeLinear", inputs, {"y": kind}, **attrs)


QUANTIZED_BY_HAND = [
    # 0.5 1.5 -0.5 ties to 0 2 0, then 1 is added; 9 and -9 saturate to 7 and -8
    (quantize([0.5, 1.5, -0.5, 9, -9], 1, 1, "int4"), [1, 3, 1, 7, -8]),
    (quantize([0.5, 1.5, -0.5, 9, -9], 1, 0, "int4"), [0, 2, 0, 7, -8]),
    (quantize([0.5, 1.5, -0.5, 9, -9], 1, 0, "uint2"), [0, 2, 0, 3, 0]),
    (quantize([[2, 2], [8, 8]], [2, 4], [1, 3], "uint8", axis=0), [[2, 2], [5, 5]]),
    # blocks of two, the last one cut off: steps 1 1 2
    (quantize([[3, 3, 3]], [[1, 2]], [[0, 10]], "uint8", axis=1, block_size=2), [[3, 3, 12]]),
]


@pytest.mark.parametrize(("test", "codes"), QUANTIZED_BY_HAND)
def test_codes_are_onnx_s(test: NodeTest, codes: Any) -> None:
    """Signed types with a zero point, axes, blocks; library and twin alike."""
    answer = read(test).outputs["y"]
    np.testing.assert_array_equal(answer.ours, codes)
    np.testing.assert_array_equal(answer.exact.value, codes)


def test_dequantization_leaves_the_type() -> None:
    """127 - (-128) does not fit int8."""
    inputs = {"x": I8([127, -128]), "x_scale": F32(0.5), "x_zero_point": I8(-128)}
    answer = read(node("DequantizeLinear", inputs, {"x": "int8"})).outputs["y"]
    np.testing.assert_array_equal(answer.ours, [127.5, 0.0])
    assert answer.ours.dtype == F32


def test_a_zero_point_for_every_row() -> None:
    """(5 - 1) + (6 - 1) and (7 - 2) + (8 - 2)."""
    inputs = {"A": U8([[5, 6], [7, 8]]), "B": U8([[1], [1]]), "a_zero_point": U8([1, 2])}
    np.testing.assert_array_equal(
        read(node("MatMulInteger", inputs, {})).outputs["Y"].ours, [[9], [11]]
    )


@pytest.mark.parametrize(
    ("kind", "zero_point", "code"), [("uint8", 101, 103), ("int8", -101, -99), ("int8", 127, 127)]
)
def test_the_bias_has_the_scale_of_the_sum(kind: str, zero_point: int, code: int) -> None:
    """(2 - 1) * 3 + 7 = 10 at 0.5 * 0.5, over 1: 2.5 goes to 2, whatever the zero point."""
    inputs: dict[str, Array] = {
        "x": U8([[[[2]]]]), "x_scale": F32(0.5), "x_zero_point": U8(1), "w": U8([[[[3]]]]),
        "w_scale": F32([0.5]), "w_zero_point": U8([0]), "y_scale": F32(1),
        "y_zero_point": np.array(zero_point), "B": np.array([7], np.int32),
    }  # fmt: skip
    answer = read(node("QLinearConv", inputs, {"y": kind})).outputs["y"]
    np.testing.assert_array_equal(answer.ours, [[[[code]]]])


def test_formats_of_floats_are_out_of_scope() -> None:
    """And the reason names them."""
    with pytest.raises(OutOfScope, match="float8e4m3fn"):
        read(quantize([1], 1, 0, "float8e4m3fn"))


@pytest.mark.parametrize(
    ("attrs", "size", "padding"),
    [
        ({"pads": [1, 2, 3, 4]}, (9, 9), [1, 2, 3, 4]),
        ({"auto_pad": "VALID"}, (9, 9), [0, 0, 0, 0]),
        # ceil(4 / 2) = 2 windows of 3: (2 - 1) 2 + 3 - 4 = 1 row
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (4, 4), [0, 0, 1, 1]),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (4, 4), [1, 1, 0, 0]),
        # 4 rows, windows at 0 and 2: the second one lacks a row
        ({"ceil_mode": 1, "strides": [2, 2]}, (4, 5), [0, 0, 1, 0]),
        # 2 rows between paddings of 1, windows at -1 and 2: the second starts on padding
        ({"ceil_mode": 1, "strides": [3, 3], "pads": [1] * 4}, (2, 2), [1, 1, 1, 1]),
    ],
)
def test_padding_is_onnx_s(attrs: dict[str, Any], size: tuple[int, int], padding: Any) -> None:
    """Of a 3x3 window."""
    assert window(attrs, (3, 3), size)["padding"] == padding


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (F32([3.0, 0.3]), "equal"),
        (np.nextafter(F32([3.0, 0.3]), F32(9)), "wrong: 2 of 2"),
        (F32([3.0, 0.3001]), "wrong: 1 of 2"),
        (F32([[3.0, 0.3]]), "wrong: shape"),
        ("no kernel", "none: no kernel"),
    ],
)
def test_a_product_is_rounded_once(found: Any, says: str) -> None:
    """So that no neighbour is right: float32(0.1) 3 is nearest to float32(0.3)."""
    inputs = {"x": I8([3, 3]), "x_scale": F32([1.0, 0.1]), "x_zero_point": I8([0, 0])}
    test = node("DequantizeLinear", inputs, {"x": "int8"}, axis=0)
    outputs = found if isinstance(found, str) else {"y": found}
    assert judged(test, read(test), outputs).startswith(says)


def test_a_sum_lies_within_its_bound() -> None:
    """Three times float32(1/3) is 1 + 2^-25, and two additions may err by 2^-23: 3/4 of that."""
    third = F32([[1 / 3, 1 / 3, 1 / 3]])
    test = node("MatMul", {"A": third, "B": F32([[1], [1], [1]])}, {})
    below = np.nextafter(F32([[1]]), F32(0))
    assert judged(test, read(test), {"Y": F32([[1]])}) == "equal"
    assert judged(test, read(test), {"Y": below}) == "within 0.75"
    assert judged(test, read(test), {"Y": F32([[1.001]])}) == "wrong: 1 of 1"


def test_an_integer_is_equal_or_wrong() -> None:
    """One code off is wrong, however wide the type."""
    test = quantize([0.5, 2.5], 1, 101, "uint8")
    assert judged(test, read(test), {"y": U8([101, 103])}) == "equal"
    assert judged(test, read(test), {"y": U8([102, 103])}) == "wrong: 1 of 2"


def test_every_disagreement_has_a_finding_and_every_finding_a_disagreement() -> None:
    """One too many and all too many."""
    assert unexplained([("test_new", "golden")])[0] == "test_new: golden"
    assert len(unexplained([])) == len(FINDINGS)


def test_a_tie_tells_what_no_golden_tells() -> None:
    """1.5 goes to 2 by both rules, 2.5 does not."""
    away = "Ties go away from zero instead of to the even level."
    blind, telling = (read(quantize([x], 1, 1, "uint8")).steps for x in (1.5, 2.5))
    assert away in proof("fake_quant", blind).passing
    assert away not in proof("fake_quant", [*blind, *telling]).passing


def test_the_page_counts_the_catalogue_of_today() -> None:
    """The wrong implementations that ONNX forbids; a new one, and the page must be made again."""
    table = re.findall(
        r"^\| `(\w+)` \| \d+ \| (\d+) \| \d+ \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert {op: int(count) for op, count in table} == {op: len(forbidden(op)) for op in ASKABLE}
