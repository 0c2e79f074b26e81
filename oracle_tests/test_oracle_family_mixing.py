"""The family of mixes: what it holds, and goldens derived by hand."""

import math

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.mixing.cases import cases
from refquant.oracle.families.mixing.ops import OPS

OP = {op.name: op for op in OPS}


def golden(op, inputs, attrs=None):
    """The outputs of one case as lists."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    built = build(OP[op], Case(op, "T8", "by hand", arrays, attrs or {}))
    return {name: item.value.tolist() for name, item in built.outputs.items()}


def test_the_ops_are_those_of_the_specification():
    names = {"qdrop_mix", "amixup", "asoftmax"}
    assert names | {f"{name}_backward" for name in names} | {"qdrop_step"} == set(OP)
    assert {case.op for case in cases()} == set(OP)


def test_mixes():
    """m = 1 keeps 2, m = 0 keeps 1; a quarter of 1 and three of 2 are 7/4."""
    pair = {"x": [[1.0, 1.0]], "x_q": [[2.0, 2.0]]}
    assert golden("qdrop_mix", {**pair, "mask": [[True, False]]}) == {"y": [[2.0, 1.0]]}
    assert golden("amixup", {**pair, "share": 0.25}) == {"y": [[1.75, 1.75]]}
    back = golden("qdrop_mix_backward", {"mask": [[True, False]], "d_y": [[3.0, 5.0]]})
    assert back == {"d_x": [[0.0, 5.0]], "d_x_q": [[3.0, 0.0]]}
    back = golden("amixup_backward", {"share": [[0.25, 1.0]], "d_y": [[4.0, 5.0]]})
    assert back == {"d_x": [[1.0, 5.0]], "d_x_q": [[3.0, 0.0]]}


@pytest.mark.parametrize("logits", [[0.5, 0.5], [0.0, 2.0]])
def test_two_candidates(logits):
    """w = -3/4 on s = 1/2: floor -2, level -2 + sigma(v1 - v0), P84; equal logits: -3/2, down.

    d = 8: 8 s pi_1 (1 - pi_1), and its negative.
    """
    given = {"w": [[-0.75]], "s": [0.5], "zero_point": [0], "logits": [[logits]]}
    sigma = 1 / (1 + math.exp(logits[0] - logits[1]))
    found = golden("asoftmax", given, {"bits": 2})
    assert found["w_hat"][0][0] == pytest.approx((-2 + sigma) / 2, rel=1e-15)
    assert found["codes"] == [[-2 if logits[0] == logits[1] else -1]]
    slope = 4 * sigma * (1 - sigma)
    d_logits = golden("asoftmax_backward", {**given, "d_w_hat": [[8.0]]}, {"bits": 2})["d_logits"]
    assert d_logits == [[[pytest.approx(-slope, rel=1e-14), pytest.approx(slope, rel=1e-14)]]]


def test_a_step_of_qdrop():
    """A sample drawn twice: once 3/4, quantized to 1; once 1, not quantized.

    h(0) = 1/2, so w_hat = 5/2 s = 5/4 and both errors are 1/4: loss 1/16, d_y = 1/4 each.
    d_alpha = (1/4 + 1/4) s 1.2/4;  x / s_x = 3/2 goes to 2: d_s_x = 1/4 5/4 (2 - 3/2).
    """
    one, zero = [[0.0]], 0.0
    given = {"w": [[1.0]], "s": [0.5], "zero_point": [0], "x": [[1.0]], "x_q": [[0.75]],
             "target": [[1.0]], "indices": [0, 0], "mask_input": [[True], [False]],
             "mask_element": [[True], [False]], "alpha": one, "s_x": 0.5, "z_x": 0, "t": 1,
             "m_alpha": one, "v_alpha": one, "m_s_x": zero, "v_s_x": zero}  # fmt: skip
    found = golden("qdrop_step", given, {"bits": 3, "act_bits": 2})
    assert found["penalty"] == 0.0  # in the warm-up
    assert found["loss"] == pytest.approx(0.0625, rel=1e-14)  # 1.2 and 0.1 are floats
    assert found["d_s_x"] == pytest.approx(0.15625, rel=1e-14)
    assert found["d_alpha"] == [[pytest.approx(0.075, rel=1e-14)]]
    assert found["alpha_next"] == [[pytest.approx(-0.001, rel=1e-6)]]  # Adam's first step: the rate
    assert found["s_x_next"] == pytest.approx(0.5 - 4e-5, rel=1e-9)
    kept = {**given, "mask_element": [[False], [False]]}
    assert golden("qdrop_step", kept, {"bits": 3, "act_bits": 2})["d_s_x"] == 0.0  # P30
