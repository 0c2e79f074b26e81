"""One call for every calibrator: laws that hold for all rules (methods 3)."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refquant import numerics as nx
from refquant.calibrate.calibrate import calibrate, grids_of
from refquant.calibrate.kl_amct import KlAmct, kl_amct
from refquant.calibrate.kl_trt import KlTrt, kl_trt
from refquant.calibrate.lloyd import Lloyd, lloyd
from refquant.calibrate.lsq_init import LsqInit, LsqPlusSearch, lsq_plus_init
from refquant.calibrate.mse_search import MseSearch, mse_search
from refquant.calibrate.percentile import Percentile, percentile_range
from refquant.calibrate.percentile_search import PercentileSearch, percentile_search
from refquant.calibrate.qparams import EPS
from refquant.calibrate.ranges import MinMax
from refquant.calibrate.spaces import SEARCHES
from refquant.quantizers.grid import KINDS, Grid

SEEDS = st.integers(0, 2**32 - 1)
RULES = [
    MinMax(),
    MinMax("p", low_bit_scale=True),
    Percentile(0.9),
    PercentileSearch((0.8, 0.9)),
    *(MseSearch(search) for search in SEARCHES),
    Lloyd(5),
    KlAmct(64, 5),
    KlTrt(256),
    LsqInit("lsq"),
    LsqInit("lsq_plus"),
    LsqInit("mqbench"),
    LsqPlusSearch(steps=20),
]
SYMMETRIC_ONLY = (KlAmct, KlTrt)


def defined(rule, kind):
    """Whether the table in the dispatcher's docstring lists the rule for the grid."""
    if isinstance(rule, SYMMETRIC_ONLY) or rule == MseSearch("fro"):
        return kind in ("signed", "narrow")
    if isinstance(rule, LsqPlusSearch):
        return kind == "affine"
    if isinstance(rule, LsqInit) and rule.variant != "lsq":
        return kind in ("signed", "narrow")
    return rule != MseSearch("grid100_2d") or kind == "affine"


def test_the_table_of_grids_is_that_of_the_refusals():
    """What `grids_of` lists is what the rules accept, tested below one by one."""
    for rule in RULES:
        assert grids_of(rule) == tuple(kind for kind in KINDS if defined(rule, kind))


CASES = [(rule, kind) for rule in RULES for kind in KINDS if defined(rule, kind)]
REFUSED = [(rule, kind) for rule in RULES for kind in KINDS if not defined(rule, kind)]


@pytest.mark.parametrize(("rule", "kind"), CASES, ids=str)
@settings(max_examples=5)
@given(seed=SEEDS, bits=st.integers(2, 4), dtype=st.sampled_from([np.float32, np.float64]))
def test_shapes_dtypes_and_rows(rule, kind, seed, bits, dtype):
    """A step per channel is the step of each channel alone, on any axis; nothing is mutated."""
    x = np.random.default_rng(seed).normal(size=(3, 4, 2)).astype(dtype)
    before, grid = copy.deepcopy(x), Grid(kind, bits)
    whole = calibrate(x, rule, grid)
    assert whole.step.shape == whole.zero_point.shape == ()
    assert whole.step.dtype == dtype and whole.zero_point.dtype == np.int64
    rows = calibrate(x, rule, grid, axis=0)
    assert rows.step.shape == rows.zero_point.shape == (3, 1, 1) and rows.grid == grid
    columns = calibrate(np.moveaxis(x, 0, 1), rule, grid, axis=1)
    np.testing.assert_array_equal(columns.step.ravel(), rows.step.ravel())
    for c in range(3):
        alone = calibrate(x[c], rule, grid)
        np.testing.assert_array_equal(alone.step, rows.step[c, 0, 0])
        np.testing.assert_array_equal(alone.zero_point, rows.zero_point[c, 0, 0])
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("rule", "kind"), CASES, ids=str)
def test_zero_channels_and_single_elements(rule, kind):
    """Zeros give the floor 1e-8, the KL rules 1; one value is a tensor like any other."""
    grid = Grid(kind, 4)
    expected = 1.0 if isinstance(rule, SYMMETRIC_ONLY) else EPS
    x = np.array([[0.0, 0.0], [1.0, -0.5], [-0.0, 0.0]])
    found = calibrate(x, rule, grid, axis=0)
    np.testing.assert_array_equal(found.step[[0, 2], 0], expected)
    np.testing.assert_array_equal(found.zero_point[[0, 2], 0], 0)
    assert found.step[1, 0] > 0.01
    assert calibrate(np.zeros((2, 2), np.float32), rule, grid).step == np.float32(expected)
    for value in (3.0, -3.0, 0.0):
        single = calibrate(np.array(value), rule, grid)
        assert single.step.shape == () and np.isfinite(single.step) and single.step > 0


@pytest.mark.parametrize("bits", range(2, 17))
def test_every_width(bits):
    """2..16 bits, where the rule is defined; the plane search is 2^b times as long."""
    x = np.random.default_rng(bits).normal(size=(2, 20))
    for rule, kind in CASES:
        plane = rule == MseSearch("grid100_2d") and bits > 5
        if not plane and not (isinstance(rule, KlTrt) and 2 ** (bits - 1) > rule.bins):
            found = calibrate(x, rule, Grid(kind, bits), axis=0)
            assert np.all(found.step >= EPS)


