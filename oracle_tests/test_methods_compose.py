"""``a+b``: what is kept, what is added, what is refused; and settings made from others."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

import refquant as rq
from oracle_tests.reconstruct_cases import images, residual, run_of
from refquant.cli.main import main
from refquant.components import XiEta
from refquant.methods import (
    ADDITIONS,
    METHODS,
    Adds,
    Learn,
    Term,
    compose,
    describe,
    resolve,
)
from refquant.methods.adaqtransform import ADAQTRANSFORM, TRANSFORM
from refquant.methods.aquant import AQUANT
from refquant.methods.brecq import BRECQ
from refquant.methods.finish import CorrectBias, FitTransform
from refquant.methods.nearest import NEAREST
from refquant.methods.prepare import FoldBatchNorm
from refquant.methods.prepare_redistribution import (
    CrossLayerEqualization,
    OutlierSuppressionPlus,
    SmoothQuant,
)
from refquant.methods.prepare_repq import ScaleReparameterization
from refquant.sweeps import Config
from refquant.sweeps import run as run_config

ADDED = (("xi", TRANSFORM), ("eta", TRANSFORM))
LEARNING = [name for name in METHODS if METHODS[name].phases and METHODS[name].output is None]


LABELS = ("name", "reference", "parents")  # what a setting is called and where it is from


def differing(a, b):
    """Names of the fields in which two settings or phases differ."""
    return {f.name for f in fields(a) if getattr(a, f.name) != getattr(b, f.name)}


@pytest.mark.parametrize("name", LEARNING)
def test_a_composition_is_a_with_what_b_lists(name):
    """Pipeline, phases and rates of a; of b the output, and xi and eta in every phase."""
    base, whole = METHODS[name], resolve(f"{name}+adaqtransform")
    assert whole.name == f"{name}+adaqtransform" and whole.output == XiEta()
    assert base.reference in whole.reference and "AdaQTransform" in whole.reference
    assert differing(base, whole) == {*LABELS, "output", "phases"}
    assert len(whole.phases) == len(base.phases)
    for before, after in zip(base.phases, whole.phases, strict=True):
        assert differing(before, after) == {"learn"} and after.learn == (*before.learn, *ADDED)


def test_nwq_with_adaqtransform_is_adaqtransform_but_for_the_grid():
    """AdaQTransform is NWQ's pipeline with symmetric weights (AT eq. 1)."""
    whole = resolve("nwq+adaqtransform")
    assert differing(whole, ADAQTRANSFORM) == {*LABELS, "weights"}
    assert whole.phases == ADAQTRANSFORM.phases


def test_compositions_are_settings_like_any_other():
    """Looked up, described, hashed; listed are the methods alone."""
    name = "aquant+adaqtransform"
    setting = METHODS[name]
    assert setting == resolve(name) == compose(AQUANT, "adaqtransform", ADDITIONS["adaqtransform"])
    assert hash(setting) == hash(resolve(name)) and name in METHODS
    assert METHODS.get(name) == setting and METHODS.get("aquant+x") is None
    assert setting.to_json() == resolve(name).to_json() != AQUANT.to_json()
    assert json.loads(setting.to_json())["output"] == {
        "is": "XiEta",
        "xi": "channel",
        "eta": "channel",
    }
    text = describe(name)
    assert text == describe(setting) == rq.describe(name)
    assert "output: XiEta" in text and "xi: Learn" in text and "b0: Learn" in text
    assert name not in list(METHODS) and len(METHODS) == len(list(METHODS))


def test_additions_apply_from_left_to_right():
    """Finishing steps in the order they are written; preparing steps behind those of a."""
    both = resolve("nearest+bias-correction+ols")
    assert both.finish == (CorrectBias(), FitTransform()) and both.output == XiEta()
    assert resolve("nearest+ols+bias-correction").finish == (FitTransform(), CorrectBias())
    assert both.fitted == ("bias", "xi", "eta") and both.learnt == ()
    assert METHODS["nearest+ols"] == replace(
        NEAREST,
        name="nearest+ols",
        reference=METHODS["nearest+ols"].reference,
        parents=("nearest", "ols"),
        output=XiEta(),
        finish=(FitTransform(),),
    )
    step = replace(FoldBatchNorm())
    prepared = compose(replace(NEAREST, prepare=()), "fold", Adds(reference="x", prepare=(step,)))
    assert prepared.prepare == (step,) and prepared.output is None


def test_a_redistribution_adds_its_preparing_step():
    """Behind batch norm folding, once; the parts may be taken in any number."""
    for name, step in (
        ("smoothquant", SmoothQuant()),
        ("os-plus", OutlierSuppressionPlus()),
        ("repq", ScaleReparameterization()),
        ("cle", CrossLayerEqualization()),
    ):
        setting = resolve(f"adaqtransform+{name}")
        assert setting.prepare == (*ADAQTRANSFORM.prepare, step)
        assert differing(setting, ADAQTRANSFORM) == {*LABELS, "prepare"}
        with pytest.raises(ValueError, match=f"set {type(step).__name__}"):
            resolve(f"qdrop+{name}+{name}")
    both = resolve("nearest+cle+smoothquant+ols")
    assert both.prepare[1:] == (CrossLayerEqualization(), SmoothQuant())
    assert both.finish == (FitTransform(),)


