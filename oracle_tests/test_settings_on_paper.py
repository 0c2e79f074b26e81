"""The five dataclasses hold every method of methods.md, those not built yet included.

Components of methods to come are written down here as declarations only (name and learnable
parameters); the tests construct the settings, print them and compare them, they do not run them.
"""

import json
from dataclasses import dataclass, replace

import pytest

from refquant.components import AdaRoundWeights, NearestActivations, NearestWeights
from refquant.methods import Learn, Mix, Penalty, Phase, Setting, Term, describe
from refquant.methods.adaround import ADAROUND
from refquant.methods.nearest import NEAREST
from refquant.optim.schedules import BetaSchedule


@dataclass(frozen=True, kw_only=True)
class RoundingSchedule:
    """AQuant's a_t, methods.md 5.6."""

    hold: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Border(NearestActivations):
    """AQuant's border quantizer, methods.md 13.3."""

    degree: int = 2
    bound: str = "sigmoid"
    kappa: float = 2.5
    order: str = "bound_fuse"
    fusion_weights: str = "learned"
    gate: str = "literal"

    @property
    def learnable(self) -> tuple[str, ...]:
        return ("s_x", "b0", "b1", "b2", "fusion", "a")


@dataclass(frozen=True, kw_only=True)
class XiEta:
    """AdaQTransform's output scale and shift, methods.md 15.1."""

    granularity: str = "channel"

    @property
    def learnable(self) -> tuple[str, ...]:
        return ("xi", "eta")


@dataclass(frozen=True, kw_only=True)
class ARounding(NearestActivations):
    """A-rounding of one patch column at a time, methods.md 14."""

    stages: tuple[str, ...] = ("channel", "vector")


@dataclass(frozen=True, kw_only=True)
class FreeWeights(NearestWeights):
    """A weight that is trained itself (POS stage A, methods.md 10.4)."""

    @property
    def learnable(self) -> tuple[str, ...]:
        return ("w", "v")


ALPHA = ("alpha", Learn(lr=1e-3))
ALPHA_FAST = ("alpha", Learn(lr=3e-3))
S_X = ("s_x", Learn(lr=4e-5, schedule="cosine", project=(1.19e-7, 1e5)))
LINEAR = Penalty(lam=0.01, beta=BetaSchedule(curve="linear"))

BRECQ = replace(
    ADAROUND,
    name="brecq",
    reference="arXiv:2102.05426",
    order="phase-first",
    phases=(
        Phase(learn=(ALPHA,), unit="block", quantize=("weights",), penalty=LINEAR),
        Phase(
            learn=(("s_x", Learn(lr=4e-4, schedule="cosine")),),
            unit="block",
            source="float",
            terms=(Term(p=2.4),),
            steps=5_000,
            harden=(),
        ),
    ),
)
QDROP = replace(
    BRECQ,
    name="qdrop",
    reference="arXiv:2203.05740",
    phases=(
        replace(
            BRECQ.phases[0],
            learn=(ALPHA, S_X),
            quantize=("weights", "activations"),
            mix=(Mix(at="input", keep=0.5), Mix(at="quantizers", keep=0.5)),
            sampling="with_replacement",
        ),
    ),
)
NWQ = replace(
    QDROP,
    name="nwq",
    reference="NWQ, reconstructed",
    phases=(
        replace(
            QDROP.phases[0],
            unit="network",
            mix=(Mix(at="quantizers", rule="anneal"),),
            terms=(Term(at="layers"),),
        ),
    ),
)
PD_QUANT = replace(
    QDROP,
    name="pd-quant",
    reference="arXiv:2212.07048",
    phases=(
        replace(
            QDROP.phases[0],
            learn=(ALPHA_FAST, S_X),
            terms=(Term(), Term(kind="kl", at="logits", temperature=4.0, weight=10.0)),
        ),
    ),
)
AQUANT = replace(
    QDROP,
    name="aquant",
    reference="arXiv:2208.11945",
    activations=Border(),
    placement="input",
    phases=(
        replace(
            QDROP.phases[0],
            learn=(ALPHA_FAST, S_X, *((b, Learn(lr=1e-3)) for b in ("b0", "b1", "b2", "fusion"))),
            mix=(Mix(at="input", keep=0.5),),
            drive=(("a", RoundingSchedule()),),
            penalty=Penalty(lam=0.05, beta=BetaSchedule(start=16.0)),
        ),
    ),
)
ADAQTRANSFORM = replace(
    NWQ,
    name="adaqtransform",
    reference="AdaQTransform",
    output=XiEta(),
    phases=(
        replace(
            NWQ.phases[0],
            learn=(ALPHA, S_X, *((n, Learn(lr=4e-5, schedule="cosine")) for n in ("xi", "eta"))),
        ),
    ),
)
A_ROUNDING = replace(
    NEAREST,
    name="a-rounding",
    reference="AQuant, table 1",
    activations=ARounding(),
    placement="input",
    weights=None,
)
POS = replace(
    BRECQ,
    name="pos",
    reference="AE-QDrop, reconstructed",
    weights=FreeWeights(),
    phases=(
        Phase(
            learn=(("w", Learn(lr=1e-5)), S_X),
            unit="block",
            quantize=("activations",),
            mix=(Mix(at="quantizers", rule="uniform"),),
            harden=("activations",),
        ),
        Phase(learn=(("v", Learn(lr=1e-3, project=(0.0, 1.0))),), unit="block"),
    ),
)
ALL = (BRECQ, QDROP, NWQ, PD_QUANT, AQUANT, ADAQTRANSFORM, A_ROUNDING, POS)


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_every_method_is_a_setting(setting: Setting) -> None:
    """It hashes, prints every field, and its JSON is canonical and readable."""
    assert hash(setting) == hash(replace(setting))
    data = json.loads(setting.to_json())
    assert data["is"] == "Setting" and data["name"] == setting.name
    assert len(data["phases"]) == len(setting.phases)
    text = describe(setting)
    assert text.startswith(f"{setting.name}: ")
    for phase in setting.phases:
        for name, learn in phase.learn:
            assert f"{name}: Learn" in text and f"lr: {learn.lr}" in text


def test_a_change_in_any_field_changes_the_json() -> None:
    """The canonical text is what is hashed, so no choice may be missing from it."""
    changed = replace(QDROP, phases=(replace(QDROP.phases[0], sampling="permutation"),))
    texts = {setting.to_json() for setting in (*ALL, changed)}
    assert len(texts) == len(ALL) + 1


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


LEARN = (ALPHA,)


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
                ADAROUND, phases=(Phase(learn=LEARN), Phase(learn=LEARN, unit="block"))
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
