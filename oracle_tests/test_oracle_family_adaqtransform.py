"""The family of AdaQTransform: what it holds, and goldens derived by hand."""

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.adaqtransform.cases import cases
from refquant.oracle.families.adaqtransform.ops import OPS
from refquant.oracle.families.adaqtransform.ops_step import LEARNT

OP = {op.name: op for op in OPS}
SMALL = {"n_w": -2, "p_w": 1, "p_x": 3}


def golden(op, inputs, attrs=None, exact=True):
    """The outputs of one case as lists; all of them exact, unless something was rounded."""
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    built = build(OP[op], Case(op, "T8", "by hand", arrays, attrs or {}))
    assert not exact or all(item.error is None for item in built.outputs.values())
    return {name: item.value.tolist() for name, item in built.outputs.items()}


def test_the_ops_are_those_of_the_specification():
    names = "adaqt adaqt_backward adaqt_fold adaqt_ols bn_to_xieta xieta_to_bn bias_correct"
    assert {*names.split(), "adaqt_step"} == set(OP)
    assert {case.op for case in cases()} == set(OP)


def layer(case):
    """One output, two inputs, one column: w / s_w = (3/4, -9/4), x / s_x = (3/2, 5)."""
    given = {"w": [[0.375, -1.125]], "s_w": [0.5], "x": [[3.0], [10.0]], "s_x": 2.0,
             "xi": [-0.5], "eta": [0.25], "bias": [4.0]}  # fmt: skip
    if case not in ("1.2", "qat"):
        given["alpha"] = [[4.0, 4.0]]  # h = 1
    return given | ({"s_d": [0.75]} if case[0] == "2" else {})


@pytest.mark.parametrize(
    ("case", "levels", "y0"),
    [
        ("1.1", [1, -2], -4.0),  # floor 0 + 1; floor -3 + 1 = -2; x_hat = (4, 6): 1/2 (4 - 12)
        ("2.2", [1, -2], -6.0),  # the same levels times 3/4
        ("1.2", [1, -2], -4.0),  # rint(3/4) = 1, rint(-9/4) = -2
    ],
)
def test_a_layer(case, levels, y0):
    """x_hat = 2 (rint 3/2, 3) = (4, 6); y = -y0 / 2 + 4 + 1/4."""
    found = golden("adaqt", layer(case), {"case": case, **SMALL})
    assert found == {"levels": [levels], "y0": [[y0]], "y": [[4.25 - y0 / 2]]}


@pytest.mark.parametrize(
    ("case", "own"),
    [
        ("2.3", {"d_s_d": [16.0], "d_s_w": [-31.5], "d_alpha": [[0.0, 0.0]]}),
        ("tied", {"d_s_w": [-5.0], "d_alpha": [[0.0, 0.0]]}),
        ("1.2", {"d_s_w": [-5.0]}),
        ("qat", {"d_s_w": [-5.0], "d_w": [[-8.0, -12.0]]}),
    ],
)
def test_gradients_of_a_layer(case, own):
    """d_y = 4, xi = -1/2, u = (3/4, -9/4), levels (1, -2), x_hat = (4, 6).

    d_w_hat = -2 (4, 6) = (-8, -12);  2.3: d_s_d = -8 + 24, d_s_w = 3/4 (-8 (-3/2) - 12 (9/2));
    tied, 1.2, qat: d_s_w = -8 (1 - 3/4) - 12 (-2 + 9/4).  d_xi = 4 y0, d_eta = d_bias = 4.
    d_x_hat = -2 w_hat, x / s_x = (3/2, 5): inside and above; d_s_x = d_1 (2 - 3/2) + d_2 3.
    """
    found = golden("adaqt_backward", {**layer(case), "d_y": [[4.0]]}, {"case": case, **SMALL})
    wide = 1.5 if case == "2.3" else 1.0  # s_d / s_w
    assert found == {
        **own,
        "d_xi": [-16.0 * wide],
        "d_eta": [4.0],
        "d_bias": [4.0],
        "d_x": [[-wide], [0.0]],
        "d_s_x": 5.5 * wide,
    }


def test_folding_and_fit():
    """st = 3/4 1/2 2, bt = 1/4 + 1; y = 2 y0 + 3 exactly, then a product that stands still."""
    fold = {"xi": [0.75], "eta": [0.25], "s_w": [0.5], "s_x": 2.0, "bias": [1.0]}
    assert golden("adaqt_fold", fold) == {"st": [0.75], "bt": [1.25]}
    y0 = [[[-1.0, 1.0], [0.5, 0.5]]]
    fit = golden("adaqt_ols", {"y": [[[2.0, 6.0], [1.0, 3.0]]], "y0": y0, "bias": [1.0, 0.0]})
    assert fit == {"xi": [2.0, 1.0], "eta": [3.0, 1.5], "mse": [0.0, 1.0]}


def test_a_batch_norm_and_back():
    """gamma 1/2 -> 3/2, beta 1 -> 2, mean 3, sd 2, bias 1: xi = 3, eta = 1 - 2 * 1 / 2 = 0."""
    norm = {"gamma0": [0.5], "beta0": [1.0], "mean": [3.0], "sd": [2.0], "bias": [1.0]}
    found = golden("bn_to_xieta", {"gamma": [1.5], "beta": [2.0], **norm})
    assert found == {"xi": [3.0], "eta": [0.0]}
    assert golden("xieta_to_bn", {**found, **norm}) == {"gamma": [1.5], "beta": [2.0]}


def test_bias_correction():
    """Errors 1, 0, 0, -1/2: their mean is 1/8."""
    inputs = {"y": [[[2.0, 1.0]], [[0.0, 0.5]]], "y_hat": [[[1.0, 1.0]], [[0.0, 1.0]]]}
    assert golden("bias_correct", {**inputs, "bias": [0.5]}) == {"corrected": [0.625]}


def test_xi_and_s_d_move_together():
    """P41: s_d = s_w xi for ever if its rate is s_w times that of xi (eps = 0, here nearly); P40.

    y0 = -4, y = y0 + 17/4 against 0: d_xi = 2 y y0, and d_s_d is that over s_w = 1/2. The first
    step of Adam is the rate, against the sign.
    """
    base = {**layer("1.1"), "x": [[3.0, 10.0]], "target": [[0.0]], "indices": [0], "t": 1}
    base |= {"xi": [1.0], "s_d": [0.5]}
    attrs = {"total": 1, "lr_alpha": 0.25, "eps": 2.0**-60, "beta1": 0.5, "beta2": 0.5, **SMALL}
    moved = {}
    for case, rate in (("adaqt", 0.125), ("2.2", 0.0625)):
        own = {k: v for k, v in base.items() if k != "s_d" or case == "2.2"}
        zeros = {f"{m}_{name}": 0 * np.asarray(own[name], float)
                 for name in LEARNT[case] for m in "mv"}  # fmt: skip
        here = {"case": case, "lr": rate, **attrs}
        moved[case] = golden("adaqt_step", {**own, **zeros}, here, exact=False)
    assert moved["adaqt"]["loss"] == moved["2.2"]["loss"] == (-4.0 + 4.25) ** 2
    assert moved["adaqt"]["d_xi"] == [0.5 * -4.0]
    assert moved["2.2"]["d_s_d"] == [2.0 * moved["adaqt"]["d_xi"][0]]
    assert moved["adaqt"]["xi_next"] == [1.125]
    assert moved["2.2"]["s_d_next"] == [0.5 * 1.125]
    assert moved["adaqt"]["eta_next"] == [0.25 - 0.125]
