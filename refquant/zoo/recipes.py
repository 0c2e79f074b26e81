"""How each network of the zoo is trained: the settings as data, one entry a network.

The settings were chosen on the validation cut of the training part (`digits.validation_cut`), by
accuracy of several other seeds there, and not changed after the test part had been looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from refquant.network.graph import Network
from refquant.zoo.mlp import digits_mlp
from refquant.zoo.mobilenet import digits_mobilenet
from refquant.zoo.regnet import digits_regnet
from refquant.zoo.resnet import digits_resnet

COPIES = (1, 2, 3)  # seeds; copy k of a network is trained from seed k


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that training depends on besides the data and the seed.

    Attributes
    ----------
    build : function of a seed to Network
        The architecture with random weights.
    epochs, batch : int
        Passes over the training part; images a step (a last incomplete batch is left out).
    lr : float
        Step size of the first step; it falls to 0 along half a cosine.
    momentum : float
        Of stochastic gradient descent.
    decay : float
        Weight decay: decay * w is added to the gradient of weights (not of biases, gamma, beta).
    shift : int
        Each image is moved by up to so many eighths of a pixel, see `refquant.zoo.shift`.
    statistics : float
        Share of the new batch in the running mean and variance of batch norm.
    slices : int
        Of the pinned products, see `refquant.numerics`.
    """

    build: Callable[[int], Network]
    epochs: int
    batch: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4
    shift: int = 4
    statistics: float = 0.1
    slices: int = 2


RECIPES: Mapping[str, Recipe] = {
    "digits-resnet": Recipe(build=digits_resnet, epochs=24),
    "digits-mobilenet": Recipe(build=digits_mobilenet, epochs=24),
    "digits-regnet": Recipe(build=digits_regnet, epochs=36, batch=32, lr=0.05),
    "digits-mlp": Recipe(build=digits_mlp, epochs=100),
}
