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

    sampling           batch of a step                                        released in
    permutation        the first of a fresh random order, no repeats          BRECQ, AIMET
    with_replacement   independent draws                                      QDrop, PD-Quant
    epochs             the next of an order drawn anew once it is used up     PyTorch
    blocks             one of the consecutive blocks of samples, at random    MQBench, MRECG
    cycle              these blocks in turn                                   PPQ
    full               all samples                                            onnxsim

    The last entry of `key` is the step number, from 1. A batch is shorter than `batch` where the
    samples, or those of the last block, do not suffice.
    """
    if sampling == "permutation":
        return nx.counter.permutation((*key, "batch"), count)[:batch]
    if sampling == "with_replacement":
        return nx.counter.integers((*key, "batch"), count, (batch,))
    order = np.arange(count, dtype=np.int64)
    if sampling == "full":
        return order
    blocks, turn = -(-count // batch), int(key[-1]) - 1
    if sampling == "epochs":
        order = nx.counter.permutation((*key[:-1], "epoch", turn // blocks), count)
    elif sampling == "blocks":
        turn = int(nx.counter.integers((*key, "batch"), blocks, (1,))[0])
    begin = turn % blocks * batch
    return order[begin : begin + batch]


def mixed_inputs(
    key: Key,
    quantized: Mapping[str, Array],
    real: Mapping[str, Array],
    indices: Array,
    mixes: Sequence[Mix],
    progress: float = 1.0,
) -> dict[str, Array]:
    """Return the unit's inputs for one step: quantized ones, or mixed with real ones.

    keep * quantized + (1 - keep) * real, with a weight for every element of the batch
    (methods.md 10.1), see `share`. `progress` is the share of the steps that have begun.
    """
    values = {edge: value[indices] for edge, value in quantized.items()}
    for number, mix in enumerate(mixes):
        if mix.at != "input":
            continue
        for place, (edge, value) in enumerate(values.items()):
            draw = (*key, "mix", number, place)
            values[edge] = mixed(draw, mix, value, real[edge][indices], progress)
    return values


def mixed(key: Key, mix: Mix, quantized: Array, real: Array, progress: float = 1.0) -> Array:
    """Return one edge's values, each element drawn from `key`."""
    keep = share(key, mix, real.shape, progress)
    if keep.dtype == np.bool_:  # a choice, so that neither value is rounded
        return nx.either(keep, quantized, real)
    keep = keep.astype(real.dtype)
    return keep * quantized + (1.0 - keep) * real


def share(key: Key, mix: Mix, shape: tuple[int, ...], progress: float) -> Array:
    """Return the weight of the quantized value: an array of `shape`, or () for one scalar.

    Where it is drawn to be all or nothing the array is bool.

    Parameters
    ----------
    key : tuple
        Of the draw.
    mix : Mix
        "bernoulli" gives True with probability `keep`, "uniform" any number in [0, 1), "anneal"
        one number that rises from 0 to 1 and stays there for the last `hold`; `elementwise`, True
        with that probability.
    shape : tuple of int
    progress : float
        Share of the phase's steps that have begun, in (0, 1].
    """
    if mix.rule == "bernoulli":
        return nx.counter.bernoulli(key, mix.keep, shape)
    if mix.rule == "uniform":
        return nx.counter.uniform(key, shape)
    risen = min(1.0, progress / (1.0 - mix.hold)) if mix.hold < 1.0 else 1.0
    return nx.counter.bernoulli(key, risen, shape) if mix.elementwise else np.asarray(risen)
