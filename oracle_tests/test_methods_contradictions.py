"""Settings that contradict themselves are refused when they are made, with the fix."""

from dataclasses import replace

import pytest

from refquant.calibrate.kl_amct import KlAmct
from refquant.calibrate.mse_search import MseSearch
from refquant.calibrate.over_batches import OverBatches
from refquant.components import ARoundingActivations, DecoupledWeights, XiEta
from refquant.methods import (
    Learn,
    Mix,
    Penalty,
    Phase,
    Term,
)
from refquant.methods.adaqtransform import ADAQTRANSFORM
from refquant.methods.adaround import ADAROUND
from refquant.methods.aquant import AQUANT
from refquant.methods.finish import FitTransform
from refquant.methods.gram_methods import ADAQTRANSFORM_GRAM
from refquant.methods.lsq import LSQ
from refquant.methods.nearest import NEAREST
from refquant.methods.nwq import NWQ_ASOFTMAX
from refquant.methods.paradigm import BN_UNFOLDED, CASE_22
from refquant.methods.pos import POS
from refquant.methods.prepare import FoldBatchNorm
from refquant.methods.qdrop import QDROP
from refquant.optim.schedules import BetaSchedule, CoolingSchedule, RoundingSchedule

ALPHA, S_X = ("alpha", Learn(lr=1e-3)), ("s_x", Learn(lr=1e-3))
STEP, HALF = LSQ.phases[0].learn[1], RoundingSchedule(hold=0.5)
TIED = replace(ADAROUND, weights=DecoupledWeights(case="tied"))


def learning(*names, **phase):
    return (Phase(learn=tuple((name, Learn(lr=1e-3)) for name in names), **phase),)


