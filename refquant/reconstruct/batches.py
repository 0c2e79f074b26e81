"""Which samples a step sees, and how its inputs are mixed: all drawn from the counter generator.

Every draw is keyed by (seed, "batch" or "mix", phase, unit, step, ...), so it depends on nothing
that ran before, and a run that is resumed draws what it would have drawn.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.methods.setting import Mix

KeyPart = int | str


def batch_indices(key: tuple[KeyPart, ...], count: int, batch: int, sampling: str) -> Array:
    """Return the sample numbers of one step, int64 of shape (min(batch, count),).

    "permutation": a fresh random order, its first entries, no repeats (BRECQ).
    "with_replacement": independent draws (QDrop).
    """
    size = min(batch, count)
    if sampling == "permutation":
        return nx.counter.permutation((*key, "batch"), count)[:size]
    return nx.counter.integers((*key, "batch"), count, (size,))


def mixed_inputs(
    key: tuple[KeyPart, ...],
    quantized: Mapping[str, Array],
    real: Mapping[str, Array],
    indices: Array,
    mixes: Sequence[Mix],
) -> dict[str, Array]:
    """Return the unit's inputs for one step: quantized ones, or mixed with real ones."""
    at_input = [mix for mix in mixes if mix.at == "input"]
    values = {edge: value[indices] for edge, value in quantized.items()}
    for mix in at_input:
        for number, edge in enumerate(values):
            share = _share((*key, "mix", number), mix, values[edge])
            values[edge] = share * values[edge] + (1.0 - share) * real[edge][indices]
    return values


def _share(key: tuple[KeyPart, ...], mix: Mix, like: Array) -> Array:
    """Return the weight of the quantized value, elementwise."""
    if mix.rule == "bernoulli":
        return nx.counter.bernoulli(key, mix.keep, like.shape).astype(like.dtype)
    return np.asarray(nx.counter.uniform(key, like.shape), dtype=like.dtype)
