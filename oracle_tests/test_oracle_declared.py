"""A declared dialect is held to the cases whose golden its values leave as it is, and no others."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import sample
from refquant import oracle
from refquant.oracle import corpus
from refquant.oracle.build import Built, Golden, bound, build
from refquant.oracle.case import Case
from refquant.oracle.declared import also_right, as_declared, covers, spoken
from refquant.oracle.explain import explain
from refquant.oracle.judge import held, judge
from refquant.oracle.legit import LEGIT
from refquant.oracle.op import Attr, Op, Plain, Tensor
from refquant.oracle.profiles import PROFILES, resolve
from refquant.oracle.registry import ops, variants
from refquant.oracle.report import Report
from refquant.oracle.shrink import reproduce
from refquant.oracle.tiers import FORMATS

FEW = 2  # cases of each value that are computed anew
SPOKEN = [
    (op, attr, value)
    for op in ops().values()
    for attr in op.attrs
    for value in (attr.choices if attr.dialect else ())
]
NAMES = [f"{op.name}.{attr.name}={value}" for op, attr, value in SPOKEN]


def rounded(x: list[float], mode: str = "rint") -> Built:
    """The case of an op that rounds these numbers."""
    return build(ops()["round"], Case("round", "T8", "these numbers", {"x": x}, {"mode": mode}))


def others(op: Op, attr: Attr, value: Any) -> Iterator[Built]:
    """Cases of other values that a backend of this one is held to, as asked; small ones first."""
    for item in sorted(corpus.select(op.name, "quick"), key=numbers):
        asked = as_declared(op, item, {f"{op.name}.{attr.name}": value})
        if asked is not None and asked is not item:
            yield asked


def numbers(item: Built) -> int:
    """How many a case has."""
    return sum(value.size for value in item.case.inputs.values())


@pytest.mark.parametrize(
    ("x", "modes"),
    [
        ([0.25, 1.75, -3.0], ["half_up", "half_down", "half_away"]),  # no tie
        ([0.5], ["half_down", "floor"]),  # 0, as to even
        ([1.5], ["half_up", "half_away", "ceil"]),  # 2, as to even
        ([-0.5], ["half_up", "ceil"]),  # 0, as to even; away from it -1
        ([0.5, 1.5], []),
        ([4.0, np.inf], ["half_up", "half_down", "half_away", "floor", "ceil"]),
    ],
)
def test_a_rounding_is_held_to_what_it_rounds_alike(x: list[float], modes: list[str]) -> None:
    """By hand: where ties lie, and which way each rule sends them."""
    item = rounded(x)
    assert [value for name, value in also_right(ops()["round"], item)] == modes
    assert ("the same golden with " + ", ".join(modes) in explain(item)) == bool(modes)


def test_a_case_keeps_its_id_and_goldens_and_asks_for_what_is_declared() -> None:
    """Twice, too; and where it has the value, it stays the very same."""
    op, item = ops()["round"], rounded([0.25])
    assert as_declared(op, item, {}) is item
    assert as_declared(op, item, {"round.mode": "rint", "fake_quant.rounding": "floor"}) is item
    assert as_declared(op, item, {"round.mode": "ceil"}) is None
    once = as_declared(op, item, {"round.mode": "half_up"})
    assert once is not None
    twice = as_declared(op, once, {"round.mode": "half_down"})
    assert twice is not None and twice.case.attrs == {"mode": "half_down"}
    for asked in (once, twice):
        assert asked.case.id == item.case.id and asked.outputs is item.outputs
        assert asked.case.frozen == {"mode": "rint"}


def ask_sample(twin: Any, frozen: dict[str, Any], declared: dict[str, Any]) -> bool:
    """Whether an op of two dialect fields, frozen with some values, is asked with others."""
    plain = Plain(lambda inputs, attrs, part: {"y": np.array(twin({"x": 0.0}, attrs)["y"])})
    op = sample((Tensor("x", "float", "()", ""),), (Tensor("y", "float", "()", ""),), plain,
                attrs=(Attr("a", 0, "", (0, 1), True), Attr("b", 0, "", (0, 1), True)))  # fmt: skip
    op = replace(op, twin=twin, reference=lambda i, attrs: plain(i, attrs))
    item = build(op, Case("sample", "T8", "", {"x": 1.0}, frozen))
    fields = {f"sample.{name}": value for name, value in declared.items()}
    return as_declared(op, item, fields) is not None


def test_values_declared_together_are_computed_together() -> None:
    """Each of two leaves the golden as it is, and both do not."""
    twin = lambda numbers, attrs: {"y": float(attrs["a"] and attrs["b"])}  # noqa: E731
    assert ask_sample(twin, {}, {"a": 1}) and ask_sample(twin, {}, {"b": 1})
    assert not ask_sample(twin, {}, {"a": 1, "b": 1})
    assert ask_sample(twin, {"a": 1, "b": 1}, {"a": 1})


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (Golden(np.array([1.0, 2.0])), True),
        (Golden(np.array([1.0, 2.0]), np.array([0.0, 3.0])), True),
        (Golden(np.array([1.0, 2.0]), np.array([0.0, 3.5])), False),
        (Golden(np.array([1.0, 2.0]), np.array([0.1, 0.0])), False),
        (Golden(np.array([1.0, 2.0]), None, np.array([1.0, 4.0])), True),
        (Golden(np.array([1.0, 2.0]), None, np.array([0.0, 4.0])), False),
        (Golden(np.array([1.0, 2.5])), False),
    ],
)
def test_a_golden_covers_what_is_no_wider(found: Golden, right: bool) -> None:
    """The value the same, no larger error anywhere, no other answer of its own."""
    golden = Golden(np.array([1.0, 2.0]), np.array([0.0, 3.0]), np.array([1.0, 4.0]))
    assert covers(golden, found) == right
    assert covers(replace(golden, other=None), found) == (right and found.other is None)


@pytest.mark.parametrize(("op", "attr", "value"), SPOKEN, ids=NAMES)
def test_what_is_asked_under_another_value_is_right_under_it(
    op: Op, attr: Attr, value: Any
) -> None:
    """The smallest, frozen anew with it: the same golden, no wider bound in any arithmetic, and
    none of the right implementations is blamed.
    """
    for item in islice(others(op, attr, value), FEW):
        anew = build(op, replace(item.case, frozen=None))
        assert anew.case.attrs[attr.name] == value
        for name, golden in item.outputs.items():
            same = anew.outputs[name]
            np.testing.assert_array_equal(same.value, golden.value)
            for form in FORMATS.values():
                assert np.all(bound(same, form.roundoff) <= bound(golden, form.roundoff))
        for legit in LEGIT:
            form = FORMATS[legit.dtype]
            if held(op, item.case, form) and (op.name, item.case.tier) not in legit.excused:
                assert judge(op, item, partial(legit.run, op), form) == []


@pytest.mark.parametrize("profile", [*PROFILES, 0, 1, -1])
def test_no_right_implementation_of_a_whole_dialect_is_blamed(profile: str | int) -> None:
    """Of a profile, or of one value of every field at once, in single precision."""
    fields = resolve(profile) if isinstance(profile, str) else {
        f"{op.name}.{attr.name}": attr.choices[profile]
        for op, attr, value in SPOKEN if value == attr.choices[0]
    }  # fmt: skip
    form, ran = FORMATS["float32"], 0
    for op in ops().values():
        for item in spoken(op, corpus.select(op.name, "smoke"), fields, form).values():
            attrs = op.resolve(item.case.attrs)
            assert all(attrs[n] == fields.get(f"{op.name}.{n}", attrs[n]) for n in op.dialect)
            assert judge(op, item, op.plain, form) == []
            ran += 1
    assert ran > 200


class Rigid:
    """Rounds halves down whatever it is asked, with a bug perhaps, and notes what it was asked."""

    name, profile = "rigid", {"fake_quant.rounding": "half_down"}

    def __init__(self, bug: str = "") -> None:
        self.parts = next((v.parts for v in variants() if v.id == f"fake_quant.{bug}"), {})
        self.asked: list[tuple[str, Any]] = []

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        """Quantize."""
        self.asked.append((attrs["rounding"], attrs["nan"]))
        return ops()[op].plain(inputs, {**attrs, "rounding": "half_down"}, self.parts)


def verify(backend: Any) -> Report:
    """Verify one op."""
    return oracle.verify(backend, ops="fake_quant")


def test_a_backend_is_asked_for_what_it_declares() -> None:
    """More cases than have its value, all with it; what it does not declare stays as frozen."""
    backend, items = Rigid(), corpus.load("fake_quant")
    report = verify(backend)
    own = [item for item in items if item.case.attrs.get("rounding") == "half_down"]
    assert report.passed and report.ran == len(backend.asked) > len(own) + 20
    assert {rounding for rounding, _ in backend.asked} == {"half_down"}
    assert {nan for _, nan in backend.asked} == {"zero_point", "low", "high"}
    assert report.ran + report.coverage["fake_quant"].other_dialect == len(items)


def test_without_a_declaration_cases_are_asked_as_they_were_frozen() -> None:
    """All of them, with their own values."""
    backend, items = Rigid(), corpus.load("fake_quant")
    backend.profile = {}
    attrs = [ops()["fake_quant"].resolve(item.case.attrs) for item in items]
    assert not verify(backend).passed
    assert backend.asked == [(found["rounding"], found["nan"]) for found in attrs]


def test_no_question_is_asked_twice() -> None:
    """Cases of two roundings may have the same inputs: no tie in them, or only infinities."""
    op, fields = ops()["round"], {"round.mode": "half_down"}
    asked = spoken(op, corpus.load("round"), fields)
    assert all(item.case.frozen is None for item in asked.values())
    (first, second) = (rounded([0.25], mode) for mode in ("rint", "half_up"))
    assert list(spoken(op, [first, second], fields)) == [first.case.id]


def test_a_bug_that_cases_of_other_values_show_is_found_named_and_made_small() -> None:
    """Channels taken in reverse, where no case of half_down has channels."""
    backend = Rigid("channels_reversed")
    report = verify(backend)
    failure = report.failures[0]
    frozen = corpus.find(failure.where)
    assert failure.case.attrs["rounding"] == "half_down" != frozen.case.attrs.get("rounding")
    assert failure.diagnosis.variants == ("fake_quant.channels_reversed",)
    assert "rounding=half_down" in report.to_text()
    backend.asked.clear()
    small = reproduce(backend, frozen)
    assert {rounding for rounding, _ in backend.asked} == {"half_down"}
    assert small.built.case.attrs["rounding"] == "half_down"
    assert numbers(small.built) < numbers(frozen)
