"""The family of AQuant: what it holds, and goldens derived by hand."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.aquant.cases import cases
from refquant.oracle.families.aquant.ops import OPS

OP = {op.name: op for op in OPS}


def golden(op, inputs, attrs=None, exact=True):
    """The outputs of one case as lists; all of them exact, unless a quotient was rounded."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    built = build(OP[op], Case(op, "T8", "by hand", arrays, attrs or {}))
    assert not exact or all(item.error is None for item in built.outputs.values())
    return {name: item.value.tolist() for name, item in built.outputs.items()}


def test_the_ops_are_those_of_the_specification():
    names = "border_eq7 border_shared_closed border_poly border_bound border_bound_backward"
    names += " border_fuse border_fuse_backward aquant_quant aquant_quant_backward"
    names += " round_schedule a_rounding squant_weight aquant_step"
    assert set(names.split()) == set(OP)
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


def test_two_channels_whose_errors_add_up():
    """Eighths (3, 3, 3, 3) / 8: r sums to -12/8, rint 3/2 = 2 go up, |S| = 1/2 is left, S > 0.

    The flips passed |S|: the second offers to go back. Alone it is not taken: T = 1/2, rint 0.
    """
    found = golden("a_rounding", {"u": [[[0.375, 0.375, 0.375, 0.375]]]})
    assert found["q"] == [[[1, 1, 0, 0]]]
    assert found["r"] == [[[0.625, 0.625, -0.375, -0.375]]]
    both = golden("a_rounding", {"u": [[[0.375] * 4, [0.375] * 4]]})  # T = 1: one goes back
    assert both["q"] == [[[1, 0, 0, 0], [1, 1, 0, 0]]]


def test_squant_of_a_filter():
    """3 bits, ends -3/8 and 4/8: s = 1/8, z = 3; u = (-3, 1/4, 1/4, 4), r sums to -1/2: no flip."""
    found = golden("squant_weight", {"w": [[[-0.375, 0.03125, 0.03125, 0.5]]]}, {"bits": 3})
    assert found == {"codes": [[[0, 3, 3, 7]]], "s": [0.125], "zero_point": [3]}
    more = golden("squant_weight", {"w": [[[-0.375, 0.046875, 0.046875, 0.5]]]}, {"bits": 3})
    assert more["codes"] == [[[0, 4, 3, 7]]]  # u = 3/8: -3/4, one goes up


def test_first_step_of_a_run():
    """One tap, s = 1, u = 3/2, w_hat = 2, target 0, a = 1: x_hat = 1 (a tie goes down), y = 2.

    loss = 4, d_x_hat = 2 * 2 * 2 = 8; B = 1/2, GB = -8, d_b0 = -8, d_b1 = -12, d_s = 8 (1 - 3/2).
    Adam's first step is its rate, against the sign: eps = 0.
    """
    params = {"s": 1.0, "b0": [[0.0]], "b1": [[0.0]]}
    means = {f"{mean}_{name}": np.zeros_like(p) for name, p in params.items() for mean in "mv"}
    layer = {"x": [[[1.5]]], "target": [[[0.0]]], "w_hat": [[2.0]], "indices": [0], "t": 1}
    attrs = {"bound": "clip", "total": 1, "hold": 0.0, "eps": 0.0, "beta1": 0.5, "beta2": 0.5,
             "lr_border": 0.25, "lr_s": 0.125}  # fmt: skip
    found = golden("aquant_step", {**layer, **params, **means}, attrs, exact=False)  # -12 / 12
    assert (found["loss"], found["d_s"]) == (4.0, -4.0)
    assert (found["d_b0"], found["d_b1"]) == ([[-8.0]], [[-12.0]])
    assert (found["s_next"], found["b0_next"], found["b1_next"]) == (1.125, [[0.25]], [[0.25]])
    assert (found["m_b0_next"], found["v_b0_next"]) == ([[-4.0]], [[32.0]])
