"""Memory plans against what runs take; what grows; inputs from files and iterators."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import refquant as rq
from oracle_tests.gram_cases import gram_setting, joint
from oracle_tests.reconstruct_cases import CASE_112, adaround, conv, dense, images, plain, residual
from oracle_tests.test_methods import bits_of
from refquant.memory import MemoryPlan, Stage, memory_plan
from refquant.methods import BitAllocation, Mix, Term
from refquant.methods.closed_form import NEAREST_OLS
from refquant.methods.compose import compose
from refquant.methods.finish import CorrectBias
from refquant.methods.nearest import NEAREST
from refquant.methods.redistribution import SMOOTHQUANT
from refquant.network import Network
from refquant.pipeline import quantize
from refquant.storage import Disk


def wide():
    """Two convolutions of 12 channels on maps of 8 x 8: inputs that outgrow everything else."""
    rng = np.random.default_rng(0)
    nodes = (conv("a", "input"), plain("r", "relu", "a"), conv("b", "r"))
    params = {
        ("a", "w"): rng.normal(0, 0.3, (12, 3, 3, 3)),
        ("b", "w"): rng.normal(0, 0.1, (12, 12, 3, 3)),
    }
    return Network("wide", (3, 8, 8), nodes, params)


def taken(network, x, setting, steps, **options):
    """Peak of a real run, as tracemalloc sees it."""
    quantize(network, images(network, 8), adaround(), steps=1)  # to import what is imported late
    tracemalloc.start()
    try:
        quantize(network, x, setting, steps=steps, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CASES = {
    "minibatch, convolutions": (wide, adaround(), 1500),
    "minibatch, few": (wide, adaround(), 300),
    "gram, convolutions": (wide, gram_setting(), 1500),
    "joint gram": (wide, joint(), 1000),
    "dense": (lambda: dense(sizes=(64, 48, 10)), adaround(), 6000),
}


GROWING = {
    "layer": adaround(),
    "block": CASE_112,
    "drop": adaround(mix=(Mix(at="input"),)),
    "gram": gram_setting(),
    "normalized": adaround(terms=(Term(normalize="power"),)),
    "least squares": NEAREST_OLS,
    "bias correction": replace(NEAREST, finish=(CorrectBias(keep="better"),)),
    "begun": adaround(begin=(CorrectBias(),)),
    "redistribution": compose(NEAREST, "smoothquant", SMOOTHQUANT),
    "widths of operands": replace(
        NEAREST, placement="input", allocate=BitAllocation(bits=(8, 4), cost="bit-operations")
    ),
}


ON_DISK = ("minibatch, convolutions", "gram, convolutions", "dense")
PLANS = [*((name, "memory") for name in CASES), *((name, "disk") for name in ON_DISK)]


@pytest.mark.parametrize(("name", "cache"), PLANS)
def test_a_plan_is_right_within_a_fifth(name, cache):
    """On more inputs, and with more steps, than the rehearsal had."""
    network, setting, n = CASES[name]
    network, where = network(), Disk() if cache == "disk" else cache
    x = images(network, n)
    plan = memory_plan(network, x, setting, cache=cache)
    peak = taken(network, x, setting, 5, cache=where)
    assert plan.inputs == x.nbytes
    files = where.peak() if cache == "disk" else 0
    assert 0.99 * files <= plan.disk <= 1.01 * files and (plan.disk > 0) == (cache == "disk")
    assert 0.8 * peak <= plan.peak <= 1.2 * peak
    names, peaks = zip(*((stage.name, stage.peak) for stage in plan.stages), strict=True)
    assert max(peaks) == plan.peak == plan.largest.peak
    assert (
        cache == "disk" or name != "dense" or peaks[-1] < plan.peak
    )  # every stage has a peak of its own
    assert names[0] == "calibration" and len(names) > 1


def test_a_plan_says_where_the_peak_is():
    """In one line."""
    plan = MemoryPlan(2_000_000, (Stage("calibration", 1e6), Stage("conv", 5e6)))
    assert str(plan) == "at most 5.0 MB, at conv, on 2.0 MB of inputs"
    assert plan.peak == 5e6 and plan.disk == 0.0 and rq.memory_plan is memory_plan
    stages = (Stage("calibration", 1e6, 0.0), Stage("conv", 5e6, 3e6))
    plan = MemoryPlan(2_000_000, stages, spooled=2_000_000)
    assert str(plan) == "at most 5.0 MB, at conv, and 5.0 MB of files, on 2.0 MB of inputs"


def test_a_plan_counts_the_file_of_an_iterator():
    """Once, as the dtype of the run, whether or not anything else is on disk."""
    network = residual()
    x = images(network, 40).astype(np.float32)
    plans = [memory_plan(network, iter([x]), adaround(), cache=c) for c in ("memory", "disk")]
    double = 2 * x.nbytes
    disk = Disk()
    quantize(network, iter([x]), adaround(), steps=1, cache=disk)
    assert [plan.inputs for plan in plans] == [double, double]
    assert [plan.disk for plan in plans] == [double, disk.peak()]


def test_what_quantize_refuses_a_plan_refuses():
    """And tracing is switched off again."""
    with pytest.raises(ValueError, match=r"memory_plan.*n >= 1"):
        memory_plan(residual(), images(residual())[:0])
    with pytest.raises(ValueError, match=r"memory_plan\(\): dtype is 'int8'"):
        memory_plan(residual(), images(residual()), adaround(), dtype="int8")
    with pytest.raises(ValueError, match="weight_bits"):
        memory_plan(residual(), images(residual()), adaround(), weight_bits=1)
    assert not tracemalloc.is_tracing()
    tracemalloc.start()
    memory_plan(residual(), images(residual()), adaround())
    assert tracemalloc.is_tracing()
    tracemalloc.stop()


def test_a_mapped_file_gives_the_bits_of_the_array(tmp_path):
    """Read-only, and never read as a whole: a run takes no more than its own peak."""
    network = residual()
    x = images(network, 50)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert type(mapped) is np.memmap
    a, b = (quantize(network, value, adaround(), steps=3) for value in (x, mapped))
    assert bits_of(a) == bits_of(b) and a.run_id == b.run_id


def test_inputs_in_the_dtype_of_the_run_are_not_copied():
    """Large inputs, a small network: the run takes less than they do."""
    network, setting = dense(sizes=(400, 3, 2)), replace(gram_setting(), activations=None)
    x = images(network, 15000)  # 48 MB
    assert taken(network, x, setting, 2) < 0.5 * x.nbytes


@pytest.mark.parametrize("name", GROWING)
def test_nothing_grows_but_labels_and_numbers(name):
    """On disk, and from batches: 24 bytes an input at most, of which one takes 256."""
    network, setting = residual(), GROWING[name]
    quantize(network, images(network, 8), adaround(), steps=1)
    peaks = [
        taken(network, (images(network, 64, k) for k in range(n)), setting, 1, cache="disk")
        for n in (8, 18)
    ]
    assert peaks[1] - peaks[0] <= 10 * 64 * 24


def test_batches_are_checked_one_by_one():
    """An iterator gives the name of the array; one that is used up is refused."""
    network = residual()
    x = images(network, 23)
    batches = iter([x[:10], x[10:11], x[11:]])
    assert quantize(network, batches, adaround(), steps=2).run_id == (
        quantize(network, x, adaround(), steps=2).run_id
    )
    with pytest.raises(ValueError, match="x is an empty iterator"):
        quantize(network, batches, adaround(), steps=2)
    with pytest.raises(ValueError, match="nan at index"):
        quantize(network, iter([x, x * np.nan]), adaround(), steps=2)
    with pytest.raises(TypeError, match="x is list"):
        quantize(network, iter([x.tolist()]), adaround(), steps=2)
