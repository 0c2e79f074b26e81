"""Put parts together into a network with random weights.

Initial values (He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852, eq. 10):

    w ~ normal(0, 2 / fan_in)        bias = beta = mean = 0        gamma = var = 1

with fan_in = c_in / groups * k_h * k_w, drawn from the counter generator in pinned arithmetic, so
a seed gives the same bits on any machine, whatever arithmetic the caller is in.
"""

from collections.abc import Callable
from math import prod

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network.graph import Key, Network
from refquant.zoo.parts import Conv, Part, Shape, classifier, conv_norm, join, plain

IMAGE = (1, 8, 8)  # one digit
STEM = 16  # channels of the first convolution
CLASSES = 10

MakeBlock = Callable[[str, str, Conv], Part]  # (block name, source edge, outer convolution)


def image_network(
    name: str, activation: str, plan: tuple[tuple[int, int], ...], make_block: MakeBlock, seed: int
) -> Network:
    """Return stem, blocks and classifier as a network for 8x8 images.

    Parameters
    ----------
    name : str
        Of the network.
    activation : str
        Operation after the stem, ``"relu"`` or ``"relu6"``.
    plan : tuple of (c_out, stride)
        One pair a block.
    make_block : function of (block name, source edge, `Conv`) to `Part`
        The `Conv` holds the channels in and out of the block and its stride.
    seed : int
        Of the random weights.
    """
    stem = join(
        conv_norm("stem", "input", Conv(1, STEM), "stem.bn"),
        plain("stem.relu", activation, "stem.bn"),
    )
    blocks: dict[str, Part] = {}
    source, c_in = stem.output, STEM
    for index, (c_out, stride) in enumerate(plan, start=1):
        block = f"block{index}"
        blocks[block] = make_block(block, source, Conv(c_in, c_out, stride=stride))
        source, c_in = blocks[block].output, c_out
    return assemble(name, stem, blocks, classifier(source, c_in, CLASSES), seed)


def assemble(name: str, stem: Part, blocks: dict[str, Part], head: Part, seed: int) -> Network:
    """Return the network stem -> blocks -> head with random weights drawn from `seed`.

    The stem and the head belong to no block.
    """
    whole = join(stem, *blocks.values(), head)
    members = tuple((block, part.members) for block, part in blocks.items())
    return Network(name, IMAGE, whole.nodes, initialize(whole, seed), members)


def initialize(part: Part, seed: int) -> dict[Key, Array]:
    """Return float64 initial values for every parameter of `part`, drawn from `seed`."""
    with nx.arithmetic("pinned", slices=2):
        return {key: _initial(key, shape, seed) for key, shape in part.shapes}


def _initial(key: Key, shape: Shape, seed: int) -> Array:
    node, parameter = key
    if parameter != "w":
        return np.full(shape, 1.0 if parameter in ("gamma", "var") else 0.0)
    spread = float(np.sqrt(2.0 / prod(shape[1:])))
    return nx.counter.normal((seed, "zoo.init", node), shape) * spread
