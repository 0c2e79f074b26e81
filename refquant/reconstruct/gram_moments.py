"""The quadratic of a layer, summed over all calibration inputs in chunks of bounded size.

    columns   what the product reads: patches of the unit's input, quantized in front of it or not
    targets   the product in the float network

QDrop's input drop is a choice between two values, made independently for every element, so the
expected error is exact (methods.md 10; P76): the columns are the expected ones, and the variance of
each entry goes onto the diagonal. Within one column no element occurs twice, so its entries are
independent also where patches overlap.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.kernels.gram_sums import add_columns, no_sums
from refquant.network.run import evaluate
from refquant.optimal.layer_quadratic import Quadratic, column_moments, from_sums, merged
from refquant.reconstruct.model import State
from refquant.reconstruct.prefix import count
from refquant.reconstruct.task import UnitTask

BYTES = 4 << 20  # of the columns of one chunk, which holds at least one sample


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
    product = f"{task.unit.layers[0]}.product"
    groups = task.network.node(product).attr("groups")
    for rows in sample_slices(task):
        real = {edge: value[rows] for edge, value in task.float_inputs.items()}
        cols, spread = _expected(_outcomes(task, own, rows))
        y = evaluate(task.float_network, real, (product,))[product]
        wide = None if spread is None else by_group(spread, groups)
        yield Chunk(by_group(cols, groups), by_group(y, groups), wide)


def sample_slices(task: UnitTask) -> list[slice]:
    """Return the samples of each chunk."""
    patches = f"{task.unit.layers[0]}.patches"
    one = {edge: value[:1] for edge, value in task.float_inputs.items()}
    bytes_each = evaluate(task.float_network, one, (patches,))[patches].nbytes
    size = max(1, BYTES // bytes_each)
    return [slice(begin, begin + size) for begin in range(0, count(task.inputs), size)]


def by_group(values: Array, groups: int) -> Array:
    """Return (n, c, ...) as columns (groups, c / groups, n * ...), contiguous."""
    n, c = values.shape[:2]
    columns = values.reshape(n, c, -1).swapaxes(0, 1).reshape(groups, c // groups, -1)
    return np.ascontiguousarray(columns)


def _outcomes(task: UnitTask, own: State, rows: slice) -> list[tuple[float, Array]]:
    """Return the values that the columns of some samples may take, with their probabilities."""
    product = task.network.node(f"{task.unit.layers[0]}.product")
    (edge,) = product.inputs
    (source,) = task.network.node(edge).inputs
    quantized = task.network.node(edge).op == "quantize"
    keep = {mix.at: mix.keep for mix in task.phase.mix}
    enter, drop = keep.get("input", 1.0), keep.get("quantizers", 1.0) if quantized else 1.0
    found = []
    for share, inputs in ((enter, task.inputs), (1.0 - enter, task.float_inputs)):
        if share > 0.0:
            part = {name: value[rows] for name, value in inputs.items()}
            edges = (edge,) if drop == 1.0 else (edge, source)
            values = evaluate(task.network, part, edges, own)
            found.append((share * drop, values[edge]))
            if drop < 1.0:
                found.append((share * (1.0 - drop), values[source]))
    return [(share, value) for share, value in found if share > 0.0]


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
