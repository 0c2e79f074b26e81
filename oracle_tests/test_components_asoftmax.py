"""ASoftmax as a component: its start, its gradient and cooling; merged units as a setting."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradient
from oracle_tests.reconstruct_cases import correlated, dense, images, residual, run_of
from refquant import numerics as nx
from refquant.calibrate.ranges import MinMax
from refquant.components import ASoftmaxWeights
from refquant.methods import METHODS
from refquant.methods.mrecg import MRECG
from refquant.methods.nwq import NWQ_ASOFTMAX
from refquant.optim.schedules import CoolingSchedule
from refquant.pipeline import quantize
from refquant.quantizers.asoftmax import asoftmax_init
from refquant.quantizers.grid import Grid, make_qparams

OFFSETS = [(0, 1), (-1, 0, 1, 2)]


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_logits_start_at_the_weight(mode):
    """Shares 1 - f and f by hand, the floor for the others and for weights on the grid."""
    w = np.array([0.25, -0.25, 2.0, np.nan])
    qparams = make_qparams(np.float64(1.0), 0, Grid("signed", 4))
    with nx.arithmetic(mode):
        shares = nx.exp(asoftmax_init(w, qparams, (-1, 0, 1), 1e-2))
    expected = [[0.01, 0.75, 0.25], [0.01, 0.25, 0.75], [0.01, 1.0, 0.01], [0.01, 1.0, 0.01]]
    np.testing.assert_allclose(shares, expected, rtol=1e-14)
    for offsets, floor, message in (((1, 2), 0.1, "0 and 1"), ((0, 1), 0.0, "share in")):
        with pytest.raises(ValueError, match=message):
            ASoftmaxWeights(offsets=offsets, floor=floor)


@pytest.mark.parametrize("offsets", OFFSETS)
def test_the_soft_weight_starts_at_the_weight(offsets):
    """P18 up to the floors of the others; hardened, it is the nearest level."""
    w = np.random.default_rng(0).normal(size=(3, 20))
    component = ASoftmaxWeights(bits=6, offsets=offsets, calibration=MinMax())
    params = component.start(w)
    w_hat, _ = component.forward(w, params)
    u = w / params["s_w"]
    inside = np.abs(u) < 31.0  # of levels -32..31; the largest weights are clipped
    assert np.abs(w_hat / params["s_w"] - u)[inside].max() <= 2e-3 * len(offsets)
    np.testing.assert_array_equal(component.codes(w, params), np.clip(np.rint(u), -32, 31))


@pytest.mark.parametrize("offsets", OFFSETS)
def test_the_gradient_is_the_derivative(offsets):
    """Central differences at a lukewarm temperature."""
    rng = np.random.default_rng(1)
    w = rng.normal(size=(2, 5))
    component = ASoftmaxWeights(bits=5, offsets=offsets, calibration=MinMax())
    params = {**component.start(w), "tau": np.asarray(0.7)}
    d_w_hat = rng.normal(size=w.shape)

    def loss(logits):
        return float(np.sum(component.forward(w, {**params, "logits": logits})[0] * d_w_hat))

    grads = component.backward(d_w_hat, component.forward(w, params)[1])
    check_gradient(loss, params["logits"], grads["logits"])


@pytest.mark.parametrize("mode", ["fast", "pinned"])
def test_cooling_is_geometric_and_ends_exactly(mode):
    """Half way from 3 to 0.03 is 0.3; 3 (0.03 / 3) is not 0.03 in floats."""
    cooling = CoolingSchedule(start=3.0, end=0.07)
    with nx.arithmetic(mode):
        assert all(cooling.at(n, n) == 0.07 for n in (1, 10))
        half = CoolingSchedule(start=3.0, end=0.03).at(5, 10)
    np.testing.assert_allclose(half, 0.3, rtol=1e-14)
    for name in ("start", "end"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            CoolingSchedule(**{name: 0.0})


def test_learning_decides_every_weight_without_a_penalty():
    """tau is driven to 0.01, where a softmax is a choice; the hard loss falls."""
    network, x = dense(sizes=(6, 8, 3)), correlated(64, 6, seed=3)
    model, state, (record,) = run_of(network, replace(NWQ_ASOFTMAX), x=x, steps=150)
    assert record.binary[0] < 0.5 < 0.95 < record.binary[-1]
    assert record.hard_end < record.hard_start
    assert {float(state[(layer, "tau")]) for layer in model.weights} == {0.01}


def test_merged_units_are_learnt_together():
    """MRECG: stem alone, block and classifier as one; with sizes of 1 it is QDrop bit for bit."""
    network, x = residual(), images(residual())
    result = quantize(network, x, MRECG, weight_bits=3, act_bits=4, steps=3)
    assert [record.unit for record in result.history] == ["stem", "body+fc"]
    single = replace(MRECG, phases=(replace(MRECG.phases[0], merge=(1, 1)),))
    alone = quantize(network, x, single, weight_bits=3, act_bits=4, steps=3)
    qdrop = quantize(network, x, METHODS["qdrop"], weight_bits=3, act_bits=4, steps=3)
    assert alone.history == qdrop.history and alone.history != result.history
    for layer, values in qdrop.layers.items():
        np.testing.assert_array_equal(values.alpha, alone.layers[layer].alpha)


def test_merging_is_for_blocks():
    """Contradictions are refused when the setting is made."""
    with pytest.raises(ValueError, match="Use unit='block'"):
        replace(MRECG.phases[0], unit="layer")
    with pytest.raises(ValueError, match="merge is 0"):
        replace(MRECG.phases[0], merge=(0, 1))
    with pytest.raises(ValueError, match="give all phases the same unit"):
        replace(MRECG, phases=(MRECG.phases[0], replace(MRECG.phases[0], merge=())))
