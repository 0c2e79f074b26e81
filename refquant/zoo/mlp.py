"""digits-mlp: three fully connected layers on the flattened image, without batch norm.

    y = fc(relu(fc2(relu(fc1(flatten(x))))))

The middle layer with its activation function is the only block: the first and the last layer
belong to none, as in the other networks.
"""

from math import prod

from refquant.network.graph import Network
from refquant.zoo.assemble import CLASSES, IMAGE, assemble
from refquant.zoo.parts import join, linear, plain

WIDTHS = (128, 64)


def digits_mlp(seed: int = 1) -> Network:
    """Return digits-mlp with random weights drawn from `seed`."""
    first, second = WIDTHS
    stem = join(
        plain("flat", "flatten", "input"),
        linear("fc1", "flat", prod(IMAGE), first),
        plain("fc1.relu", "relu", "fc1"),
    )
    block = join(linear("fc2", "fc1.relu", first, second), plain("fc2.relu", "relu", "fc2"))
    head = linear("fc", "fc2.relu", second, CLASSES)
    return assemble("digits-mlp", stem, {"block1": block}, head, seed)
