"""Adapters as they are first written: each mistake gets a sentence that says what to change."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, goldens
from refquant import oracle
from refquant.oracle import corpus
from refquant.oracle.layouts import turn
from refquant.oracle.registry import ops
from refquant.oracle.report import NOTHING
from refquant.oracle.shrink import reproduce

LINEAR = corpus.load("linear")


class Linear:
    """The linear layer in its own arithmetic, changed before it is returned."""

    name = "linear"

    def __init__(self, change: Any, dtype: str = "float64") -> None:
        self.change, self.dtype = change, dtype

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        """Compute, then change."""
        return self.change(ops()[op].plain(inputs, attrs)["y"])


def verify(change: Any, **options: Any) -> Any:
    """Verify a linear layer."""
    return oracle.verify(Linear(change, **options), cases=LINEAR, ops="linear")


def shout(error: BaseException) -> Any:
    """Return a function that raises."""

    def raising(y: Any) -> Any:
        raise error

    return raising


class Stubborn:
    """A tensor that refuses to become an array."""

    def __array__(self, *args: Any, **options: Any) -> Any:
        """Refuse."""
        raise RuntimeError("call .detach() first")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda y: y, "returned ndarray; expected outputs by name, such as {'y': array}"),
        (lambda y: None, "returned NoneType; expected outputs by name, such as {'y': array}"),
        (lambda y: {"y": Stubborn()}, "cannot become a NumPy array (RuntimeError: call .detach()"),
        (lambda y: {"y": [[1.0], [2.0, 3.0]]}, "cannot become a NumPy array (ValueError:"),
        (lambda y: {"out": y}, "the op has no such output; expected y"),
        (lambda y: {"y": y.astype(int)}, "dtype is int64; expected float16, float32 or float64"),
        (lambda y: {"y": y + 0j}, "dtype is complex128; expected float16, float32 or float64"),
        (lambda y: {"y": y.astype(object)}, "dtype is object; expected"),
        (shout(NotImplementedError()), "NotImplementedError (raise refquant.oracle.Unsupported"),
        (shout(KeyError("linear")), "raised KeyError: 'linear' (raise refquant.oracle.Unsupported"),
        (shout(KeyError("bias")), "(the input bias is optional, and absent from this case)"),
        (shout(KeyError("weight")), "(inputs are bias, w, x; attributes none)"),
        (shout(SystemExit(3)), "raised SystemExit: 3"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(change: Any, says: str) -> None:
    """Of every case, and nothing else is blamed."""
    report = verify(change)
    assert len(report.failures) == len(LINEAR) and report.exit_code == 1
    assert says in " ".join(m.says for m in report.failures[0].mismatches)
    assert report.failures[0].diagnosis.variants == ()


def test_an_exception_of_the_backends_own_gets_no_advice() -> None:
    """A key that is no name is anybody's guess."""
    assert verify(shout(KeyError(3))).failures[0].says == "raised KeyError: 3"


def test_one_output_that_cannot_be_compared_leaves_the_other() -> None:
    """Complex numbers beside codes that are one too high: the codes are diagnosed."""

    class Odd(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            found = super().run(op, inputs, attrs)
            return {"y": found["y"] + 0j, "codes": found["codes"] + 1}

    report = oracle.verify(Odd(), cases=corpus.load("fake_quant")[:3])
    problems = [[m.problem for m in f.mismatches] for f in report.failures]
    assert problems == 3 * [["value", "dtype"]] or problems == 3 * [["dtype", "value"]]


def test_lists_and_scalars_are_arrays() -> None:
    """Whatever NumPy takes."""
    assert verify(lambda y: {"y": y.tolist()}).passed


def test_what_raises_leaves_no_output_out() -> None:
    """It never came to returning one."""
    report = verify(shout(ValueError("no")))
    assert report.coverage["linear"].left_out == {} and report.coverage["linear"].elements == 0


def test_an_adapter_without_outputs_has_shown_nothing() -> None:
    """Every output left out is no success: exit code 5."""
    report = verify(lambda y: {})
    assert report.ran == len(LINEAR) and report.exit_code == NOTHING and not report.passed
    assert report.to_text().endswith("NOTHING TO COMPARE: no outputs")


def test_single_precision_that_is_not_declared_is_suspected() -> None:
    """Right answers of float32, where float64 is declared by default; declared, they pass."""

    def single(y: Any) -> Any:
        return {"y": y.astype(np.float32)}

    report = verify(single)
    assert 'lack dtype = "float32"?' in report.failures[0].diagnosis.text
    assert verify(single, dtype="float32").passed
    wrong = verify(lambda y: {"y": y.astype(np.float32) + 1})
    assert "float32" not in wrong.failures[0].diagnosis.text


@pytest.mark.parametrize("declared", ["fp32", "float32", np.float32, np.dtype("f4")])
def test_an_arithmetic_may_be_said_in_other_ways(declared: Any) -> None:
    """As NumPy and accelerators call it; what is none of these is refused."""
    assert verify(lambda y: {"y": y}, dtype=declared).dtype == "float32"
    with pytest.raises(ValueError, match=r"backend\.dtype is 'int'"):
        verify(lambda y: {"y": y}, dtype=int)


def test_an_interrupt_says_where() -> None:
    """The case that was running when somebody lost patience."""
    with pytest.raises(KeyboardInterrupt) as stopped:
        verify(shout(KeyboardInterrupt()))
    assert stopped.value.__notes__ == [f"while the backend ran linear/{LINEAR[0].case.id}"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that writes a module to be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        names.append(name)

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "text", "attribute", "says"),
    [
        ("bad_syntax", "def f(:", "B", "SyntaxError"),
        ("no_device", "raise RuntimeError('no gpu')", "B", "RuntimeError: no gpu"),
        ("lacks_one", "import no_such_module_here", "B", "--debug"),
        ("wants_one", "class B:\n  def __init__(self, a): pass", "B", "to need no arguments"),
        ("function", "def B(op, inputs, attrs): return {}", "B", "an object with name and run"),
        ("unnamed", "class B:\n  def run(self): pass", "B", "an object with name and run"),
        ("empty", "", "B", "has no attribute 'B'"),
    ],
)
def test_a_module_that_cannot_be_used_is_the_users(
    module: Any, name: str, text: str, attribute: str, says: str
) -> None:
    """A ValueError, which the command reports as wrong usage and not as a bug of refquant."""
    module(name, text)
    with pytest.raises(ValueError, match=says):
        oracle.verify(f"{name}:{attribute}", cases=LINEAR)


