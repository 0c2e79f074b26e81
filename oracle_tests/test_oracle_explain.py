"""Explanations: the steps lead to the golden, exactly; the page says what the op says."""

from fractions import Fraction
from typing import Any

import pytest

from oracle_tests.oracle_cases import goldens
from refquant.cli.main import main
from refquant.oracle import corpus
from refquant.oracle.conventions import CONVENTIONS
from refquant.oracle.exact.real import power
from refquant.oracle.exact.traced import Log, Traced, inputs, show, steps
from refquant.oracle.explain import explain
from refquant.oracle.page import page
from refquant.oracle.registry import ops

HALVES = "M = 1/2 and its ties, double"


def traced(**values: float) -> list[Traced]:
    """Return named numbers that share a log."""
    log = Log()
    return [Traced(log, Fraction(v), v, name=name) for name, v in values.items()]


def test_steps_come_operands_first_and_once() -> None:
    """(x + y) * (x + y) has two steps."""
    x, y = traced(x=1.5, y=0.25)
    total = x + y
    found = list(steps(total * total))
    assert [step.operation for step in found] == ["+", "*"]
    assert found[-1].value == Fraction(49, 16) and found[-1].near == 3.0625
    assert inputs(found[-1]) == {"x", "y"}


def test_exact_and_double_stand_side_by_side() -> None:
    """0.1 + 0.2 in exact rationals is not the double beside it."""
    x, y = traced(x=0.1, y=0.2)
    total = x + y
    assert total.value == Fraction(0.1) + Fraction(0.2)
    assert total.near == 0.1 + 0.2 and Fraction(total.near) != total.value


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(3, 8), "3/8"), (Fraction(7), "7"), (Fraction(0.1), "3602879701896397/2^55")],
)
def test_rationals_are_shown_shortly(value: Fraction, text: str) -> None:
    """Large powers of two by their exponent."""
    assert show(value) == text


def test_a_decision_is_told_with_its_reason() -> None:
    """u = -3 + 1/2 against the border 0 goes up."""
    item = next(b for b in goldens() if b.case.op == "border_round")
    u, border = item.case.inputs["u"], item.case.inputs["border"]
    index = next(i for i in range(u.size) if u[i] == -2.5 and border[i] == 0.25)
    text = explain(item, index=(index,))
    assert f"because (u[{index}] - t1 = 1/2) > border[{index}]: yes" in text
    assert text.endswith(f"golden y[{index}] = -2.0")


@pytest.mark.parametrize("op", ops())
def test_every_op_can_be_explained(op: str) -> None:
    """Its first case, first element of each output; what is told ends at the golden."""
    item = corpus.load(op)[0]
    for name, golden in item.outputs.items():
        if golden.value.size:
            text = explain(item, name)
            assert text.splitlines()[-1].startswith(f"golden {name}")


@pytest.mark.parametrize("op", ops().values(), ids=lambda op: op.name)
def test_every_op_has_a_page(op: Any) -> None:
    """With every tensor, attribute and variant."""
    text = page(op)
    for item in (*op.inputs, *op.outputs, *op.attrs):
        assert f"`{item.name}`" in text
    assert op.says in text and "## Known wrong implementations" in text
    assert text.endswith(CONVENTIONS)


def test_a_page_says_which_inputs_are_not_always_finite() -> None:
    """Numbers to quantize, of which NaN has a rule, but no step; nothing of a search."""
    assert "\nNot finite in some cases: `x` (NaN, infinities).\n" in page(ops()["fake_quant"])
    assert "\nAll are finite.\n" in page(ops()["qubo_energy"])


def test_what_is_not_there_cannot_be_explained() -> None:
    """Outputs and indices are checked."""
    item = goldens()[0]
    with pytest.raises(ValueError, match="output"):
        explain(item, "z")
    with pytest.raises(ValueError, match="index"):
        explain(item, index=(10**6,))
    with pytest.raises(ValueError, match="index"):
        explain(item, index=())  # of a vector it names no element


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A page, a golden, and an id that is none."""
    assert main(["explain", "round"]) == 0
    assert "# round" in capsys.readouterr().out
    assert main(["explain", f"round/{corpus.load('round')[0].case.id[:6]}", "--index", "3"]) == 0
    assert "golden y[3]" in capsys.readouterr().out
    assert main(["explain", "round/zzzz"]) == 4


def test_integers_are_told_step_by_step() -> None:
    """-4 times 2^30, nudged by 1 - 2^30, is -2^31 5/2 and something: -2 towards zero."""
    item = next(b for b in corpus.load("requant_fixed") if b.case.purpose == HALVES)
    lines = explain(item, index=(item.case.inputs["acc"].tolist().index(-4),)).splitlines()
    assert "t1 = acc[3] * m0 = -4294967296" in lines
    assert "t2 = t1 + -1073741823 = -5368709119" in lines
    assert lines[-1] == "golden codes[3] = -2" and not any("(" in x for x in lines if "t4 =" in x)


def test_the_first_element_that_is_computed_is_told() -> None:
    """Of codes that start clipped, one that is not; the first, where all are chosen."""
    item = corpus.find("fake_quant/779d483ec2bda6f1")
    assert item.outputs["codes"].value[0] == 0  # x / s is far below the range
    last = explain(item, "codes").splitlines()[-1]
    assert last.startswith("golden codes[") and not last.startswith("golden codes[0]")
    assert "t1 = x[" in explain(item, "codes") and "t1 =" not in explain(item, "codes", (0,))
    assert "golden codes[0] = 0" in explain(item, "codes", (0,))


@pytest.mark.parametrize("base", [2, 2.0])
def test_a_power_of_a_traced_exponent_is_traced(base: float) -> None:
    """As `schedules` and shifts have them; a whole exponent is no float."""
    log = Log()
    exponent = Traced(log, Fraction(5), 5, name="e")
    assert (2**exponent).value == power(base, exponent).value == 32
    assert (exponent // 2).value == 2 and type((exponent // 2).near) is int
    with pytest.raises(TypeError, match=r"exponent is 5/2.*real\.power"):
        2 ** Traced(log, Fraction(5, 2), 2.5, name="half")


@pytest.mark.parametrize("op", ["quantize_multiplier", "qubo_energy"])
def test_long_computations_are_told_in_part(op: str) -> None:
    """A thousand doublings behind one comparison neither nest nor fill pages."""
    for item in corpus.load(op):
        for name in item.outputs:
            assert len(explain(item, name).splitlines()) < 250


def test_a_step_beyond_a_counter_of_16_bits_is_told() -> None:
    """beta^t of so many factors is one step, not 65543."""
    item = next(i for i in corpus.load("adam_step") if i.case.inputs["t"] == 65543)
    text = explain(item, index=(0,))
    assert len(text.splitlines()) < 50
    assert f"golden x_next[0] = {item.outputs['x_next'].value[0].item()!r}" in text
