"""Controls of a comparison: what differs, and that it differs in nothing else."""

from dataclasses import fields, replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import changed, images, residual, run_of
from refquant.methods import METHODS, Learn, Mix, resolve, with_real_weights
from refquant.methods.aquant import AQUANT, BORDER_NAMES, PENALTY
from refquant.methods.qdrop import QDROP
from refquant.optim.schedules import CoolingSchedule
from refquant.pipeline import quantize

ALIKE = {"name": "", "reference": "", "parents": ()}
REAL = ("nearest-w32", "qdrop-w32", "aquant-w32")


def differing(a, b):
    return {f.name for f in fields(a) if getattr(a, f.name) != getattr(b, f.name)} - set(ALIKE)


def test_a_fixed_border_is_a_rate_of_zero():
    """The control of feasibility: the same bits as AQuant with every border rate 0."""
    control = METHODS["aquant-fixed-border"]
    assert differing(control, AQUANT) == {"phases"}
    assert differing(control.phases[0], AQUANT.phases[0]) == {"learn"}
    learn = tuple(
        (name, Learn(lr=0.0) if name in BORDER_NAMES else how)
        for name, how in AQUANT.phases[0].learn
    )
    network = residual()
    _, state, records = run_of(network, changed(control, batch=8), steps=4)
    _, still, same = run_of(network, changed(AQUANT, batch=8, learn=learn), steps=4)
    assert records == same and state.keys() == still.keys()
    assert all(state[key].tobytes() == still[key].tobytes() for key in state)


def test_qdrop_at_the_input_drops_at_the_unit_alone():
    """QDrop but for the seat of its quantizers and the drop inside the block."""
    control = METHODS["qdrop-input"]
    assert differing(control, QDROP) == {"placement", "phases"}
    assert differing(control.phases[0], QDROP.phases[0]) == {"mix"}
    assert control.phases[0].mix == (Mix(at="input", keep=0.5),) == AQUANT.phases[0].mix
    assert control.placement == AQUANT.placement == "input"
    fixed = METHODS["aquant-fixed-border"]
    assert "a" in dict(fixed.phases[0].drive) and not control.phases[0].drive


def test_without_a_schedule_activations_are_rounded_in_full_from_the_start():
    """Recommended AQuant but for the schedule: the same bits as holding a at 1."""
    control, base = METHODS["aquant-unscheduled"], METHODS["aquant-recommended"]
    assert differing(control, base) == {"phases"}
    assert differing(control.phases[0], base.phases[0]) == {"drive"} and not control.phases[0].drive
    network = residual()
    _, state, records = run_of(network, changed(control, batch=8), steps=4)
    full = (("a", CoolingSchedule(start=1.0, end=1.0)),)
    _, driven, same = run_of(network, changed(base, batch=8, drive=full), steps=4)
    assert records == same
    assert all(state[key].tobytes() == driven[key].tobytes() for key in state)


@pytest.mark.parametrize("name", ["adaround", "brecq", "qdrop", "nwq", "adaqtransform", "pd-quant"])
def test_equal_rounding_changes_nothing_else(name):
    """lambda 0.05, beta 16 -> 2 where there is a penalty; alpha at 3e-3 where it is learnt."""
    base, equal = METHODS[name], resolve(f"{name}+equal-rounding")
    assert differing(base, equal) == {"phases"}
    assert (PENALTY.lam, PENALTY.beta.start, PENALTY.beta.end) == (0.05, 16.0, 2.0)
    for before, after in zip(base.phases, equal.phases, strict=True):
        learn = tuple((n, Learn(lr=3e-3) if n == "alpha" else how) for n, how in before.learn)
        penalty = PENALTY if before.penalty else None
        assert after == replace(before, penalty=penalty, learn=learn)
    assert resolve("aquant+equal-rounding").phases == AQUANT.phases


def test_normalized_changes_nothing_else():
    """Every lp term is divided by the power of its float output; PD-Quant's kl term is not."""
    for name in ("adaround", "brecq", "nwq", "pd-quant"):
        base, normal = METHODS[name], resolve(f"{name}+normalized")
        assert differing(base, normal) == {"phases"}
        for before, after in zip(base.phases, normal.phases, strict=True):
            terms = [replace(t, normalize="power") if t.kind == "lp" else t for t in before.terms]
            assert after == replace(before, terms=tuple(terms))
    assert {t.kind for t in METHODS["pd-quant"].phases[0].terms} == {"lp", "kl"}


def test_a_fair_footing_needs_something_to_stand_on():
    for name in ("lsq", "nearest"):
        with pytest.raises(ValueError, match=r"a method with a penalty.*as it is"):
            resolve(f"{name}+equal-rounding")
    with pytest.raises(ValueError, match="learns nothing"):
        resolve("nearest+normalized")
    with pytest.raises(ValueError, match="looks at the inputs of layers"):
        resolve("qdrop+closed-form")


@pytest.mark.parametrize("name", REAL)
def test_real_weights_are_never_touched(name):
    """W32 of AQuant's tables 1 and 2: activations alone are quantized and learnt."""
    setting, base = METHODS[name], METHODS[name.removesuffix("-w32")]
    assert setting.weights is None and "alpha" not in setting.learnt
    assert set(setting.learnt) == {*base.learnt} - {"alpha"}
    assert differing(setting, base) == {"weights"} | ({"phases"} if base.phases else set())
    network, x = residual(), images(residual())
    still = replace(setting, phases=())
    fine = quantize(network, x, still, act_bits=16, first_last_bits=None)
    coarse = quantize(network, x, setting, act_bits=2, first_last_bits=None, steps=2)
    again = quantize(network, x, setting, act_bits=2, first_last_bits=None, steps=2)
    assert fine.plan is None and fine.layers == {}
    np.testing.assert_allclose(fine.network(x), network(x), atol=5e-3)
    assert np.abs(coarse.network(x) - network(x)).max() > 0.05
    assert coarse.network(x).tobytes() == again.network(x).tobytes()
    for layer in ("stem", "dw", "point", "fc"):
        kept = fine.prepared.params[(f"{layer}.product", "w")]
        np.testing.assert_array_equal(kept, network.params[(layer, "w")])


def test_phases_without_anything_to_learn_go():
    """AdaRound learns alpha alone, BRECQ alpha first and steps afterwards."""
    assert with_real_weights(METHODS["adaround"]).phases == ()
    (second,) = with_real_weights(METHODS["brecq"]).phases
    assert dict(second.learn).keys() == {"s_x"} and second.source == "float"
    squant = with_real_weights(METHODS["squant"])
    assert squant.name == "squant-w32" and squant.phases == ()
    with pytest.raises(ValueError, match="neither weights nor activations"):
        with_real_weights(replace(METHODS["nearest"], activations=None))