REFUSED = {
    "qdrop+adaqtransfrom": "the part behind a plus.*Did you mean 'adaqtransform'",
    "qdorp+adaqtransform": "'qdorp'.*Did you mean 'qdrop'",
    "qdrop+brecq": "adds nothing.*Put 'brecq' first, as in 'brecq\\+adaqtransform'",
    "adaqtransform+adaqtransform": "set the output component, xi, eta.*as in 'adaqtransform'",
    "adaqtransform+ols": "set the output component.*Leave one of them out",
    "qdrop+adaqtransform+ols": "in which both sides.*as in 'qdrop\\+adaqtransform'",
    "qdrop+bias-correction+bias-correction": "set CorrectBias",
    "nearest+bias-correction+analytic-bias-correction": "overwrites 'bias'.*Leave one step",
    "nearest+analytic-bias-correction+bias-correction": "CorrectBias, which overwrites 'bias'",
    "nearest+adaqtransform": "learns nothing.*'nearest\\+ols'",
    "ols": "no method of its own.*Write 'nearest\\+ols'",
    "bias-correction+ols": "Write 'nearest\\+bias-correction'",
    "qdrop+": "the part behind a plus is ''",
    "+ols": "method is ''",
    "qdrop + ols": "Did you mean 'qdrop'",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused(name):
    """With the nearest name or the fix; the mapping says the same by KeyError."""
    with pytest.raises(ValueError, match=REFUSED[name]):
        resolve(name)
    with pytest.raises(KeyError):
        METHODS[name]
    assert name not in METHODS


def test_a_preparing_step_twice_is_refused():
    """A redistribution applied twice would not be the one that was published."""
    with pytest.raises(ValueError, match="set FoldBatchNorm"):
        compose(NEAREST, "fold", Adds(reference="x", prepare=(FoldBatchNorm(),)))
    with pytest.raises(ValueError, match="set b0"):
        compose(AQUANT, "border", Adds(reference="x", learn=(("b0", Learn(lr=1.0)),)))
    with pytest.raises(ValueError, match="set a"):
        compose(AQUANT, "a", Adds(reference="x", learn=(("a", Learn(lr=1.0)),)))


def test_with_rate_zero_an_addition_changes_no_bit():
    """P47: xi and eta that never move leave codes, steps and records as they were."""
    still = Adds(reference="x", output=XiEta(), learn=(("xi", Learn(lr=0.0)),))
    _, without, records = run_of(residual(), BRECQ, steps=3)
    _, beside, same = run_of(residual(), compose(BRECQ, "still", still), steps=3)
    assert records == same
    assert all(beside[key].tobytes() == value.tobytes() for key, value in without.items())


def test_both_phases_of_brecq_move_xi_and_eta():
    """Alone in either phase they leave their start, too."""
    whole = resolve("brecq+adaqtransform")
    for phases in ((whole.phases[0],), (whole.phases[1],)):
        model, state, _ = run_of(residual(), replace(whole, phases=phases), steps=3)
        for name in ("xi", "eta"):
            moved = [np.any(state[(n, name)] != model.start[(n, name)]) for n in model.weights]
            assert all(moved), name


def test_the_command_line_and_sweeps_take_compositions(capsys):
    """`refquant methods a+b`, `refquant quantize --method a+b`, `Config(method="a+b")`."""
    assert main(["methods", "aquant+adaqtransform"]) == 0
    assert capsys.readouterr().out == f"{describe('aquant+adaqtransform')}\n"
    line = [
        "quantize",
        "digits-mlp",
        "--method",
        "nearest+bias-correction+ols",
        "--json",
        "--quiet",
    ]
    assert main(line) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["method"] == "nearest+bias-correction+ols" and report["integer_equals_fake"]
    with pytest.raises(SystemExit):
        main(["quantize", "digits-mlp", "--method", "nearest+olls"])
    assert "Did you mean 'ols'" in capsys.readouterr().err
    plain, fitted = (
        Config(network="digits-mlp", method=name, weight_bits=2, act_bits=2, calibration=64)
        for name in ("nearest", "nearest+ols")
    )
    assert plain.key != fitted.key
    rows = [run_config(config) for config in (plain, fitted)]
    assert rows[1]["sqnr_db"] > rows[0]["sqnr_db"] and rows[1]["integer_equals_fake"]


def test_closed_forms_reach_the_deployed_integers():
    """xi and eta of the result are the fitted ones, the offset holds the corrected bias."""
    network, x = residual(), images(residual())
    options = {"weight_bits": 3, "act_bits": 4}
    none, shift, line = (
        rq.quantize(network, x, name, **options)
        for name in ("nearest", "nearest+bias-correction", "nearest+ols")
    )
    for layer, values in line.layers.items():
        np.testing.assert_array_equal(values.codes, none.layers[layer].codes)
        assert np.all(values.xi != 1.0) and np.all(values.eta != 0.0)
        bias = shift.prepared.params[(layer, "bias")]
        assert np.all(bias != network.params[(layer, "bias")])
        np.testing.assert_array_equal(shift.plan.layers[layer].offset, bias)
    for result in (shift, line):
        assert result.integer(x).tobytes() == result.network(x).tobytes()


def test_the_weighted_losses_of_brecq_change_one_term():
    """methods.md 5.2: the first stage alone; PD-Quant is QDrop with a second term (5.3)."""
    for kind in ("diag", "full"):
        setting = METHODS[f"brecq-fisher-{kind}"]
        first, second = setting.phases
        assert differing(setting, BRECQ) == {*LABELS, "phases"}
        assert differing(first, BRECQ.phases[0]) == {"terms"} and second == BRECQ.phases[1]
        assert first.terms == (Term(kind=f"fisher_{kind}"),)
    pd_quant, qdrop = METHODS["pd-quant"], METHODS["qdrop"]
    assert differing(pd_quant, qdrop) == {*LABELS, "phases"}
    (first,), (parent,) = pd_quant.phases, qdrop.phases
    assert differing(first, parent) == {"learn", "terms"}
    assert first.terms[1] == Term(kind="kl", at="logits", temperature=4.0, weight=10.0)
    assert dict(first.learn) == {**dict(parent.learn), "alpha": Learn(lr=3e-3)}
