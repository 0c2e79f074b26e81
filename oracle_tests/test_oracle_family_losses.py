"""The losses of the oracle: their names, and goldens derived by hand from the formulas."""

import math

import numpy as np
import pytest

from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.families.losses.ops import OPS

BY_NAME = {op.name: op for op in OPS}
# Errors 1, -2, 0 and 3: two samples, two channels.
Z = np.array([[1.0, -1.0], [2.0, 5.0]])
T = np.array([[0.0, 1.0], [2.0, 2.0]])
G = np.array([[1.0, 2.0], [3.0, -1.0]])


def golden(name, inputs, attrs=None):
    """Return the one output, built and agreed upon by all three."""
    op = BY_NAME[name]
    built = build(op, Case(name, "T24", "by hand", inputs, attrs or {}))
    return built.outputs[op.outputs[0].name].value.tolist()


def test_names_are_those_of_the_table():
    """methods 21, ops 33 to 35, each with its gradient."""
    losses = ("lp_rec_loss", "fisher_diag", "fisher_full", "kl_logits")
    assert [op.name for op in OPS] == [f"{n}{end}" for n in losses for end in ("", "_backward")]


@pytest.mark.parametrize(
    ("attrs", "loss", "d_z"),
    [
        ({}, (1 + 4 + 9) / 2, [[1, -2], [0, 3]]),  # two samples: 2 d / 2
        ({"reduction": "mean"}, (1 + 4 + 9) / 4, [[0.5, -1], [0, 1.5]]),
        ({"p": 1.0}, (1 + 2 + 3) / 2, [[0.5, -0.5], [0, 0.5]]),
        ({"p": 3.0}, (1 + 8 + 27) / 2, [[1.5, -6], [0, 13.5]]),  # 3 d |d| / 2
    ],
)
def test_reconstruction_by_hand(attrs, loss, d_z):
    inputs = {"z": Z, "t": T}
    assert golden("lp_rec_loss", inputs, attrs) == loss
    assert golden("lp_rec_loss_backward", inputs, attrs) == d_z


def test_fisher_by_hand():
    """d^2 g^2 = 1, 16, 0, 9; |d| g = 1, 4 with sum 5, and 0, -3 with sum -3."""
    inputs = {"z": Z, "t": T, "g": G}
    assert golden("fisher_diag", inputs) == 26 / 2
    assert golden("fisher_diag_backward", inputs) == [[1, -8], [0, 3]]
    assert golden("fisher_full", inputs) == (25 + 9) / 400
    # sign(d) 2 S g / 400
    assert golden("fisher_full_backward", inputs) == [[10 / 400, -20 / 400], [0, 6 / 400]]


def test_divergence_by_hand():
    """Two equal logits against 0 and T ln 3, rounded: (1/2, 1/2) and nearly (1/4, 3/4)."""
    for temperature in (1.0, 4.0):
        log3 = float(np.float32(math.log(3)))
        inputs = {"z": np.zeros((1, 2)), "t": np.array([[0.0, temperature * log3]])}
        attrs = {"temperature": temperature}
        loss = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
        assert golden("kl_logits", inputs, attrs) == pytest.approx(loss, rel=1e-6)
        d_z = golden("kl_logits_backward", inputs, attrs)
        assert d_z == [[pytest.approx(0.25 / temperature), pytest.approx(-0.25 / temperature)]]


def test_the_bound_holds_a_sum_that_autodiff_scales_first():
    """S = 3 - 1 - 2 = 0, so d_z = 0; autodiff adds numbers that were divided by 300 before."""
    shares = np.array([3, -1, -2], np.float32) / np.float32(300)
    found = (shares[0] + shares[1]) + shares[2]
    inputs = {"z": [[3.0, 1.0, 2.0]], "t": [[0.0, 0.0, 0.0]], "g": [[1.0, -1.0, -1.0]]}
    op = BY_NAME["fisher_full_backward"]
    d_z = build(op, Case(op.name, "T8", "by hand", inputs)).outputs["d_z"]
    assert d_z.value.tolist() == [[0, 0, 0]]
    assert 0 < abs(found) <= d_z.error.min() * 2.0**-24
