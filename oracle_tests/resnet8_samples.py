"""A network of ResNet-8's layout with few channels and random weights, as Keras would save it."""

import numpy as np

from refquant import numerics as nx
from refquant._types import Array

CHANNELS = (4, 8, 8)  # of the three blocks; MLPerf Tiny's has (16, 32, 64)
PAIRS = ((3, 0, 3), (0, 0, 3), (0, 0, 3), (0, 1, 3), (1, 1, 3), (0, 1, 1), (1, 2, 3), (2, 2, 3))
LAST = (1, 2, 1)


def weights(seed: int = 0) -> dict[str, Array]:
    """Return parameters by Keras's names, float32, in Keras's layouts."""
    found: dict[str, Array] = {}
    for index, (before, behind, kernel) in enumerate((*PAIRS, LAST)):
        name = f"conv2d_{index}" if index else "conv2d"
        c_in = 3 if index == 0 else CHANNELS[before]
        shape = (kernel, kernel, c_in, CHANNELS[behind])
        found[f"{name}/kernel"] = draw(seed, name, shape) / np.float32(kernel * 2)
        found[f"{name}/bias"] = draw(seed, f"{name}.bias", shape[3:])
    for index, channels in enumerate(CHANNELS[i] for i in (0, 0, 0, 1, 1, 2, 2)):
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        for part in ("gamma", "beta", "moving_mean"):
            found[f"{name}/{part}"] = draw(seed, f"{name}.{part}", (channels,))
        variance = draw(seed, f"{name}.variance", (channels,))
        found[f"{name}/moving_variance"] = np.abs(variance) + np.float32(0.5)
    found["dense/kernel"] = draw(seed, "dense", (CHANNELS[2], 10))
    found["dense/bias"] = draw(seed, "dense.bias", (10,))
    return found


def draw(seed: int, name: str, shape: tuple[int, ...]) -> Array:
    """Return normal numbers in float32."""
    return nx.counter.normal((seed, "resnet8", name), shape).astype(np.float32)


def images(count: int, seed: int = 0) -> Array:
    """Return uint8 images (count, 3, 32, 32)."""
    return nx.counter.integers((seed, "images"), 256, (count, 3, 32, 32)).astype(np.uint8)
