"""The family of AQuant: what it holds, and goldens derived by hand."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.aquant.cases import cases
from refquant.oracle.families.aquant.ops import OPS

OP = {op.name: op for op in OPS}


def golden(op, inputs, attrs=None, tier="T8"):
    """The outputs of one case as lists; all of them exact."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    built = build(OP[op], Case(op, tier, "by hand", arrays, attrs or {}))
    assert all(item.error is None for item in built.outputs.values())
    return {name: item.value.tolist() for name, item in built.outputs.items()}


def test_the_ops_are_those_of_the_specification():
    names = "border_eq7 border_shared_closed border_poly border_bound border_bound_backward"
    names += " border_fuse border_fuse_backward aquant_quant aquant_quant_backward"
    assert set(names.split()) <= set(OP)
    assert {case.op for case in cases()} == set(OP)


def test_eq7_of_one_product():
    """w = 3/4, dw = 1/4, x' = 1/2, e = 1/4: A = 1, c = 1/8 + 3/16, B = 1/2 + 5/16."""
    inputs = {"w": [0.75, 0.5], "d_w": [0.25, -0.5], "x_prime": [0.5, 9.0], "e": [0.25, 1.0]}
    assert golden("border_eq7", inputs) == {"border": [0.8125, 0.5]}  # A = 0: 1/2


def test_closed_form_of_two_outputs():
    """A = (1, -1), w = (3/4, -1/2): sum A^2 = 2, sum A w = 5/4, sum A dw = 3/4.

    R = 5/8, b1 = 3/8 + e1 R, b0 = e0 R; the second column of zeros is dead.
    """
    inputs = {"w": [[0.75, 0.25], [-0.5, 1.0]], "w_hat": [[1.0, 0.0], [-1.0, 0.0]],
              "e0": [[0.5], [1.0]], "e1": [[2.0], [1.0]]}  # fmt: skip
    found = golden("border_shared_closed", inputs)
    assert found == {"b0": [[0.3125], [0]], "b1": [[1.625], [0]], "b2": [[0], [0]]}


def test_quantizer_of_one_channel_with_two_taps():
    """s = 1/2, levels 0..3, B = clip(mean clip(1/2 + P), 0, 1); P = u / 4 - 1/2 at tap 0, 0 at 1.

    Window 0: u = (5/4, 3/4): E = (5/16, 1/2), F = 13/32; fractions 1/4 down, 3/4 up.
    Window 1: u = (7/2, -1/4): E = (7/8, 1/2), F = 11/16; 1/2 down, 3/4 up, to 0.
    """
    inputs = {"x": [[[0.625, 1.75], [0.375, -0.125]]], "s": 0.5,
              "b0": [[-0.5, 0.0]], "b1": [[0.25, 0.0]]}  # fmt: skip
    found = golden("aquant_quant", inputs, {"bound": "clip"})
    assert found["border"] == [[[[13 / 32, 11 / 16]]]]
    assert found["levels"] == [[[1, 3], [1, 0]]]
    assert found["x_hat"] == [[[0.5, 1.5], [0.5, 0]]]


@pytest.mark.parametrize("gate", ["literal", "support"])
def test_gradients_of_one_element(gate):
    """No fusion, bound clip, s = 2, u = 5/4, P = u^2 / 8 - u / 8 = 5/128, g = 3; and u = 0 = n.

    Gv = 6, GB = -6, GP = -6: d_b0 = -6, d_b1 = -15/2, d_b2 = -75/8.
    Gu = 6 - 6 (2 u / 8 - 1/8) = 6 - 9/8, d_x = 39/16; B = 69/128, r = 1,
    d_s = 3 (1 - 5/4) + 9/8 u / 2 = -3/4 + 45/64. At u = 0: Gv = 2, GB = -2 if literal,
    d_x = 1 + 2 / 8 / 2, and no more but d_b0.
    """
    inputs = {"x": [[[2.5, 0.0]]], "s": 2.0, "b0": [[0.0]], "b1": [[-0.125]], "b2": [[0.125]],
              "d_x_hat": [[[3.0, 1.0]]]}  # fmt: skip
    attrs = {"fuse": "none", "bound": "clip", "gate": gate}
    found = golden("aquant_quant_backward", inputs, attrs)
    open_gate = gate == "literal"
    assert found["d_x"] == [[[39 / 16, 1.125 if open_gate else 1.0]]]
    assert found["d_s"] == float(Fraction(-3, 4) + Fraction(45, 64))
    assert found["d_b0"] == [[-8.0 if open_gate else -6.0]]
    assert (found["d_b1"], found["d_b2"]) == ([[-7.5]], [[-9.375]])
