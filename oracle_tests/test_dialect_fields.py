"""Fields on which released codes of AdaRound differ: each value by hand, and what is refused."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests.exact_lists import fractions_of
from oracle_tests.reconstruct_cases import adaround, images, residual, task_of
from refquant import numerics as nx
from refquant.components import AdaRoundWeights
from refquant.losses.reconstruction import reconstruction_loss
from refquant.methods import Learn, Term
from refquant.optim.schedules import BetaSchedule, beta_schedule, step_lr
from refquant.oracle.exact import losses as twin
from refquant.quantizers.adaround import adaround_codes, init_alpha, rectified_sigmoid_forward
from refquant.quantizers.grid import Grid, make_qparams
from refquant.reconstruct.batches import batch_indices
from refquant.reconstruct.learn import hard_loss
from refquant.reconstruct.unit import gradients

MAPS = (2, 4, 3, 1)
CURVES = ["linear", "cosine"]


def pair(seed=0):
    """Dyadic maps, so that sums are exact and the divisions the only roundings."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(-8, 9, MAPS) / 4.0 for _ in range(2))


def test_the_mean_is_the_sum_over_channels_divided_by_their_number():
    """methods.md 5.1: the factor 1/C, in the value and in the gradient, from exact fractions."""
    z, t = pair()
    value, d_z = reconstruction_loss(z, t, reduction="mean")
    expected, d_expected = twin.reconstruction_loss(fractions_of(z), fractions_of(t), 2)
    assert value == float(expected / 4)
    np.testing.assert_array_equal(d_z, np.array(d_expected, dtype=object).astype(float) / 4.0)
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        reconstruction_loss(z, t, reduction="men")


def test_a_term_hands_its_reduction_on():
    """To the loss of a step and to the hard loss of the record; both have the factor 1/4 here."""
    network = residual()
    found = []
    for term in (Term(), Term(reduction="mean")):
        task, own = task_of(network, images(network), adaround(terms=(term,), penalty=None))
        step = gradients(task, own, 1)
        found.append((step.loss, hard_loss(task, own), step.grads[("stem", "alpha")]))
    (summed, hard, d_summed), (mean, hard_mean, d_mean) = found
    assert (mean, hard_mean) == (summed / 4.0, hard / 4.0)
    np.testing.assert_array_equal(d_mean, d_summed / 4.0)


def test_a_normalised_term_does_not_see_the_reduction():
    """The power it is divided by is measured the same way."""
    network = residual()
    losses = []
    for reduction in ("channels", "mean"):
        term = Term(normalize="power", reduction=reduction)
        task, own = task_of(network, images(network), adaround(terms=(term,)))
        losses.append(hard_loss(task, own))
    assert losses[0] == losses[1]


def test_a_tie_rounds_as_the_field_says():
    """Only alpha = 0, both zeros, is a tie."""
    w = np.full(5, 0.3)
    alpha = np.array([-1e-300, -0.0, 0.0, 1e-300, 2.0])
    qparams = make_qparams(np.float64(1.0), 0, Grid("signed", 4))
    assert adaround_codes(w, alpha, qparams).tolist() == [0, 1, 1, 1, 1]
    assert adaround_codes(w, alpha, qparams, "down").tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="Did you mean 'down'"):
        adaround_codes(w, alpha, qparams, "donw")


def test_the_component_hands_its_tie_on():
    """A weight halfway between two levels starts at alpha = 0."""
    w = np.array([[0.5, -1.5, 2.0]])
    for tie, levels in (("up", [1, -1, 2]), ("down", [0, -2, 2])):
        component = AdaRoundWeights(tie=tie)
        params = {**component.start(w), "s_w": np.ones((1, 1)), "alpha": np.array([[0, 0, -9.0]])}
        assert component.codes(w, params).tolist() == [levels]
    with pytest.raises(ValueError, match=r"AdaRoundWeights\(\): tie"):
        AdaRoundWeights(tie="even")


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_the_clipped_start_keeps_away_from_the_edges(mode):
    """onnxsim: h(alpha0) = f clipped to [1e-4, 1 - 1e-4], so weights on the grid can move."""
    f = np.array([0.0, 1e-5, 0.25, 0.5, 0.75, 1.0 - 1e-5])
    qparams = make_qparams(np.float64(1.0), 0, Grid("signed", 4))
    with nx.arithmetic(mode):
        h, cache = rectified_sigmoid_forward(init_alpha(f, qparams, "clipped"))
    np.testing.assert_allclose(h, np.clip(f, 1e-4, 1.0 - 1e-4), rtol=0, atol=1e-15)
    assert (cache.slope > 0.0).all()


