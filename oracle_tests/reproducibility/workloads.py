"""The registry: what the reproducibility battery computes, one line a workload.

A workload is a function without arguments that returns an array or an iterable of arrays;
it runs inside the arithmetic of the battery and must not enter another. To add one, write
the function here (or import it) and add its line to `WORKLOADS`. Keep the whole battery
under five seconds.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from oracle_tests.reproducibility.operands import decades, large_cases, matmul_cases, real
from refquant import numerics as nx
from refquant import zoo
from refquant._types import Array
from refquant.network.training import training_mode
from refquant.pipeline import quantize
from refquant.zoo.recipes import RECIPES
from refquant.zoo.step import initial_state, train_step

Run = Callable[[], Array | Iterable[Array]]


@dataclass(frozen=True)
class Workload:
    """A named computation and the slice counts it runs with in pinned arithmetic."""

    name: str
    run: Run
    slices: tuple[int, ...] = (2,)


def _arguments() -> Array:
    """Return numbers of every size and sign, and the special ones."""
    edges = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 709.9, -745.2, -708.5, 5e-324, 1e308, -1e-310]
    special = [np.inf, -np.inf, np.nan, *edges]
    spread = [real("x", 20000), 30.0 * real("30x", 20000), 740.0 * real("740x", 20000)]
    return np.concatenate([special, *spread, decades("x", 20000)])


def _elementwise(function: Callable[[Array], Array]) -> Iterable[Array]:
    x = _arguments()
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    return function(x), function(single)


def _positive(function: Callable[[Array], Array]) -> Iterable[Array]:
    return _elementwise(lambda x: function(np.abs(x)))


def _powers() -> Iterable[Array]:
    x = _arguments()
    return [nx.power(np.abs(x), p) for p in (0.5, 2, 2.4, 3.0, -1.5)] + [nx.power(x, 3)]


def _sums() -> Iterable[Array]:
    x = decades("sums", 12, 7, 15, 13)
    yield from (nx.sum(x, axis) for axis in (None, 0, 3, (0, 2, 3), (1, 3)))
    yield nx.sum(x.astype(np.float32), (0, 2))
    yield nx.sum(x[::-1, :, ::2].transpose(3, 1, 0, 2), (1, 3), keepdims=True)
    yield nx.sum(np.array([[1.0, np.inf], [-np.inf, np.inf], [np.nan, 0.0]]), 1)
    yield nx.mean(x, (0, 1))


def _softmax() -> Iterable[Array]:
    x = 20.0 * real("logits", 500, 11)
    x[0, 3], x[1, 4], x[2, 5] = -np.inf, np.inf, np.nan
    for function in (nx.softmax, nx.log_softmax):
        yield from (function(x), function(x, axis=0), function(x.astype(np.float32)))


def _cos() -> Array:
    return nx.cos(np.concatenate([[0.0, np.inf, np.nan], 13.0 * real("cos", 20000)]))


def _normal() -> Array:
    return nx.counter.normal((0, "normal"), 5000)


def _training_epoch() -> Iterable[Array]:
    """One epoch of digits-mlp from random weights, the steps of the zoo's trainer."""
    recipe, split = RECIPES["digits-mlp"], zoo.data("digits").train
    network = recipe.build(1)
    training, state = training_mode(network), initial_state(network)
    order = nx.counter.permutation((1, "epoch"), len(split.x))
    x, y = split.x.astype(np.float64), np.asarray(split.y)
    for begin in range(0, len(order) - recipe.batch + 1, recipe.batch):
        rows = order[begin : begin + recipe.batch]
        state, loss = train_step(training, state, x[rows], y[rows], recipe.lr, recipe)
        yield np.array([loss])
    yield from state.params.values()


def _adaround() -> Iterable[Array]:
    """AdaRound, 150 steps a layer on digits-mlp: codes, alpha, steps and losses."""
    x = zoo.data("digits").calib.x[:256]
    result = quantize(zoo.load("digits-mlp"), x, "adaround", weight_bits=2, steps=150)
    for layer, record in zip(result.layers.values(), result.history, strict=True):
        yield from (layer.codes, layer.s_w, np.asarray(layer.alpha), np.array(record.loss))
    yield result.network(x)


def _gram(method: str) -> Iterable[Array]:
    """A method of the Gram solver on digits-mlp: codes, decided alpha, steps and losses."""
    x = zoo.data("digits").calib.x  # all: with a quarter the solver warns of few samples
    network = zoo.load("digits-mlp")
    result = quantize(network, x, method, weight_bits=2, act_bits=3, steps=60)
    for layer, record in zip(result.layers.values(), result.history, strict=True):
        yield from (layer.codes, layer.s_w, np.asarray(layer.alpha), np.array(record.loss))
    yield result.network(x)


def _products() -> list[Workload]:
    cases = matmul_cases() | large_cases()
    return [
        Workload(f"matmul {name}", partial(nx.matmul, a, b), (1, 2, 3))
        for name, (a, b) in cases.items()
    ]


def _elementary() -> list[Workload]:
    functions = (nx.exp, nx.sigmoid, nx.tanh)
    of_positive = (nx.log, nx.log2)
    return [Workload(f.__name__, partial(_elementwise, f)) for f in functions] + [
        Workload(f.__name__, partial(_positive, f)) for f in of_positive
    ]


WORKLOADS: tuple[Workload, ...] = (
    *_products(),
    *_elementary(),
    Workload("power", _powers),
    Workload("cos", _cos),
    Workload("sum", _sums),
    Workload("softmax", _softmax),
    Workload("normal", _normal),
    Workload("training epoch", _training_epoch),
    Workload("adaround", _adaround),
    Workload("adaround-gram", partial(_gram, "adaround-gram")),
    Workload("nearest-plane", partial(_gram, "nearest-plane")),
)
