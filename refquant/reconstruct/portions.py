"""Run a batch through a unit a few samples at a time: less memory, and what is made stays cached.

Every loss is a mean over samples, so that the gradient of a batch is the mean of those of its
portions, each weighted by its samples. In exact arithmetic nothing changes; in pinned arithmetic
the batch stays whole, because the order of its sums is part of the result, and runs node by node.
In fast arithmetic the parts of a layer are one node where a kernel computes them at once (`join`),
and scale and shift of an output are in the filter and the bias before them (`folded`).

A portion is so large that the widest value a sample has on the unit's edges, the patches of some
convolution or the tiles of its kernel, takes about `BYTES` for all its samples.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network.graph import Key
from refquant.network.join import brought, homes, returned
from refquant.network.run import backward, forward
from refquant.reconstruct.folded import foldable, folded, unfolded
from refquant.reconstruct.objective import loss_and_cotangents
from refquant.reconstruct.task import UnitTask

BYTES = 2**21  # what a node makes beside it stays in the cache with it


def loss_and_gradients(
    task: UnitTask,
    values: Mapping[str, Array],
    indices: Array,
    params: Mapping[Key, Array],
    owners: Collection[str],
) -> tuple[float, dict[Key, Array]]:
    """Return the loss of a batch, and its gradient in the parameters of `owners`.

    Parameters
    ----------
    task : UnitTask
    values : mapping of edge name to array
        What the unit reads, for every sample of the batch.
    indices : (batch,) array
        Their numbers among the calibration samples.
    params : mapping of (node, parameter) to array
        In place of the network's own. A ``share`` has a row for every sample, or none.
    owners : collection of str
        Nodes whose parameters are wanted.
    """
    total, grads = 0.0, dict[Key, Array]()
    fast = nx.current().mode == "fast"
    layers = foldable(params, owners, task.network.params) if fast else {}
    task = task.joined if fast else task
    nodes, home = task.network.nodes, homes(task.network.nodes)
    params = brought(folded(params, layers), nodes)
    owners = {home.get(owner, owner) for owner in owners}
    for rows in portions(task, indices):
        part = {edge: value[rows] for edge, value in values.items()}
        own = {key: v[rows] if key[1] == "share" and v.ndim else v for key, v in params.items()}
        trace = forward(task.network, part, task.nodes, own, keep=task.sites)
        goal = task.goal(indices[rows])
        loss, cotangents = loss_and_cotangents(trace.values, goal, task.unit, task.phase.terms)
        pulled = backward(task.network, trace, cotangents, owners=owners).params
        weight = len(indices[rows]) / len(indices)
        total += weight * loss
        for key, value in pulled.items():
            share = np.asarray(weight * value)
            grads[key] = np.add(grads[key], share, out=grads[key]) if key in grads else share
    return total, unfolded(returned(grads, nodes), layers)


def portions(task: UnitTask, indices: Array) -> Iterator[slice]:
    """Yield the rows of the batch that run together; all at once unless arithmetic is fast."""
    size = len(indices)
    if nx.current().mode == "fast":
        count = max(1, round(size / max(1, BYTES // task.widest)))
        size = -(-size // count)  # portions alike, rather than a small last one
    for start in range(0, len(indices), size):
        yield slice(start, start + size)
