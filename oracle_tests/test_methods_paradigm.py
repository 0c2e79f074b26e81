"""The cases of table 15.1 as methods: what each learns, and where they must agree."""

from dataclasses import replace

import numpy as np

from oracle_tests.reconstruct_cases import BITS, images, residual, run_of
from refquant.components import XiEta
from refquant.methods import (
    METHODS,
)
from refquant.methods.adaqtransform import ADAQTRANSFORM
from refquant.methods.nwq import NWQ
from refquant.methods.paradigm import CASE_12, CASE_22, CASE_111, CASE_112, CASES
from refquant.network.run import forward
from refquant.reconstruct.model import build_model, harden

FREEDOM = {
    "case-1.1.1": ("alpha", "s_x"),
    "case-1.1.2": ("alpha", "s_x"),
    "case-1.2": ("s_w", "s_x"),
    "case-2.1": ("alpha", "s_w", "s_x"),
    "case-2.2": ("alpha", "s_w_out", "s_x"),
    "case-2.3": ("alpha", "s_w", "s_w_out", "s_x"),
}


def test_the_cases_learn_what_the_table_says():
    """methods.md 15.1, its columns h, s_w, s_d, xi and what is learned; one pipeline for all."""
    assert {case.name: case.learnt for case in CASES} == FREEDOM
    assert [METHODS[name] for name in FREEDOM] == list(CASES)
    for case in CASES:
        assert case.output is None and case.weights.grid == "signed"
        assert case.activations == ADAQTRANSFORM.activations
        assert {phase.unit for phase in case.phases} == {"network"}
        assert all(phase.terms == NWQ.phases[0].terms for phase in case.phases)
        rounds = any("alpha" in dict(phase.learn) for phase in case.phases)
        assert rounds == (case is not CASE_12)
    assert [phase.quantize for phase in CASE_111.phases] == [
        ("weights",),
        ("weights", "activations"),
    ]
    assert [dict(phase.learn).keys() for phase in CASE_111.phases] == [{"alpha"}, {"s_x"}]


def test_steps_of_weights_move_relative_to_their_size():
    """Adam's 4e-5 counts in units of the step; s_x as in QDrop, in units of the data."""
    for case in CASES:
        for phase in case.phases:
            learn = dict(phase.learn)
            steps = [learn[name] for name in ("s_w", "s_w_out") if name in learn]
            assert all(s.relative and s.schedule == "cosine" and s.lr == 4e-5 for s in steps)
            assert all(s.project is not None and s.project[0] > 0.0 for s in steps)


def test_all_cases_start_at_the_same_loss():
    """P53: s'_w = s_w, xi = 1, eta = 0; with real activations in 1.1.1's first phase below it."""
    starts = {
        case.name: run_of(residual(), case, steps=1)[2][0]
        for case in (*CASES, ADAQTRANSFORM)
        if case is not CASE_111
    }
    hard = {name: record.hard_start for name, record in starts.items()}
    assert len(set(hard.values())) == 1 and next(iter(hard.values())) > 0.0
    soft = {record.loss for name, record in starts.items() if name != "case-1.2"}
    assert len(soft) == 1


def test_case_2_2_is_a_transform():
    """P40: s'_w = xi s_w gives what xi gives, bit for bit for powers of two, soft and hard."""
    network, x = residual(), images(residual())
    apart = build_model(network, x, CASE_22, BITS)
    behind = build_model(network, x, replace(CASE_112, output=XiEta()), BITS)
    rng = np.random.default_rng(1)
    one, two = dict(apart.start), dict(behind.start)
    for layer in apart.weights:
        xi = 2.0 ** rng.integers(-2, 3, len(network.params[(layer, "w")]))
        shape = (-1, *[1] * (network.params[(layer, "w")].ndim - 1))
        one[(layer, "s_w_out")] = one[(layer, "s_w")] * xi.reshape(shape)
        two[(layer, "xi")] = xi
        eta = rng.normal(size=len(xi))
        one[(layer, "bias")] = network.params[(layer, "bias")] + eta
        two[(layer, "bias")] = network.params[(layer, "bias")] + eta
    for prepare in (dict, lambda state: harden(apart, state, tuple(apart.weights))):
        logits = []
        for model, state in ((apart, prepare(one)), (behind, prepare(two))):
            weights = {}
            for layer, component in model.weights.items():
                own = {name: v for (node, name), v in state.items() if node == layer}
                w = network.params[(layer, "w")]
                shape = (-1, *[1] * (w.ndim - 1))
                hard = own["codes"] * component.step(own).reshape(shape) if "codes" in own else None
                soft = component.forward(w, own)[0]
                weights[(f"{layer}.product", "w")] = soft if hard is None else hard
            logits.append(forward(model.network, x, params={**state, **weights}).values["fc"])
        np.testing.assert_array_equal(*logits)
