"""The zoo's names, and what stands behind them: data sets and networks with embedded weights.

A network is called ``"digits-resnet:2"``: an architecture and the copy, trained from that seed.
Without a copy, ``"digits-resnet"`` is copy 1. Weights are stored as one float32 vector a network,
the parameters one after the other in the order of the architecture; float64 is an exact upcast.
"""

from typing import NamedTuple

import numpy as np

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.network.graph import Key, Network
from refquant.zoo.digits import Data, digits
from refquant.zoo.files import read_array
from refquant.zoo.recipes import COPIES, RECIPES, Recipe

DATA = {"digits": digits}
DTYPES = ("float64", "float32")


class Entry(NamedTuple):
    """A network of the zoo: its architecture, and the seed it is trained from."""

    architecture: str
    seed: int

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return RECIPES[self.architecture]

    @property
    def name(self) -> str:
        """Its full name, ``architecture:seed``."""
        return f"{self.architecture}:{self.seed}"

    @property
    def file(self) -> str:
        """Name of its embedded file."""
        return f"{self.architecture}-{self.seed}.npy"


def names() -> tuple[str, ...]:
    """Return the full names of all networks, copy by copy."""
    return tuple(Entry(architecture, seed).name for architecture in RECIPES for seed in COPIES)


def entry(name: str, function: str = "zoo.load") -> Entry:
    """Return what `name` stands for; ValueError with the nearest known name otherwise."""
    check_in(function, "name", name, (*RECIPES, *names()))
    architecture, _, copy = name.partition(":")
    return Entry(architecture, int(copy or COPIES[0]))


def data(name: str = "digits") -> Data:
    """Return a data set: `.train`, `.calib` (images of train without labels) and `.test`.

    Each part has `.x`, float32 (n, c, h, w) in [0, 1], and `.y`, int64 (n,); `calib.y` is None.
    Test images serve for reporting only.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    return DATA[check_in("zoo.data", "name", name, DATA)]()


def load(name: str, dtype: str = "float64") -> Network:
    """Return a network with its embedded, trained weights.

    Parameters
    ----------
    name : str
        One of `names()`, or an architecture alone for its first copy.
    dtype : {"float64", "float32"}
        Of the parameters. Stored are float32, so both hold the same numbers.

    Returns
    -------
    Network
        Called by its full name, with batch norm unfolded.

    Raises
    ------
    ValueError
        If the name or the dtype is unknown, or the embedded file is damaged.
    """
    found = entry(name)
    check_in("zoo.load", "dtype", dtype, DTYPES)
    return unflatten(found, read_array(found.file).astype(dtype))


def flatten(network: Network) -> Array:
    """Return all parameters as one vector, in the order of the architecture."""
    return np.concatenate([value.reshape(-1) for value in network.params.values()])


def unflatten(found: Entry, vector: Array) -> Network:
    """Return the network of `found` with parameters from `vector`, the inverse of `flatten`.

    Raises
    ------
    ValueError
        If the vector has another length than the architecture has parameters.
    """
    blank = found.recipe.build(found.seed)
    sizes = [value.size for value in blank.params.values()]
    if vector.shape != (sum(sizes),):
        got, expected = f"of shape {vector.shape}", f"{(sum(sizes),)} for {found.name}"
        raise ValueError(complaint("unflatten", "vector", got, expected))
    params: dict[Key, Array] = {}
    start = 0
    for (key, value), size in zip(blank.params.items(), sizes, strict=True):
        params[key] = vector[start : start + size].reshape(value.shape)
        start += size
    return Network(found.name, blank.input_shape, blank.nodes, params, blank.blocks)
