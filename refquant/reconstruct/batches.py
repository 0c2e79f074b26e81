"""Which samples a step sees, and how its inputs are mixed: all drawn from the counter generator.

Every draw is keyed by (seed, phase, unit, step, "batch" or "mix", ...), so it depends on nothing
that ran before, and a run that is resumed draws what it would have drawn.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.methods.setting import Mix

Key = tuple[int | str, ...]


def batch_indices(key: Key, count: int, batch: int, sampling: str) -> Array:
    """Return the sample numbers of one step, int64.

    "permutation": a fresh random order, its first min(batch, count) entries, no repeats (BRECQ).
    "with_replacement": `batch` independent draws (QDrop).
    """
    if sampling == "permutation":
        return nx.counter.permutation((*key, "batch"), count)[:batch]
    return nx.counter.integers((*key, "batch"), count, (batch,))


def mixed_inputs(
    key: Key,
    quantized: Mapping[str, Array],
    real: Mapping[str, Array],
    indices: Array,
    mixes: Sequence[Mix],
) -> dict[str, Array]:
    """Return the unit's inputs for one step: quantized ones, or mixed with real ones.

    keep * quantized + (1 - keep) * real, with a weight for every element of the batch
    (methods.md 10.1): 0 or 1 under "bernoulli", uniform in [0, 1) under "uniform".
    """
    values = {edge: value[indices] for edge, value in quantized.items()}
    for number, mix in enumerate(mixes):
        if mix.at != "input":
            continue
        for place, (edge, value) in enumerate(values.items()):
            draw = (*key, "mix", number, place)
            values[edge] = mixed(draw, mix, value, real[edge][indices])
    return values


def mixed(key: Key, mix: Mix, quantized: Array, real: Array) -> Array:
    """Return one edge's values, each element drawn from `key`."""
    if mix.rule == "bernoulli":
        return np.where(nx.counter.bernoulli(key, mix.keep, real.shape), quantized, real)
    keep = nx.counter.uniform(key, real.shape).astype(real.dtype)
    return keep * quantized + (1.0 - keep) * real
