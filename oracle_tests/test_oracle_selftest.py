"""The power of the oracle, measured: what it promises of the catalogue and of right backends."""

from functools import cache

import pytest

from oracle_tests.section_21 import OPS
from refquant.oracle.legit import LEGIT
from refquant.oracle.registry import ops, variants
from refquant.oracle.selftest import Selftest, selftest


@cache
def result() -> Selftest:
    """One run of the self-test."""
    return selftest()


def test_the_ops_are_those_of_the_specification() -> None:
    """The table of golden operations, and the steps of recorded runs."""
    assert set(ops()) == set(OPS)


def test_every_wrong_implementation_is_caught() -> None:
    """At least two hundred of them, none by chance."""
    found = result().to_json()
    assert found["survivors"] == []
    assert found["killed"] == found["variants"] >= 200


def test_nearly_all_are_caught_by_the_smoke_tier() -> None:
    """95 % at least."""
    found = result().to_json()
    assert found["killed_by_smoke"] >= 0.95 * found["variants"]


def test_no_right_implementation_is_blamed() -> None:
    """Ten at least, on all their tiers; and no variant that is equivalent."""
    found = result().to_json()
    assert [a for alarms in result().alarms.values() for a in alarms] == []
    assert found["legit_backends"] == len(LEGIT) >= 10
    assert found["equivalent_killed"] == []


def test_the_first_diagnosis_is_nearly_always_right() -> None:
    """95 % at least of the single bugs."""
    assert result().to_json()["diagnosis_top1"] >= 0.95


def test_every_case_catches_something() -> None:
    """Dead weight goes; steps of recorded runs are there for the run."""
    from refquant.oracle import corpus

    caught = {case for kill in result().kills for case in kill.killers}
    idle = [
        f"{op}: {item.case.purpose}"
        for op in ops()
        for item in corpus.load(op)
        if item.case.id not in caught and "trajectory" not in item.case.flags
    ]
    assert idle == []


@pytest.mark.parametrize("op", ops())
def test_every_op_has_variants_and_texts(op: str) -> None:
    """A name, a sentence, and where it was seen or why it is likely; parts that exist."""
    own = [v for v in variants() if v.op == op]
    assert own
    names = [v.name for v in own]
    assert len(set(names)) == len(names)
    for v in own:
        assert v.says.endswith(".") or v.equivalent, v.id
        assert v.source, v.id
        assert v.parts and set(v.parts) <= {"given", *ops()[op].plain.parts}, v.id
