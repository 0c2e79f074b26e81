"""A setting is data: frozen, hashable, in full in its JSON; what contradicts itself is refused."""

import json
from dataclasses import replace

import pytest

from refquant.components import AdaRoundWeights
from refquant.methods import METHODS, Learn, Mix, Penalty, Phase, Term, describe
from refquant.methods.adaround import ADAROUND
from refquant.methods.aquant import AQUANT
from refquant.methods.nearest import NEAREST
from refquant.methods.qdrop import QDROP
from refquant.optim.schedules import BetaSchedule, RoundingSchedule

ALPHA, S_X = ("alpha", Learn(lr=1e-3)), ("s_x", Learn(lr=1e-3))
LEARN = (ALPHA,)


@pytest.mark.parametrize("name", METHODS)
def test_a_setting_equals_and_hashes_by_its_fields(name: str) -> None:
    """Whoever makes the same setting again has the same text, hash and key."""
    setting = METHODS[name]
    again = replace(setting)
    assert again == setting and hash(again) == hash(setting)
    assert again.to_json() == setting.to_json() and json.loads(setting.to_json())["name"] == name


def test_a_change_in_any_field_changes_the_json() -> None:
    """The canonical text is what is hashed, so no choice may be missing from it."""
    changed = replace(QDROP, phases=(replace(QDROP.phases[0], sampling="permutation"),))
    texts = {setting.to_json() for setting in (*METHODS.values(), changed)}
    assert len(texts) == len(METHODS) + 1


def test_fields_added_later_leave_the_hash_of_settings_that_do_not_use_them() -> None:
    """Data do not mention them at their default, `describe` does; any other value is said."""
    (alpha, (name, learn)), (phase,) = QDROP.phases[0].learn, QDROP.phases
    assert "reflect" not in QDROP.to_json() and "grad_scale" not in QDROP.to_json()
    assert "grad_scale: none" in describe(QDROP) and "reflect: False" in describe(QDROP)
    for used in (replace(learn, reflect=True), replace(learn, grad_scale="qdrop")):
        setting = replace(QDROP, phases=(replace(phase, learn=(alpha, (name, used))),))
        said = json.loads(setting.to_json())["phases"][0]["learn"][1][1]
        assert {"reflect", "grad_scale"} & set(said) and setting.to_json() != QDROP.to_json()


def test_what_aquant_adds_to_qdrop_can_be_read_off() -> None:
    """`replace` makes the difference between parent and child explicit."""
    assert AQUANT.weights == QDROP.weights
    assert AQUANT.placement != QDROP.placement
    assert set(AQUANT.learnt) - set(QDROP.learnt) == {"b0", "b1", "b2", "fusion"}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Phase(learn=()), "phases=\\(\\)"),
        (lambda: Phase(learn=(S_X,), penalty=Penalty()), "Learn alpha, or drop the penalty"),
        (lambda: Phase(learn=(ALPHA, ALPHA)), "each name once"),
        (lambda: Phase(learn=(ALPHA,), drive=(("alpha", RoundingSchedule()),)), "not both"),
        (lambda: Phase(learn=LEARN, unit="bloc"), "Did you mean 'block'"),
        (lambda: Phase(learn=LEARN, source="quantised"), "Did you mean 'quantized'"),
        (lambda: Phase(learn=LEARN, steps=0), "at least 1"),
        (lambda: Phase(learn=LEARN, terms=()), "at least one loss term"),
        (lambda: Learn(lr=-1.0), "at least 0"),
        (lambda: Learn(lr=1.0, project=(1.0, 0.0)), "low <= high"),
        (lambda: Learn(lr=1.0, schedule="cosin"), "Did you mean 'cosine'"),
        (lambda: Mix(at="input", keep=1.5), "share in \\[0, 1\\]"),
        (lambda: Term(p=0.5), "at least 1"),
        (lambda: Penalty(lam=-0.1), "at least 0"),
        (lambda: BetaSchedule(warm_up=1.2), "warm_up"),
        (lambda: replace(NEAREST, phases=(Phase(learn=LEARN),)), "'s_w', 's_x'"),
        (lambda: replace(NEAREST, weights=None, activations=None), "at least one"),
        (
            lambda: replace(
                ADAROUND,
                phases=(Phase(learn=LEARN), Phase(learn=LEARN, unit="block")),
            ),
            "order='phase-first'",
        ),
    ],
)
def test_contradictions_are_refused_when_the_setting_is_made(build, message: str) -> None:
    """The message carries the fix."""
    with pytest.raises(ValueError, match=message):
        build()


def test_a_setting_is_frozen() -> None:
    """Nothing can be changed behind the back of its hash."""
    with pytest.raises(AttributeError):
        AQUANT.name = "other"  # type: ignore[misc]


def test_adaround_differs_from_nearest_by_the_weights_and_one_phase() -> None:
    """The diff between parent and child is the paper."""
    assert isinstance(ADAROUND.weights, AdaRoundWeights)
    assert (
        replace(
            ADAROUND,
            name=NEAREST.name,
            reference=NEAREST.reference,
            parents=NEAREST.parents,
            weights=NEAREST.weights,
            phases=(),
        )
        == NEAREST
    )
