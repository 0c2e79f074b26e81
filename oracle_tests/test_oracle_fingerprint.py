"""The fingerprint: every answer of every trait is recognised, whatever is wrong elsewhere."""

from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Nothing
from refquant.oracle.declared import spoken
from refquant.oracle.fingerprint import fingerprint
from refquant.oracle.profiles import PROFILES, resolve
from refquant.oracle.registry import ops, variants
from refquant.oracle.traits import RIGHT, TRAITS

ANSWERS = [(trait, label, answer) for trait in TRAITS for label, answer in trait.answers]


class Odd:
    """A backend that answers one trait in one way, and spoils other ops."""

    name = "odd"

    def __init__(self, op: str, answer: str) -> None:
        self.op, self.answer = op, answer

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        """Compute as the answer says."""
        if op != self.op:
            return {name: value + 1 for name, value in ops()[op].plain(inputs, attrs).items()}
        name, _, value = self.answer.partition("=")
        parts = {v.id: v.parts for v in variants()}.get(f"{op}.{self.answer}", {})
        if value:
            choices = next(attr.choices for attr in ops()[op].attrs if attr.name == name)
            attrs = {**attrs, name: next(c for c in choices if str(c) == value)}
        return ops()[op].plain(inputs, attrs, parts)


@pytest.mark.parametrize(("trait", "label", "answer"), ANSWERS, ids=lambda v: getattr(v, "name", v))
def test_every_answer_is_recognised(trait: Any, label: str, answer: str) -> None:
    """And no other beside it."""
    found = {finding.trait: finding for finding in fingerprint(Odd(trait.op, answer))}
    assert found[trait.name].answers == (label,), found[trait.name]
    assert found[trait.name].elements > 0


def test_answers_name_what_exists() -> None:
    """Variants of the op, or values of its attributes; the right one is among them."""
    known = {v.id for v in variants()}
    for trait, _, answer in ANSWERS:
        name, _, value = answer.partition("=")
        attrs = {attr.name: attr for attr in ops()[trait.op].attrs}
        if value:
            assert value in map(str, attrs[name].choices)
        elif answer != RIGHT:
            assert f"{trait.op}.{answer}" in known
    assert all(RIGHT in dict(t.answers).values() for t in TRAITS)


def test_something_else_says_what_is_nearest() -> None:
    """With its share."""

    class Constant(Odd):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            found = super().run(op, inputs, attrs)
            return {name: np.full_like(value, 77) for name, value in found.items()}

    ties = fingerprint(Constant("fake_quant", RIGHT))[0]
    assert ties.answers == () and ties.text.startswith("something else (nearest: ")


def test_a_backend_without_ops_has_no_traits() -> None:
    """Each says so."""
    for finding in fingerprint(Nothing()):
        assert finding.text == f"not supported ({finding.op})"


def test_one_trait_does_not_hide_another() -> None:
    """Ties away whatever is asked for, and NaN always the zero point: the others are seen still."""

    class Deaf(Odd):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            deaf = {"rounding": self.answer, "nan": "zero_point"}
            return ops()[op].plain(inputs, {**attrs, **deaf} if op == self.op else attrs)

    for rounding, ties in (("half_away", "away from zero"), ("half_down", "down")):
        found = {f.trait: f.text for f in fingerprint(Deaf("fake_quant", rounding))}
        assert found["ties"] == ties and found["NaN"] == "zero point"
        assert found["zero point"] == "added after the rounding"
        assert found["out of range"] == "saturates" and found["channel axis"] == "as asked"


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_spoken_by_some_case(name: str) -> None:
    """Its fields exist, its values are allowed, and it is not empty of goldens."""
    from refquant.oracle import corpus

    fields = resolve(name)
    named = {key.partition(".")[0] for key in fields}
    for op in {name for name in named if not name.endswith("_step")}:
        held = spoken(ops()[op], corpus.load(op), fields)
        assert held, f"{name} has no case of {op}"


# The released programs as their sources were read: what beta does, and where h = 1/2 goes.
READ = {
    "brecq": ("linear", 1, "hold", "channels", "up"),
    "qdrop": ("linear", 1, "hold", "channels", "up"),
    "mqbench": ("linear", 1, "hold", "channels", "up"),
    "aimet": ("cosine", 0, "refuse", None, "up"),
    "ppq": ("cosine", None, "continue", None, "up"),
    "amct": ("cosine", 0, None, "channels", None),
    "brevitas": ("linear", None, None, "channels", "down"),
    "onnxsim": ("linear", None, None, "mean", "down"),
}


@pytest.mark.parametrize("name", READ)
def test_a_profile_says_what_the_program_does(name: str) -> None:
    """And nothing that was not read; the values are those of the method of that name."""
    fields = ("curve", "first_step", "after", "reduction", "tie")
    assert tuple(PROFILES[name].get(field) for field in fields) == READ[name]
    others = {*PROFILES[name]} - {*fields}
    exact = {"alpha_init": "quotient", "edge": "inclusive"}
    expected = {"amct": {"range_to_qparams.divisor": "amct"}, "onnxsim": {"arrive": "last"}}
    expected |= dict.fromkeys(("brecq", "qdrop", "mqbench"), exact)
    assert {field: PROFILES[name][field] for field in others} == expected.get(name, {})
