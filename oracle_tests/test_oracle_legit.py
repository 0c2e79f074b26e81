"""Right implementations that compute otherwise: each does what its name says, and nothing else."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import sample
from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.judge import held
from refquant.oracle.legit import (
    LEGIT,
    Legit,
    backwards,
    blocked,
    forwards,
    fused_matmul,
    pairwise,
)
from refquant.oracle.op import Op, Plain, Tensor
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS


def rounded(x: Fraction | int) -> Fraction:
    """Return the float32 nearest to a rational, as a rational."""
    return Fraction(float(np.float32(float(x))))


def in_order(terms: list[Fraction]) -> Fraction:
    """Add one after the other, each sum rounded to float32."""
    total = Fraction(0)
    for term in terms:
        total = rounded(total + term)
    return total


TERMS = np.array([2.0**24, *8 * [1.0], -(2.0**24)], np.float32)  # 0, 8, 1 and 8


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (forwards, lambda t: in_order(t)),
        (backwards, lambda t: in_order(t[::-1])),
        (blocked, lambda t: in_order([in_order(t[:8]), in_order(t[8:])])),
        (
            pairwise,
            lambda t: in_order(
                [
                    in_order([in_order(t[:2]), in_order([in_order(t[2:3]), in_order(t[3:5])])]),
                    in_order([in_order(t[5:7]), in_order([in_order(t[7:8]), in_order(t[8:])])]),
                ]
            ),
        ),
    ],
)
def test_a_sum_is_carried_out_in_its_order(way: Any, expected: Any) -> None:
    """Rounded to float32 after every addition; a whole axis at a time."""
    exact = [Fraction(float(t)) for t in TERMS]
    found = way(np.stack([TERMS, -TERMS]))
    assert found.dtype == np.float32
    assert [Fraction(float(v)) for v in found] == [expected(exact), -expected(exact)]


def test_the_orders_differ() -> None:
    """Else they would show nothing."""
    assert len({float(way(TERMS)) for way in (forwards, backwards, blocked, pairwise)}) >= 3
    for way in (forwards, backwards, blocked, pairwise):
        assert way(np.zeros((2, 0), np.float32)).tolist() == [0.0, 0.0]


def test_fused_multiply_add_rounds_once() -> None:
    """(1 + 2^-12)^2 - 1 - 2^-11 is 2^-24: the product alone rounds to 1 + 2^-11."""
    a = np.array([[-1.0 - 2.0**-11, 1.0 + 2.0**-12]], np.float32)
    b = np.array([[1.0], [1.0 + 2.0**-12]], np.float32)
    assert fused_matmul(a, b)[0, 0] == 2.0**-24
    assert (a[0] * b[:, 0]).sum() == 0.0
    halves = np.array([[1.0, 2.0**-24, 2.0**-24]], np.float32)  # each sum is rounded, to even
    assert fused_matmul(halves, np.ones((3, 1), np.float32))[0, 0] == 1.0
    assert fused_matmul(a.astype(np.float64), b.astype(np.float64))[0, 0] == 2.0**-24


def machine_op(run: Any) -> Op:
    """Return an op of one input x that computes as told."""
    x, y = (Tensor(name, "float", "any", "") for name in "xy")
    return sample((x,), (y,), Plain(lambda i, a, part: {"y": run(i["x"])}))


def on(legit: Legit, run: Any, x: Array) -> Array:
    """Return what a machine makes of x."""
    return legit.run(machine_op(run), {"x": x}, {})["y"]


def test_a_machine_changes_sums_products_and_quotients() -> None:
    """And these alone: its arrays are plain ones otherwise, and none of it leaks out."""
    sums = Legit("backwards", "float32", sum_of=backwards)
    assert on(sums, lambda x: x.sum(), TERMS) == backwards(TERMS)
    assert on(sums, lambda x: x.reshape(2, 5).sum(0), TERMS).tolist() == [
        backwards(TERMS[i::5]) for i in range(5)
    ]
    assert on(sums, lambda x: x.reshape(2, 5).sum((0, 1), keepdims=True), TERMS).shape == (1, 1)
    ones = np.ones(len(TERMS), np.float32)
    assert on(sums, lambda x: x @ ones, TERMS).tolist() == 8.0
    first = Legit("forwards", "float32", sum_of=forwards)
    assert on(first, lambda x: x @ ones, TERMS).tolist() == 0.0
    assert on(sums, lambda x: x[None] @ ones[:, None], TERMS).tolist() == [[backwards(TERMS)]]
    assert type(on(sums, lambda x: x + 1, TERMS)) is np.ndarray
    turned = Legit("reciprocal", "float32", reciprocal=True)
    ten = np.full(3, 10, np.float32)
    tenth = np.float32(1) / np.float32(10)
    x = np.array([3.0, 7.0, 9.0], np.float32)
    assert on(turned, lambda x: x / ten, x).tolist() == (x * tenth).tolist()
    assert on(turned, lambda x: x / ten, x).tolist() != (x / ten).tolist()
    assert on(sums, lambda x: x / ten, x).tolist() == (x / ten).tolist()


def test_tensor_cores_round_the_matrices_that_they_multiply() -> None:
    """To 11 digits or 8, ties to even, and nothing else; sums stay in float32."""
    short = Legit("TF32", "tf32", sum_of=forwards, digits=11)
    x = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, -(2.0**30) - 2.0**18, 2.0**-140], np.float32)
    tall = np.eye(4, dtype=np.float32)
    expected = [1.0, 1 + 2.0**-9, -(2.0**30), 2.0**-140]
    assert on(short, lambda x: x @ tall, x).tolist() == expected
    assert on(short, lambda x: tall @ x, x).tolist() == expected
    assert on(short, lambda x: x * 1, x).tolist() == x.tolist()
    ones = np.ones(4, np.float32)
    brief = Legit("bfloat16", "bfloat16", sum_of=forwards, digits=8)
    assert on(brief, lambda x: x @ ones, np.array([1, 2**-7, 2**-8, 2**-9], np.float32)) == (
        1 + 2**-7 + 2**-8 + 2**-9
    )


def test_narrow_arithmetic_is_not_held_to_products_of_products() -> None:
    """What an op computed itself has more digits than its inputs: nothing bounds the rounding."""
    op, case = ops()["adaqt"], corpus.load("adaqt")[0].case
    assert op.composite and case.tier == "T8"
    assert [name for name, form in FORMATS.items() if held(op, case, form)] == [
        "float64", "float32",
    ]  # fmt: skip
    linear = corpus.load("linear")[0].case
    assert all(held(ops()["linear"], linear, form) for form in FORMATS.values())


def test_the_right_implementations_cover_what_is_promised() -> None:
    """Four orders of sums, a fused product, a reciprocal, both precisions, three input formats."""
    assert {legit.sum_of for legit in LEGIT} >= {forwards, backwards, pairwise, blocked}
    assert any(legit.fused for legit in LEGIT) and any(legit.reciprocal for legit in LEGIT)
    assert {legit.dtype for legit in LEGIT} == set(FORMATS)
    assert len({legit.name for legit in LEGIT}) == len(LEGIT) >= 10