def test_a_module_that_is_not_found_gets_advice() -> None:
    """The path, or the name without its ending."""
    with pytest.raises(ValueError, match="set PYTHONPATH"):
        oracle.verify("no_such_module_here:B", cases=LINEAR)
    with pytest.raises(ValueError, match=r"not the file: kernels:B\."):
        oracle.verify("kernels.py:B", cases=LINEAR)


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("tflite", r"backend\.profile is 'tflite'; .* Did you mean 'tflite-single'"),
        ({"rounding": "half_even"}, r"backend\.profile\['rounding'\] is 'half_even'"),
        ({"fake_quant.round": "rint"}, r"backend\.profile is 'fake_quant\.round'"),
    ],
)
def test_a_profile_that_is_none_is_refused_by_its_name(profile: Any, says: str) -> None:
    """With the field, and what it may be."""
    backend = Backend()
    backend.profile = profile  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=says):
        oracle.verify(backend, cases=goldens())


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("./no-such-program", r"'cmd:\./no-such-program' \(No such file"),
        (f"{sys.executable} -c 'exit(7)'", "ended with code 7"),
        (f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'", "ended by signal 9"),
        ("", "cmd:PROGRAM"),
    ],
)
def test_a_program_that_fails_is_told_apart(program: str, says: str) -> None:
    """Missing, unsuccessful, killed, or not named."""
    with pytest.raises(ValueError, match=says):
        oracle.verify(f"cmd:{program}", cases=LINEAR[:1])


def test_a_program_that_stops_says_how_far_it_came(tmp_path: Path) -> None:
    """The last case with results; the next one is where it crashed, or where it was stopped."""
    program = tmp_path / "stops.py"
    done = [f"linear/{item.case.id}" for item in LINEAR[:2]]
    program.write_text(
        "import pathlib, sys\n"
        f"for case in {done}:\n    pathlib.Path(sys.argv[2], case).mkdir(parents=True)\n"
        "sys.exit(124)\n"
    )
    reached = f"ended with code 124; the last case with results is {done[1]}"
    with pytest.raises(ValueError, match=reached):
        oracle.verify(f"cmd:{sys.executable} {program}", cases=LINEAR[:3])
    with pytest.raises(ValueError, match="code 1; no case has results"):
        oracle.verify(f"cmd:{sys.executable} -c 'exit(1)'", cases=LINEAR[:1])


def test_a_program_prints_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Its remarks are no part of a report."""
    oracle.verify(f"cmd:{sys.executable} -c 'print(8)'", cases=LINEAR[:1])
    assert capfd.readouterr() == ("", "8\n")


def test_a_case_is_reproduced_in_the_layout_that_fails() -> None:
    """An adapter that only takes C order; the text says which layout it was."""

    class Rigid(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            if min((s for v in inputs.values() for s in v.strides), default=0) < 0:
                raise ValueError("negative strides")
            return super().run(op, inputs, attrs)

    item = next(b for b in goldens() if turn(b.case.id) == "reversed")
    found = reproduce(Rigid(), item)
    assert found.layout == "reversed" and found.exit_code == 1
    assert "  layout reversed\n" in found.to_text()
    assert found.to_text().endswith("\n  raised ValueError: negative strides")


def test_the_summary_names_what_is_right_and_what_was_left() -> None:
    """A few by name; of many ops the first ones."""

    class Part(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            if op != "round" or attrs["mode"] != "rint":
                raise oracle.Unsupported(op)
            return super().run(op, inputs, attrs)

    text = oracle.verify(Part(), "smoke").to_text()
    assert "\nright: round\n" in text and "(round in part, border_round, " in text
    assert f" and {len(ops()) - 9} more)\n" in text


def test_failures_of_another_kind_are_not_hidden_behind_the_first() -> None:
    """Three cases are shown; an exception in the last one is among them."""
    last = goldens()[-1].case

    class Mixed(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            if all(np.array_equal(v, last.inputs[k]) for k, v in inputs.items()):
                raise RuntimeError("only here")
            return {"y": super().run(op, inputs, attrs)["y"] + 1}

    items = [b for b in goldens() if b.case.op == last.op]
    assert len(items) > 3
    assert "only here" in oracle.verify(Mixed(), cases=items).to_text()
