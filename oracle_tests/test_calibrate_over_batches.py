"""Ranges found batch by batch: by hand, as the observers combine them, and in a setting."""

import json
from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import images, residual
from refquant.calibrate.calibrate import calibrate
from refquant.calibrate.kl_amct import KlAmct
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.over_batches import OverBatches
from refquant.calibrate.percentile import Percentile, percentile
from refquant.calibrate.qparams import range_to_qparams
from refquant.calibrate.ranges import MinMax, average, ema
from refquant.components import NearestActivations, NearestWeights
from refquant.methods import describe
from refquant.methods.nearest import NEAREST
from refquant.pipeline import quantize
from refquant.quantizers.grid import KINDS, Grid

AFFINE = Grid("affine", 4)
X = np.random.default_rng(3).normal(0.4, 1.0, (12, 5))


def test_values_by_hand():
    """Batches (0, 4), (-2, 6) and, alone, -1: means -1 and 3; moving by 1/2: -1 and 2."""
    x = np.array([0.0, 4.0, -2.0, 6.0, -1.0])
    found = calibrate(x, OverBatches(batch=2), Grid("affine", 2))
    assert (found.step, found.zero_point) == (4.0 / 3.0, 1)
    moving = OverBatches(batch=2, combine="ema", momentum=0.5)
    found = calibrate(x, moving, Grid("affine", 2))
    assert (found.step, found.zero_point) == (3.0 / 3.0, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_observers_combine_alike(kind, dtype):
    """On batches of one length: the golden functions of methods.md 3.1, then their range."""
    x, grid = X.astype(dtype), Grid(kind, 4)
    batches = x.reshape(3, 4, 5)
    for rule, ends in (
        (OverBatches(batch=4), average(batches)),
        (OverBatches(batch=4, combine="ema", momentum=0.75), ema(batches, 0.75)),
        (OverBatches(rule=Percentile(0.9), batch=4), percentile(batches, 0.9)),
    ):
        found, expected = calibrate(x, rule, grid), range_to_qparams(*ends, grid)
        assert found.step.dtype == dtype and found.step.shape == ()
        np.testing.assert_allclose(found.step, expected.step, rtol=4 * np.finfo(dtype).eps)
        assert found.zero_point == expected.zero_point


@pytest.mark.parametrize("divisor", ["half_span", "p", "amct"])
@pytest.mark.parametrize("kind", KINDS)
def test_searched_ranges_move(kind, divisor):
    """PD-Quant: the ends that the winner of each batch stands for; symmetric steps move alike."""
    inner, grid = MseSearch("grid100_1d", 2.4, divisor), Grid(kind, 3)
    found = calibrate(X, OverBatches(rule=inner, batch=4, combine="ema"), grid)
    winners = [mse_search(part, grid, inner)[0] for part in np.split(X, 3)]
    step, low, high = (0.0, 0.0, 0.0)
    for number, winner in enumerate(winners):
        keep = 0.9 if number else 0.0
        z, s = float(winner.zero_point), float(winner.step)
        step = keep * step + (1 - keep) * s
        low = keep * low + (1 - keep) * (0 - z) * s
        high = keep * high + (1 - keep) * (7 - z) * s
    expected = (high - low) / 7 if kind == "affine" else step
    np.testing.assert_allclose(found.step, expected, rtol=1e-12)
    assert found.zero_point == (np.rint(-low / expected) if kind == "affine" else 0)


@pytest.mark.parametrize("inner", [MinMax(), MinMax("p", True), Percentile(0.9), MseSearch()])
@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_is_the_rule_inside(kind, inner):
    """However its range is combined with nothing."""
    plain = calibrate(X, inner, Grid(kind, 4))
    for combine in ("average", "ema"):
        rule = OverBatches(rule=inner, batch=len(X), combine=combine)
        found = calibrate(X, rule, Grid(kind, 4))
        np.testing.assert_allclose(found.step, plain.step, rtol=1e-14)
        assert found.zero_point == plain.zero_point


def test_a_setting_calibrates_batch_by_batch():
    """Activations alone; the setting's text and JSON say how."""
    rule = OverBatches(rule=MseSearch("grid100_1d", p=2.4), batch=5, combine="ema")
    setting = replace(NEAREST, activations=NearestActivations(calibration=rule, samples=20))
    text = describe(setting)
    assert "calibration: OverBatches" in text and "momentum: 0.9" in text
    assert json.loads(setting.to_json())["activations"]["calibration"]["combine"] == "ema"
    network = residual()
    x = images(network, 24)
    result = quantize(network, x, setting, weight_bits=4, act_bits=4)
    own = result.prepared.params
    expected = calibrate(x[:20], rule, Grid("affine", 8))
    np.testing.assert_array_equal(own[("input.q", "s_x")], expected.step)
    assert result.network(x).tobytes() == result.integer(x).tobytes()
    with pytest.raises(TypeError, match="calibration is OverBatches; expected one of"):
        NearestWeights(calibration=rule)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: OverBatches(rule=KlAmct()), TypeError, "rule is KlAmct; expected one of MinMax"),
        (lambda: OverBatches(batch=0), ValueError, "batch is 0"),
        (lambda: OverBatches(combine="mean"), ValueError, "combine is 'mean'"),
        (lambda: OverBatches(combine="ema", momentum=1.5), ValueError, r"\[0, 1\]"),
        (lambda: OverBatches(momentum=0.5), ValueError, "Use combine='ema'"),
        (lambda: calibrate(X, OverBatches(), AFFINE, axis=0), ValueError, "Use the rule inside"),
    ],
)
def test_what_is_refused(build, error, message):
    """With the fix."""
    with pytest.raises(error, match=message):
        build()
