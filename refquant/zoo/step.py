"""One step of training: forward, softmax cross-entropy, backward, momentum.

    v <- momentum * v + (dL/dw + decay * w)          w <- w - lr * v
    mean <- mean + share * (mean_batch - mean)       var likewise

    here       meaning
    v          velocity, one array for each parameter with a gradient
    share      `Recipe.statistics`
    decay      on weights `w` only; biases, gamma and beta are left free

I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
2013 (with the step size outside the velocity, as is usual since).
S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167, for the statistics.
Differs from torch: the running variance averages the population variance of the batch, not the
one divided by n - 1.
"""

from typing import NamedTuple

import numpy as np

from refquant._types import Array
from refquant.layers.softmax_cross_entropy import (
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from refquant.network.graph import Key, Network
from refquant.network.run import Trace, backward, forward
from refquant.zoo.recipes import Recipe

STATISTICS = ("mean", "var")


class State(NamedTuple):
    """What training carries from step to step: all parameters, and the velocities."""

    params: dict[Key, Array]
    velocity: dict[Key, Array]


def initial_state(network: Network) -> State:
    """Return the network's own parameters and velocities of zero."""
    learned = {key: p for key, p in network.params.items() if key[1] not in STATISTICS}
    return State(dict(network.params), {key: np.zeros_like(p) for key, p in learned.items()})


def train_step(
    network: Network, state: State, x: Array, y: Array, lr: float, recipe: Recipe
) -> tuple[State, float]:
    """Return the state after one step, and the loss before it.

    Parameters
    ----------
    network : Network
        In `refquant.network.training_mode`.
    state : State
    x : array (n, c, h, w)
    y : int array (n,)
    lr : float
        Step size of this step.
    recipe : Recipe
    """
    trace = forward(network, x, params=state.params)
    loss, cache = softmax_cross_entropy_forward(trace.values[network.output], y)
    d_logits = softmax_cross_entropy_backward(1.0, cache)
    grads = backward(network, trace, {network.output: d_logits}).params
    params, velocity = dict(state.params), {}
    for key, v in state.velocity.items():
        w = state.params[key]
        pull = grads[key] + recipe.decay * w if key[1] == "w" else grads[key]
        velocity[key] = recipe.momentum * v + pull
        params[key] = w - lr * velocity[key]
    params |= _running_statistics(network, trace, state.params, recipe.statistics)
    return State(params, velocity), float(loss)


def _running_statistics(
    network: Network, trace: Trace, params: dict[Key, Array], share: float
) -> dict[Key, Array]:
    moved = {}
    for node in network.nodes:
        if node.op == "batch_norm_train":
            cache = trace.caches[node.name]
            for name, batch in (("mean", cache.mean), ("var", cache.var)):
                old = params[(node.name, name)]
                moved[(node.name, name)] = old + share * (batch.reshape(old.shape) - old)
    return moved
