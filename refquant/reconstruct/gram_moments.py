"""The quadratic of a layer, summed over all calibration inputs in chunks of bounded size.

    columns   what the product reads: patches of the unit's input, quantized in front of it or not
    targets   the product in the float network

QDrop's input drop is a choice between two values, made independently for every element, so the
expected error is exact (methods.md 10; P76): the columns are the expected ones, and the variance of
each entry goes onto the diagonal. Within one column no element occurs twice, so its entries are
independent also where patches overlap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.gram_sums import add_columns, no_sums
from refquant.network import Node
from refquant.network.ops import OPS
from refquant.optimal.layer_quadratic import (
    Quadratic,
    by_group,
    column_moments,
    from_sums,
    merged,
)
from refquant.reconstruct.model import State, weight_of
from refquant.reconstruct.prefix import CHUNK, count
from refquant.reconstruct.task import UnitTask

BYTES = 4 << 20  # of the columns of one chunk, which holds 1 to `CHUNK` samples


class Chunk(NamedTuple):
    """Columns (g, d, m), targets (g, o, m), and the variance of the columns or None."""

    cols: Array
    y: Array
    spread: Array | None


def layer_quadratic(task: UnitTask, own: State) -> Quadratic:
    """Return the quadratic of the task's layer, with its activations as they stand in `own`."""
    return total(chunks(task, own))


def total(parts: Iterator[Chunk]) -> Quadratic:
    """Return the moments of all chunks, of which there is at least one."""
    first = next(parts)
    if nx.current().mode == "pinned":
        found = column_moments(*first)
        for part in parts:
            found = merged(found, column_moments(*part))
        return found
    sums = no_sums(first.cols.shape[0], first.cols.shape[1], first.y.shape[1])
    add_columns(sums, *first)
    for part in parts:
        add_columns(sums, *part)
    return from_sums(sums)


def chunks(task: UnitTask, own: State) -> Iterator[Chunk]:
    """Yield the columns and targets of all samples, `BYTES` of columns at a time."""
    return (chunk for (chunk,) in chunks_of_each(task, (own,)))


def chunks_of_each(task: UnitTask, states: Sequence[State]) -> Iterator[list[Chunk]]:
    """Yield the same chunk of samples under several states, which share the targets."""
    layer = task.unit.layers[0]
    groups = task.network.node(f"{layer}.product").attr("groups")
    w = weight_of(task.network, layer)
    filters = w.reshape(groups, len(w) // groups, -1)
    for rows in sample_slices(task):
        found = []
        for own in states:
            outcomes = [(p, by_group(v, groups)) for p, v in _outcomes(task, own, rows)]
            found.append(_expected(outcomes))
        real = found[0][0] if _is_float(task) else by_group(_real(task, rows), groups)
        y = nx.matmul(filters, real)
        yield [Chunk(cols, y, spread) for cols, spread in found]


def first_samples(task: UnitTask, samples: int | None) -> UnitTask:
    """Return the task with its first samples alone; all of them for None."""
    if samples is None or samples >= count(task.inputs):
        return task
    inputs, real = (
        {edge: value[:samples] for edge, value in edges.items()}
        for edges in (task.inputs, task.float_inputs)
    )
    return replace(task, inputs=inputs, float_inputs=real)


def sample_slices(task: UnitTask) -> list[slice]:
    """Return the samples of each chunk."""
    size = min(CHUNK, max(1, BYTES // _real(task, slice(0, 1)).nbytes))
    return [slice(begin, begin + size) for begin in range(0, count(task.inputs), size)]


def _outcomes(task: UnitTask, own: State, rows: slice) -> list[tuple[float, Array]]:
    """Return the values that the columns of some samples may take, with their probabilities."""
    keep = {mix.at: mix.keep for mix in task.phase.mix}
    enter = keep.get("input", 1.0)
    drop = keep.get("quantizers", 1.0) if _quantizer(task) else 1.0
    found: list[tuple[float, Array]] = []
    for share, inputs in ((enter, task.inputs), (1.0 - enter, task.float_inputs)):
        (value,) = (edge[rows] for edge in inputs.values())
        if share * drop > 0.0:
            found.append((share * drop, _columns(task, own, value)))
        if share * (1.0 - drop) > 0.0:
            found.append((share * (1.0 - drop), _patches(task, value)))
    return found


def _columns(task: UnitTask, own: State, value: Array) -> Array:
    """Return what the product reads where the unit reads `value`.

    What rounds every element by itself is applied in front of the patches, which repeat them.
    """
    node = _quantizer(task)
    if node is None:
        return _patches(task, value)
    component = node.attr("component")
    params = {key[1]: v for key, v in own.items() if key[0] == node.name}
    if component.elementwise:
        return _patches(task, component.forward(value, params)[0])
    x_hat: Array = component.forward(_patches(task, value), params)[0]
    return x_hat


def _patches(task: UnitTask, value: Array) -> Array:
    node = task.network.node(f"{task.unit.layers[0]}.patches")
    columns: Array = OPS[node.op].forward(node, (value,), {})[0]
    return columns


def _quantizer(task: UnitTask) -> Node | None:
    """Return the quantizer between patches and product, if there is one that runs."""
    (edge,) = task.network.node(f"{task.unit.layers[0]}.product").inputs
    node = task.network.node(edge)
    return node if node.op == "quantize" else None


def _is_float(task: UnitTask) -> bool:
    """Return whether the columns are those of the float network, so that one copy will do."""
    same = all(value is task.float_inputs[edge] for edge, value in task.inputs.items())
    return same and _quantizer(task) is None


def _real(task: UnitTask, rows: slice) -> Array:
    (value,) = (edge[rows] for edge in task.float_inputs.values())
    return _patches(task, value)


def _expected(outcomes: list[tuple[float, Array]]) -> tuple[Array, Array | None]:
    """Return mean and variance of each entry; None where there is one outcome."""
    if len(outcomes) == 1:
        return outcomes[0][1], None
    mean = np.zeros_like(outcomes[0][1])
    for share, value in outcomes:
        mean = mean + share * value
    spread = np.zeros_like(mean)
    for share, value in outcomes:
        spread = spread + share * (value - mean) ** 2
    return mean, spread


def products(chunk: Chunk, w_hat: Array) -> Chunk:
    """Return the outputs of weights (g, o, d) as columns of their own: one group a row.

    The error of a scale and a shift of each output is a quadratic form in one number.
    """
    y0 = nx.matmul(w_hat.astype(chunk.cols.dtype), chunk.cols)
    spread = None
    if chunk.spread is not None:
        squares = (w_hat * w_hat).astype(chunk.cols.dtype)
        spread = nx.matmul(squares, chunk.spread).reshape(-1, 1, chunk.cols.shape[2])
    shape = (-1, 1, chunk.cols.shape[2])
    return Chunk(y0.reshape(shape), chunk.y.reshape(shape), spread)
