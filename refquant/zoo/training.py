"""Train a network of the zoo from its seed, and check that the embedded weights come out again.

Stochastic gradient descent over shuffled batches, each image moved by a pixel or so, the step size
falling along half a cosine:

    lr(t) = lr / 2 * (1 + cos(pi * t / steps)),   t = 0 .. steps - 1

Everything runs in pinned arithmetic, which this module enters itself, and every random choice
comes from the counter generator, so the weights are the same bits on any machine. They are rounded
to float32 once, at the end.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network.graph import Network, replace_params
from refquant.network.training import training_mode
from refquant.zoo.catalogue import data, entry, flatten, load, unflatten
from refquant.zoo.digits import Split
from refquant.zoo.recipes import Recipe
from refquant.zoo.shift import shifted
from refquant.zoo.step import initial_state, train_step

Progress = Callable[..., Any]  # called like tqdm.tqdm: (iterable, desc=...) -> iterable


@dataclass(frozen=True)
class Check:
    """Outcome of `check`: true in an if where the retrained weights are the embedded ones."""

    name: str
    same: bool
    differing: int  # how many of the weights differ
    trained: str  # SHA-256 of the retrained weights
    embedded: str  # SHA-256 of the embedded weights

    def __bool__(self) -> bool:
        return self.same


def train(name: str, progress: Progress | None = None) -> Network:
    """Train one network of the zoo from the beginning, on the 1,024 training images.

    Parameters
    ----------
    name : str
        As for `refquant.zoo.load`.
    progress : function like ``tqdm.tqdm``, optional
        Wraps the iteration over epochs.

    Returns
    -------
    Network
        float64, equal to ``load(name)`` bit for bit.
    """
    found = entry(name, "zoo.train")
    trained = fit(found.recipe.build(found.seed), data().train, found.recipe, found.seed, progress)
    return unflatten(found, flatten(trained).astype(np.float32).astype(np.float64))


def check(name: str, progress: Progress | None = None) -> Check:
    """Train a network again and compare every weight with the embedded one, bit for bit."""
    stored, again = flatten(load(name)), flatten(train(name, progress))
    digests = digest(again), digest(stored)
    return Check(
        name=entry(name).name,
        same=digests[0] == digests[1],
        differing=int(np.count_nonzero(again != stored)),
        trained=digests[0],
        embedded=digests[1],
    )


def digest(weights: Array) -> str:
    """Return the SHA-256 of a vector of weights as little-endian float32 bytes."""
    return hashlib.sha256(weights.astype("<f4").tobytes()).hexdigest()


def fit(
    network: Network,
    split: Split,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
) -> Network:
    """Return `network` trained on `split` by `recipe`, in pinned arithmetic.

    Parameters
    ----------
    network : Network
        With its initial weights, float64.
    split : Split
        Images and labels; at least one batch of them.
    recipe : Recipe
    seed : int
        Of the order and the shifts of the images.
    progress : function like ``tqdm.tqdm``, optional
    """
    x, y = split.x.astype(np.float64), np.asarray(split.y)
    steps = len(x) // recipe.batch
    training = training_mode(network)
    epochs = range(recipe.epochs)
    with nx.arithmetic("pinned", slices=recipe.slices):
        state = initial_state(network)
        for epoch in epochs if progress is None else progress(epochs, desc=network.name):
            order = nx.counter.permutation((seed, "zoo.order", epoch), len(x))
            moved = shifted(x, recipe.shift, (seed, "zoo.shift", epoch))
            for i in range(steps):
                rows = order[i * recipe.batch : (i + 1) * recipe.batch]
                lr = cosine(recipe.lr, epoch * steps + i, recipe.epochs * steps)
                state, _ = train_step(training, state, moved[rows], y[rows], lr, recipe)
    return replace_params(network, state.params)


def cosine(lr: float, step: int, steps: int) -> float:
    """Return the step size lr / 2 * (1 + cos(pi * step / steps))."""
    return float(lr / 2.0 * (1.0 + nx.cos(np.array([pi * step / steps]))[0]))