@pytest.mark.parametrize(("rule", "kind"), CASES, ids=str)
def test_pinned_arithmetic_agrees_with_fast(rule, kind):
    """The candidates are the same floats; the chosen ones are clear of ties here."""
    x = np.array([[-1.37, 0.211, 0.874, -0.66, 0.093], [1.208, -0.317, 0.552, 0.741, -1.021]])
    fast = calibrate(x, rule, Grid(kind, 3), axis=0)
    with nx.arithmetic("pinned"):
        pinned = calibrate(x, rule, Grid(kind, 3), axis=0)
    np.testing.assert_array_equal(pinned.zero_point, fast.zero_point)
    np.testing.assert_allclose(pinned.step, fast.step, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rules_are_data(rule):
    """Hashable, comparable, and printed as the call that builds them."""
    assert hash(rule) == hash(copy.deepcopy(rule)) and rule == copy.deepcopy(rule)
    names = {type(r).__name__: type(r) for r in RULES}
    assert eval(repr(rule), names) == rule


def test_minmax_by_hand():
    """4 bits: 3.75 / 7.5; BRECQ's factor (4 + 2) / 8 scales the ends first."""
    x = np.array([-3.75, 1.0])
    assert calibrate(x, MinMax(), Grid("signed", 4)).step == 0.5
    assert calibrate(x, MinMax(low_bit_scale=True), Grid("signed", 4)).step == 0.375
    assert calibrate(x, MinMax("amct"), Grid("signed", 4)).step == 3.75 / 8


@pytest.mark.parametrize(
    ("rule", "default", "direct"),
    [
        (KlAmct(64, 5), KlAmct(), lambda x, g: kl_amct(x, g, KlAmct(64, 5))[0].step),
        (KlTrt(20), KlTrt(), lambda x, g: kl_trt(x, g, KlTrt(20))[0].step),
        (LsqInit("lsq_plus"), LsqInit("mqbench"), lambda x, g: lsq_plus_init(x, g, "paper").step),
        (
            Percentile(0.8, "interpolated", "p"),
            Percentile(0.8, "ppq", "p"),
            lambda x, g: np.abs(percentile_range(x, 0.8, "interpolated")).max() / g.code_max,
        ),
        (
            PercentileSearch((0.55, 0.6)),
            PercentileSearch(),
            lambda x, g: percentile_search(x, g, PercentileSearch((0.55, 0.6)))[0].step,
        ),
        (
            MseSearch("mq80", 9.0),
            MseSearch("mq80"),
            lambda x, g: mse_search(x, g, MseSearch("mq80", 9.0))[0].step,
        ),
        (Lloyd(1), Lloyd(20), lambda x, g: lloyd(x, calibrate(x, MinMax(), g), 1)[0].step),
    ],
    ids=str,
)
def test_options_reach_the_calibrator(rule, default, direct):
    """The rule's own options decide, not the defaults: another rule gives another step."""
    x, grid = nx.counter.normal((3,), (300,)), Grid("signed", 4)
    found = calibrate(x, rule, grid).step
    np.testing.assert_array_equal(found, direct(x, grid))
    assert found != calibrate(x, default, grid).step


def test_lloyd_starts_at_the_minmax_step():
    """No update leaves the min-max step; the affine start keeps its zero point."""
    x = np.array([-1.25, 2.5, 0.3])
    for kind in KINDS:
        start = calibrate(x, MinMax("p"), Grid(kind, 4))
        np.testing.assert_array_equal(calibrate(x, Lloyd(0, "p"), Grid(kind, 4)).step, start.step)
        assert calibrate(x, Lloyd(9, "p"), Grid(kind, 4)).zero_point == start.zero_point


@pytest.mark.parametrize(("rule", "kind"), REFUSED, ids=str)
def test_rules_refuse_grids_they_are_not_defined_on(rule, kind):
    """The message names the grid."""
    with pytest.raises(ValueError, match="grid"):
        calibrate(np.ones(3), rule, Grid(kind, 4))


@pytest.mark.parametrize(
    ("x", "rule", "grid", "axis", "error", "words"),
    [
        (np.ones(0), MinMax(), Grid("signed", 4), None, ValueError, "at least one element"),
        (np.ones((3, 0)), MinMax(), Grid("signed", 4), 0, ValueError, "at least one element"),
        (np.array([1.0, np.nan]), MinMax(), Grid("signed", 4), None, ValueError, "nan at index"),
        (np.array([1.0, np.inf]), KlTrt(), Grid("signed", 4), None, ValueError, "finite"),
        (np.ones(3, np.int64), MinMax(), Grid("signed", 4), None, TypeError, "float32 or float64"),
        (np.ones(3, np.float16), MinMax(), Grid("signed", 4), None, TypeError, "float32"),
        ([1.0], MinMax(), Grid("signed", 4), None, TypeError, "numpy array"),
        (np.ones(3), MinMax(), Grid("signed", 4), 1, ValueError, "axis"),
        (np.ones(3), MinMax(), Grid("signed", 4), -1, ValueError, "axis"),
        (np.ones(3), MinMax(), Grid("signed", 4), True, TypeError, "axis"),
        (np.array(1.0), MinMax(), Grid("signed", 4), 0, ValueError, "axis"),
        (np.ones(3), "minmax", Grid("signed", 4), None, TypeError, "MinMax"),
        (np.ones(3), MinMax, Grid("signed", 4), None, TypeError, "one of MinMax"),
        (np.ones(3), MinMax(), 4, None, TypeError, "Grid"),
    ],
)
def test_bad_input_is_refused(x, rule, grid, axis, error, words):
    """The entry validates before anything is computed."""
    with pytest.raises(error, match=words):
        calibrate(x, rule, grid, axis)
