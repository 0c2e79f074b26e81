"""Carry the calibration set forward through a network, one unit at a time.

Reconstruction needs each unit's inputs twice: as the float network makes them, and as the part
quantized so far makes them. A `Prefix` holds the edges that are still needed, and moves on when
the next unit is due; by then the units before it are finished.

Samples go through in chunks, which bounds the memory of im2col. The cut changes no bit in pinned
arithmetic and where sums are exact; elsewhere BLAS may round a last bit differently.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from refquant._types import Array
from refquant.network.graph import INPUT, Key, Network
from refquant.network.run import evaluate
from refquant.storage import MEMORY, Storage

CHUNK = 128  # samples in one pass, at most
ROOM = 2**20  # bytes of the widest edge that a pass starts from; its patches take a few times that
NO_PARAMS: Mapping[Key, Array] = {}


@dataclass(frozen=True)
class Prefix:
    """Values on the live edges, the names of the nodes that have run, and where values are kept."""

    values: Mapping[str, Array]
    done: frozenset[str] = frozenset()
    storage: Storage = MEMORY


def start(x: Array, storage: Storage = MEMORY) -> Prefix:
    """Return the prefix in which nothing has run: only the input is known."""
    return Prefix({INPUT: x}, storage=storage)


def advance(
    prefix: Prefix,
    network: Network,
    edges: Collection[str],
    params: Mapping[Key, Array] = NO_PARAMS,
) -> Prefix:
    """Run what is missing until all of `edges` have values, and drop the edges nobody needs.

    Parameters
    ----------
    prefix : Prefix
    network : Network
        Always the same graph; only its parameters may have changed since the last call. A node
        that has run is not run again.
    edges : collection of str
        Inputs of the unit that is due.
    params : mapping
        Parameters in place of the network's own, as `forward` takes them.
    """
    done = prefix.done | _leading_to(network, edges)
    unread = {edge for node in network.nodes if node.name not in done for edge in node.inputs}
    known = (INPUT, *(node.name for node in network.nodes if node.name in done))
    live = [edge for edge in known if edge in unread or edge in edges]
    kept = {edge: prefix.values[edge] for edge in live if edge in prefix.values}
    fresh = [edge for edge in live if edge not in kept]
    found = values_at(network, prefix.values, fresh, params, prefix.storage)
    return replace(prefix, values=kept | found, done=done)


def values_at(
    network: Network,
    inputs: Mapping[str, Array],
    edges: Collection[str],
    params: Mapping[Key, Array] = NO_PARAMS,
    storage: Storage = MEMORY,
) -> dict[str, Array]:
    """Return the values of `edges` for all samples, computed from those of `inputs`."""
    parts = (evaluate(network, chunk, edges, params) for chunk in chunks(inputs))
    return storage.keep(parts, count(inputs))


def chunks(values: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Yield the samples of all edges, a chunk at a time."""
    for rows in slices(values):
        yield {edge: value[rows] for edge, value in values.items()}


def slices(values: Mapping[str, Array]) -> Iterator[slice]:
    """Yield the rows of each chunk: at most `CHUNK` samples, and not much more than `ROOM`."""
    samples, widest = count(values), max(value[:1].nbytes for value in values.values())
    size = min(CHUNK, max(1, ROOM // max(widest, 1)))
    for begin in range(0, samples, size):
        yield slice(begin, begin + size)


def count(values: Mapping[str, Array]) -> int:
    """Return the number of samples."""
    return len(next(iter(values.values())))


def _leading_to(network: Network, edges: Collection[str]) -> set[str]:
    """Return the nodes that `edges` depend on."""
    needed = set(edges)
    for node in reversed(network.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return needed - {INPUT}
