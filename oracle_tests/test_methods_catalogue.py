"""The catalogue: names, text and JSON, what is refused, and the published numbers."""

import json
from dataclasses import replace

import pytest

from oracle_tests.reconstruct_cases import ADAQT
from refquant.calibrate.kl_amct import KlAmct
from refquant.components import (
    AdaRoundWeights,
)
from refquant.methods import METHODS, Learn, describe, resolve
from refquant.methods.nearest import NEAREST

catalogue = pytest.mark.parametrize("name", METHODS)


@catalogue
def test_names_describe_and_json(name):
    """A name is its setting's name; `describe` shows every field; JSON tells methods apart."""
    setting = METHODS[name]
    assert setting.name == name and resolve(name) is setting and resolve(setting) is setting
    text = describe(name)
    assert text == describe(setting) and text.startswith(f"{name}: {setting.reference}\n")
    for word in ("weights:", "activations:", "bits:", "prepare:", "phases:", "order:"):
        assert word in text
    for phase in setting.phases:
        for field in ("steps", "batch", "sampling", "keep_best"):
            assert f"{field}: {getattr(phase, field)}" in text
    data = json.loads(setting.to_json())
    parts = {"weights": setting.weights, "activations": setting.activations}
    assert data["name"] == name
    assert all((data[r] or {}).get("is") == (p and type(p).__name__) for r, p in parts.items())
    assert setting.to_json() == replace(setting).to_json()


def test_a_field_that_nothing_reads_is_described_as_such():
    """A border has no tie rule, and its clip mask is an option of the border."""
    lines = [line.strip() for line in describe("aquant").splitlines()]
    assert lines.count("rounding: rint  # not read: the only value") == 2
    assert lines.count("mask: rounded  # rounded: BRECQ, QDrop (D2)") == 1  # of BorderOptions
    assert "# not read" not in describe("nearest")


def test_what_published_code_differs_on_is_described_with_who_has_what():
    """methods.md 2.1, D34 and 5.2: off by default, and said; what is chosen is in the JSON too."""
    text = describe("qdrop")
    for line in ("reflect: False  # QDrop", "grad_scale: none  # LSQ", "offset: 1.0  # BRECQ"):
        assert line in text
    for line in ("sampling: with_replacement  # permutation: BRECQ", "curve: linear  # linear: B"):
        assert line in text
    s_x = dict(METHODS["qdrop"].phases[0].learn)["s_x"]
    as_released = replace(s_x, reflect=True, grad_scale="qdrop")
    learn = (("alpha", Learn(lr=1e-3)), ("s_x", as_released))
    phase = replace(METHODS["qdrop"].phases[0], learn=learn)
    setting = replace(METHODS["qdrop"], phases=(phase,))
    assert "reflect: True  # QDrop" in describe(setting)
    told, silent = (json.loads(s.to_json()) for s in (setting, METHODS["qdrop"]))
    assert told["phases"][0]["learn"][1][1]["grad_scale"] == "qdrop"
    assert "grad_scale" not in silent["phases"][0]["learn"][1][1]  # rows keep their keys


def test_the_catalogue_is_closed():
    """Names are unique and JSON differs; nobody adds to it at run time."""
    texts = {setting.to_json() for setting in METHODS.values()}
    assert len(texts) == len(METHODS)
    with pytest.raises(TypeError):
        METHODS["mine"] = NEAREST


@pytest.mark.parametrize(
    ("method", "error", "message"),
    [
        ("adaruond", ValueError, "Did you mean 'adaround'"),
        ("adaround-amtc", ValueError, "Did you mean 'adaround-amct'"),
        ("", ValueError, "one of 'nearest'"),
        (None, TypeError, "NoneType"),
        (3, TypeError, "a name or a Setting"),
    ],
)
def test_unknown_methods_are_refused(method, error, message):
    """With the nearest known name."""
    with pytest.raises(error, match=message):
        resolve(method)


def test_the_published_settings():
    """methods.md 5.5, 5.7, 5.8 and D9, D36: what a reader would look up."""
    adaround, amct = METHODS["adaround"].phases[0], METHODS["adaround-amct"].phases[0]
    assert [adaround.steps, adaround.batch, amct.steps, amct.batch] == [20_000, 32, 10_000, 32]
    for phase in (adaround, amct):
        assert phase.learn[0][0] == "alpha" and phase.learn[0][1].lr == 1e-3
        beta = phase.penalty.beta
        assert (phase.penalty.lam, beta.start, beta.end, beta.warm_up) == (0.01, 20.0, 2.0, 0.2)
        assert (phase.unit, phase.source) == ("layer", "quantized")
    assert (adaround.penalty.beta.curve, adaround.penalty.beta.first_step) == ("linear", 1)
    assert (amct.penalty.beta.curve, amct.penalty.beta.first_step) == ("cosine", 0)
    assert METHODS["adaround-amct"].weights == AdaRoundWeights(calibration=KlAmct())
    assert ADAQT.learnt == ("alpha", "s_x", "xi", "eta")


@catalogue
def test_parents_are_methods_and_lead_to_nearest(name):
    """Every setting says what it was made from; none has merely inherited what its parent says."""
    setting = METHODS[name]
    assert (setting.parents == ()) == (name == "nearest")
    for parent in setting.parents:
        assert parent in METHODS or parent in METHODS.additions
    line = [name]
    while METHODS[line[-1]].parents:
        line.append(METHODS[line[-1]].parents[0])
        assert METHODS[line[-1]].parents[:1] != METHODS[line[-2]].parents[:1]
    assert line[-1] == "nearest"