CONTRADICTIONS = {
    "tied": (
        lambda: replace(TIED, phases=learning("alpha", "s_w", "s_w_out")),
        "'s_w_out', which is tied to 's_w'.*Use case='2.2'",
    ),
    "border, weights only": (
        lambda: replace(AQUANT, phases=learning("alpha", "b0", quantize=("weights",))),
        "'b0', of real activations.*or do not learn 'b0'",
    ),
    "driven border, weights only": (
        lambda: replace(
            AQUANT,
            phases=learning("alpha", quantize=("weights",), drive=(("a", RoundingSchedule()),)),
        ),
        "'a', of real activations",
    ),
    "border, no activations": (
        lambda: replace(AQUANT, activations=None),
        "where activations are real.*Give the setting a component for activations",
    ),
    "rounding of real weights": (
        lambda: replace(ADAROUND, weights=None, phases=learning("alpha")),
        "where weights are real",
    ),
    "alpha, activations only": (
        lambda: Phase(learn=(ALPHA, S_X), quantize=("activations",)),
        "of real weights.*Add 'weights'",
    ),
    "step of real weights": (
        lambda: replace(LSQ, phases=(replace(LSQ.phases[0], quantize=("activations",)),)),
        "'s_w', of real weights.*Add 'weights' to quantize",
    ),
    "temperature of real weights": (
        lambda: replace(
            NWQ_ASOFTMAX,
            phases=(replace(NWQ_ASOFTMAX.phases[0], learn=(STEP,), quantize=("activations",)),),
        ),
        "'tau', of real weights",
    ),
    "nothing quantized": (
        lambda: Phase(learn=(("xi", Learn(lr=1e-3)),), quantize=()),
        "quantize is empty; expected one of .'weights', 'activations'., or both",
    ),
    "learnt switch": (
        lambda: replace(AQUANT, phases=learning("alpha", "a")),
        "'a', which has no gradient.*Let `drive` move it",
    ),
    "learnt temperature": (
        lambda: replace(NWQ_ASOFTMAX, phases=learning("logits", "tau")),
        "'tau', which has no gradient",
    ),
    "driven step": (
        lambda: replace(AQUANT, phases=learning("alpha", drive=(("s_x", CoolingSchedule()),))),
        "drive is 's_x'; expected one of 'a'.*Put 's_x' into `learn`",
    ),
    "driven rounding": (
        lambda: replace(NEAREST, phases=(Phase(learn=(STEP,), drive=(("s_w", HALF),)),)),
        "drive is 's_w'; expected empty: nothing here is a switch",
    ),
    "two stages in one": (
        lambda: replace(POS, phases=learning("v_w", "h")),
        "v_w and h in one phase.*Write a phase for each",
    ),
    "batch norms folded and learnt": (
        lambda: replace(BN_UNFOLDED, prepare=(FoldBatchNorm(),)),
        "NormAffine behind FoldBatchNorm.*Use prepare=()",
    ),
    "probability of an annealed mix": (
        lambda: Mix(at="quantizers", rule="anneal", keep=0.3),
        "keep is 0.3 with rule='anneal'.*use rule='bernoulli'",
    ),
    "hold of a mask": (
        lambda: Mix(at="quantizers", hold=0.5),
        "hold is 0.5 with rule='bernoulli'.*use rule='anneal'",
    ),
    "factor of a constant rate": (
        lambda: Learn(lr=1e-3, factor=0.5),
        "factor is 0.5 with schedule='constant'",
    ),
    "blocks behind A-rounding": (
        lambda: replace(
            QDROP,
            activations=ARoundingActivations(),
            placement="input",
            phases=learning("alpha", unit="block"),
        ),
        "blocks whose ARoundingActivations pass no gradient; expected layers",
    ),
    "quadratic of a shared scale": (
        lambda: replace(ADAQTRANSFORM_GRAM, output=XiEta(xi="layer")),
        "XiEta.xi='layer', eta='channel'. with solver='gram'.*Use XiEta",
    ),
    "rule of other grids": (
        lambda: replace(AQUANT.activations, calibration=MseSearch("fro")),
        "on the affine grid; expected the grid signed or narrow.*Use grid='signed', or another",
    ),
    "symmetric rule of affine weights": (
        lambda: replace(AQUANT.weights, calibration=KlAmct()),
        "KlAmct.bins=512, searches=20. on the affine grid",
    ),
    "affine rule of symmetric weights": (
        lambda: replace(ADAROUND.weights, calibration=MseSearch("grid100_2d")),
        "on the signed grid; expected the grid affine",
    ),
    "symmetric rule in batches": (
        lambda: replace(NEAREST.activations, calibration=OverBatches(rule=MseSearch("fro"))),
        "on the affine grid",
    ),
    "scaled gradient without a quantizer": (
        lambda: replace(
            ADAQTRANSFORM, phases=(Phase(learn=(("xi", Learn(lr=1e-3, grad_scale="qdrop")),)),)
        ),
        "'xi', which no quantizer has",
    ),
    "scaled gradient without batches": (
        lambda: Phase(learn=(("alpha", Learn(lr=1e-3, grad_scale="qdrop")),), solver="gram"),
        "grad_scale is set for .'alpha'. with solver='gram'",
    ),
    "unknown scale": (lambda: Learn(lr=1e-3, grad_scale="lsq"), "grad_scale is 'lsq'"),
    "reflected at no interval": (lambda: Learn(lr=1e-3, reflect=True), "reflect is True"),
    "reflected across zero": (
        lambda: Learn(lr=1e-3, reflect=True, project=(0.0, 1.0)),
        "reflect is True.*an interval above 0",
    ),
    "warm-up": (lambda: Penalty(beta=BetaSchedule(warm_up=1.2)), "warm_up is 1.2"),
    "negative warm-up": (lambda: BetaSchedule(warm_up=-0.1), "warm_up is -0.1"),
    "penalty without alpha": (
        lambda: Phase(learn=(S_X,), penalty=Penalty()),
        "Learn alpha, or drop the penalty",
    ),
    "penalty with a driven alpha": (
        lambda: Phase(learn=(S_X,), drive=(("alpha", RoundingSchedule()),), penalty=Penalty()),
        "Learn alpha, or drop the penalty",
    ),
    "two mixes": (
        lambda: Phase(learn=(ALPHA,), mix=(Mix(at="quantizers"), Mix(at="quantizers", keep=0.1))),
        "is 2 of them; expected at most one",
    ),
    "mask twice elementwise": (
        lambda: Mix(at="quantizers", elementwise=True),
        "elementwise is True with rule='bernoulli'.*Leave it out",
    ),
    "mix of real activations": (
        lambda: Phase(learn=(ALPHA,), quantize=("weights",), mix=(Mix(at="quantizers"),)),
        "drop the mix at the quantizers",
    ),
    "mix of float inputs": (
        lambda: Phase(learn=(ALPHA,), source="float", mix=(Mix(at="input"),)),
        "Use source='quantized'",
    ),
    "mix at the network's input": (
        lambda: Phase(learn=(ALPHA,), unit="network", mix=(Mix(at="input"),)),
        "Mix at the quantizers",
    ),
    "cusp at one half": (
        lambda: Penalty(beta=BetaSchedule(end=0.5)),
        "beta is from 20.0 to 0.5; expected exponents of at least 1",
    ),
    "infinite penalty": (lambda: Penalty(lam=float("inf")), "lam is inf"),
    "infinite rate": (lambda: Learn(lr=float("inf")), "lr is inf"),
    "half an interval": (lambda: Learn(lr=1e-3, project=(1.0,)), "project is .1.0,."),
    "interval upside down": (lambda: Learn(lr=1e-3, project=(1.0, 0.0)), "project is .1.0, 0.0."),
    "activations rounded for good": (
        lambda: Phase(learn=(S_X,), harden=("weights", "activations")),
        "harden is 'activations'; expected one of 'weights'",
    ),
    "step without a floor": (
        lambda: replace(NEAREST, phases=learning("s_x")),
        "'s_x', a step, with project=None; expected a step kept above 0.*Use project=",
    ),
    "second step down to 0": (
        lambda: replace(
            CASE_22, phases=(Phase(learn=(("s_w_out", Learn(lr=1e-3, project=(0.0, 1.0))),)),)
        ),
        "'s_w_out', a step, with project=.0.0, 1.0.",
    ),
    "kl at the unit": (lambda: Term(kind="kl"), "Use Term\\(kind='kl', at='logits'\\)"),
    "fisher at layers": (
        lambda: Term(kind="fisher_diag", at="layers"),
        "Use Term\\(kind='fisher_diag', at='unit'\\)",
    ),
    "p of kl": (lambda: Term(kind="kl", at="logits", p=2.4), "use kind='lp'"),
    "temperature of lp": (lambda: Term(temperature=4.0), "use kind='kl'"),
    "normalised fisher": (lambda: Term(kind="fisher_full", normalize="power"), "use kind='lp'"),
    "offset of lp": (lambda: Term(offset=0.0), "use kind='fisher_diag'"),
    "divisor of diag": (lambda: Term(kind="fisher_diag", divisor=1.0), "use kind='fisher_full'"),
    "negative offset": (lambda: Term(kind="fisher_diag", offset=-1.0), "at least 0"),
    "divided by 0": (lambda: Term(kind="fisher_full", divisor=0.0), "more than 0"),
    "unknown normalizer": (lambda: Term(normalize="powre"), "Did you mean 'power'"),
    "cold": (lambda: Term(kind="kl", at="logits", temperature=0.0), "more than 0"),
    "negative weight": (lambda: Term(weight=-1.0), "at least 0"),
    "infinite p": (lambda: Term(p=float("inf")), "at least 1"),
    "fit without a place": (
        lambda: replace(NEAREST, finish=(FitTransform(),)),
        "needs eta, xi.*Use output=XiEta\\(\\)",
    ),
    "fitted otherwise than shared": (
        lambda: replace(NEAREST, output=XiEta(xi="layer"), finish=(FitTransform(),)),
        "FitTransform per channel, beside XiEta.*Use XiEta\\(xi='channel', eta='channel'\\)",
    ),
    "learnt and fitted": (
        lambda: replace(ADAQTRANSFORM, finish=(FitTransform(),)),
        "overwrites 'xi'.*Do not learn 'xi'",
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_contradictions_are_refused_when_they_are_made(what):
    """With the fix in the message."""
    build, message = CONTRADICTIONS[what]
    with pytest.raises(ValueError, match=message):
        build()


MISTAKEN = {
    "prepare": (lambda: replace(NEAREST, prepare=("fold",)), "prepare is str.*a step with apply"),
    "phases": (lambda: replace(NEAREST, phases=("qdrop",)), "phases is str; expected a tuple of"),
    "phases, a list": (lambda: replace(NEAREST, phases=[]), "phases is list"),
    "terms": (lambda: Phase(learn=(ALPHA,), terms=("lp",)), "terms is str; expected a tuple of"),
    "mix": (lambda: Phase(learn=(ALPHA,), mix=("drop",)), "mix is str; expected a tuple of Mix"),
    "learn, a list": (lambda: Phase(learn=[ALPHA]), "learn is list; expected a tuple of tuple"),
    "learn, names": (lambda: Phase(learn=("alpha",)), "learn is str"),
    "learn, alone": (lambda: Phase(learn=(("alpha",),)), "learn is .'alpha',.; expected pairs"),
    "quantize": (lambda: Phase(learn=(ALPHA,), quantize="weights"), "quantize is str"),
    "merge": (lambda: Phase(learn=(ALPHA,), unit="block", merge=2), "merge is int; expected a tu"),
    "rate": (lambda: Learn(lr="1e-3"), "lr is '1e-3' .str.; expected a number"),
    "rate, a switch": (lambda: Learn(lr=True), "lr is True .bool."),
    "keep": (lambda: Mix(at="input", keep="half"), "keep is 'half' .str.; expected a number"),
    "exponent": (lambda: Term(p="2"), "p is '2' .str."),
    "lambda": (lambda: Penalty(lam=None), "lam is None .NoneType."),
    "penalty": (lambda: Phase(learn=(ALPHA,), penalty=0.01), "penalty is float; expected a Pen"),
    "gram": (lambda: Phase(learn=(ALPHA,), gram="plane"), "gram is str; expected a Gram"),
    "finish": (lambda: replace(NEAREST, finish=("bias correction",)), "finish is str"),
    "learn": (lambda: Phase(learn=(("alpha", 1e-3),)), "float for 'alpha'.*Learn.lr="),
    "drive": (lambda: Phase(learn=(ALPHA,), drive=(("a", 1.0),)), "float for 'a'.*schedules"),
    "weights": (
        lambda: replace(NEAREST, weights=NEAREST.activations),
        "weights is NearestActivations; expected a component for weights",
    ),
    "activations": (
        lambda: replace(NEAREST, activations=NEAREST.weights),
        "activations is NearestWeights; expected a component for activations",
    ),
    "output": (lambda: replace(NEAREST, output=NEAREST.weights), "a component for output"),
}


@pytest.mark.parametrize("what", MISTAKEN)
def test_a_part_of_the_wrong_kind_is_refused(what):
    """A word is no step, a number no Learn, and no component fits every seat."""
    build, message = MISTAKEN[what]
    with pytest.raises(TypeError, match=message):
        build()
