"""The diagnosis: single bugs, two at once, unknown ones, and dialects read wrongly."""

from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, Careless, goldens, half_away
from refquant import oracle
from refquant.oracle.diagnose import Diagnosis
from refquant.oracle.registry import variants

ROUNDING = [v for v in variants() if v.op in ("round", "border_round") and not v.equivalent]


def diagnosis(backend: Any, op: str) -> Diagnosis:
    """Return what a backend is said to do."""
    report = oracle.verify(backend, cases=goldens(), ops=op)
    return report.failures[0].diagnosis


@pytest.mark.parametrize("variant", ROUNDING, ids=lambda v: v.id)
def test_every_variant_is_named(variant: Any) -> None:
    """Itself, first and alone."""
    found = diagnosis(Backend(variant.parts), variant.op)
    assert found.variants == (variant.id,)
    assert found.share == 1.0 and found.text == variant.says


def test_two_bugs_are_told_apart() -> None:
    """Of different parts, each known."""
    parts = {"rint": half_away, "floor": np.trunc}
    found = diagnosis(Backend(parts), "round")
    assert set(found.variants) == {"round.rint_half_away", "round.floor_truncates"}
    assert found.share == 1.0 and found.says.startswith("Two bugs:")


def test_an_attribute_that_is_not_read_is_named() -> None:
    """Every rule computed as rint."""

    class Deaf(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            return super().run(op, inputs, {**attrs, "mode": "rint"})

    found = diagnosis(Deaf(), "round")
    assert found.variants == ("round.mode=rint",)
    assert "taken as 'rint' whatever it says" in found.text


def test_an_unknown_bug_gets_the_clauses() -> None:
    """And no name of something else."""
    found = diagnosis(Backend(change=lambda op, found: {"y": found["y"] + 1000}), "round")
    assert found.variants == () and found.share == 0.0
    assert found.text.startswith("Unknown") and "1.1" in found.clauses


def test_a_bug_that_is_nearly_known_gets_the_nearest_name_and_a_share() -> None:
    """Ties away, and NaN made 0 besides."""
    changed = Backend(
        {"rint": half_away}, change=lambda op, found: {"y": np.nan_to_num(found["y"])}
    )
    found = diagnosis(changed, "round")
    assert found.variants == ("round.rint_half_away",)
    assert 0 < found.share < 1 and "explains" in found.text
    assert found.says.startswith("Unknown; the nearest known bug: ")


def test_two_bugs_that_are_only_near_are_not_said() -> None:
    """floor, where the border decides: no two known bugs make it, though two give half of it."""
    never = Backend({"is_above": lambda u, base, border: np.zeros_like(u, bool)})
    found = diagnosis(never, "border_round")
    assert len(found.variants) < 2 and found.text.startswith("Unknown")


def test_a_dialect_is_said_how_to_declare() -> None:
    """Among backends that honour all rules, and among those that are held to one."""
    read = Backend({"rint": half_away})
    read.profile = {"round.mode": "rint"}
    found = diagnosis(read, "round")
    assert found.variants == ("round.rint_half_away",)
    meant = 'If that is meant, declare it: profile = {"round.mode": "half_away"}.'
    assert meant in found.lines
    read.profile = "any"
    assert not diagnosis(read, "round").declare  # it floors and ceils as it is asked to


def test_single_precision_is_said_how_to_declare() -> None:
    """Where doubles tell, and the bug is that alone."""

    class Narrow(Backend):
        def run(self, op: str, inputs: Any, attrs: Any) -> Any:
            return super().run(op, {k: v.astype(np.float32) for k, v in inputs.items()}, attrs)

    found = diagnosis(Narrow(), "border_round")
    assert found.variants == ("border_round.single_precision",)
    assert 'If that is meant, declare it: dtype = "float32".' in found.lines


def test_shapes_and_changed_inputs_are_said_first() -> None:
    """No known bug is near them."""
    shorter = diagnosis(Backend(change=lambda op, found: {"y": found["y"][:3]}), "border_round")
    assert shorter.text == "Shapes are wrong: y: shape is (3,); expected (160,)."
    assert diagnosis(Careless(), "round").text.startswith("It changes its inputs")


def test_a_variant_that_is_right_explains_nothing() -> None:
    """Numbers that are merely inexact are near every implementation; none of them is the bug."""
    seen = diagnosis(Backend(change=lambda op, y: {"y": np.nextafter(y["y"], np.inf)}), "round")
    assert seen.text.startswith("Unknown") and seen.share < 0.1