@given(total=st.integers(2, 50), first=st.sampled_from([0, 1]), curve=st.sampled_from(CURVES))
def test_beta_arrives_at_the_last_step(total, first, curve):
    """onnxsim's divisor: counted from 0 it reaches b1 at t = Tm - 1, not one step later."""
    last = BetaSchedule(curve=curve, first_step=first, arrive="last")
    assert beta_schedule(first + total - 1, total, last) == (2.0, True)
    plain = BetaSchedule(curve=curve, first_step=0)
    assert beta_schedule(total - 1, total, plain).beta > 2.0


def test_beta_between_warm_up_and_the_last_step():
    """Tm = 11, w = 1/11 in floats just above: t = 6 lies halfway from 2 to 10."""
    schedule = BetaSchedule(first_step=0, arrive="last", warm_up=2.0 / 11.0)
    assert beta_schedule(6, 11, schedule).beta == pytest.approx(11.0, abs=1e-13)
    assert beta_schedule(0, 1, BetaSchedule(first_step=0, arrive="last", warm_up=0.0)) == (
        2.0,
        True,
    )


def test_beta_after_the_last_step():
    """Refused (AIMET), held (QDrop), or the curve goes on (PPQ: the cosine rises again)."""
    cosine = {"curve": "cosine", "first_step": 0, "warm_up": 0.0}
    with pytest.raises(ValueError, match="t is 10"):
        beta_schedule(10, 10, BetaSchedule(**cosine))
    held = BetaSchedule(**cosine, after="hold")
    on = BetaSchedule(**cosine, after="continue")
    assert [beta_schedule(t, 10, held).beta for t in (10, 15, 20)] == [2.0, 2.0, 2.0]
    found = [beta_schedule(t, 10, on).beta for t in (10, 15, 20)]
    np.testing.assert_allclose(found, [2.0, 11.0, 20.0], rtol=1e-14)
    line = BetaSchedule(after="continue")
    assert beta_schedule(18, 10, line).beta == 2.0 + 18.0 * (1.0 - 2.0)
    for name in ("arrive", "after"):
        with pytest.raises(ValueError, match=rf"BetaSchedule\(\): {name}"):
            BetaSchedule(**{name: "soon"})


def test_rates_fall_at_the_milestones():
    """torch's MultiStepLR with [int(9 / 2), int(9 * 2 / 3)]: steps 4 and 6 of 9."""
    found = [step_lr(t, 9, 1.0, (0.5, 2 / 3)) for t in range(9)]
    np.testing.assert_allclose(found, [1.0] * 4 + [0.1] * 2 + [0.01] * 3, rtol=1e-15)
    for milestones in ((0.5, 0.5), (0.0,), (1.0,), (0.7, 0.2)):
        with pytest.raises(ValueError, match="rising shares"):
            Learn(lr=1.0, schedule="steps", milestones=milestones)
    for fields in ({"schedule": "steps"}, {"milestones": (0.5,)}):
        with pytest.raises(ValueError, match="given with schedule='steps', and only there"):
            Learn(lr=1.0, **fields)


def rows(sampling, steps, count=10, batch=4):
    return [batch_indices((0, 0, 0, t), count, batch, sampling).tolist() for t in steps]


def test_epochs_use_every_sample_once_before_a_new_order():
    """PyTorch's loader: batches of 4, 4 and 2 of 10 are one epoch; the next has another order."""
    found = rows("epochs", range(1, 7))
    assert [len(r) for r in found] == [4, 4, 2, 4, 4, 2]
    first, second = (list(chain(*found[i : i + 3])) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second


def test_blocks_and_cycles_take_consecutive_samples():
    """PPQ goes through the cached batches in turn, MQBench draws one of them."""
    blocks = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows("cycle", range(1, 8)) == [*blocks, *blocks, blocks[0]]
    drawn = rows("blocks", range(1, 300))
    shares = [drawn.count(block) / 299 for block in blocks]
    assert sum(shares) == pytest.approx(1.0) and min(shares) > 1 / 3 - 5 * np.sqrt(2 / 9 / 299)


def test_a_full_batch_is_everything():
    """Whatever the batch size."""
    assert rows("full", [1, 9]) == [list(range(10))] * 2
    assert batch_indices((0, 1), 3, 99, "cycle").tolist() == [0, 1, 2]
