"""A network with every kind of reader, and what every redistribution must keep."""

from dataclasses import replace

import numpy as np

from oracle_tests.network_samples import POINT, conv, plain
from refquant.layers.geometry import Geometry
from refquant.network import Network, replace_params

GROUPED = Geometry((3, 3), padding=(1, 1, 1, 1), groups=2)
DEPTHWISE = Geometry((3, 3), stride=(2, 2), padding=(1, 1, 1, 1), groups=6)


def sample(dtype=np.float64, seed=0, bias=True, reach=3):
    """Return grouped conv -> relu -> depthwise -> leaky -> 1x1 -> 1x1 -> flatten -> linear.

    A writer of every kind of reader: depthwise, grouped by one, a convolution without padding
    behind another, and a classifier behind a flattening.
    """
    rng = np.random.default_rng(seed)
    nodes = (
        conv("a", "input", GROUPED),
        plain("r", "relu", "a"),
        conv("b", "r", DEPTHWISE),
        replace(plain("l", "identity", "b"), op="leaky_relu", attrs=(("slope", 0.25),)),
        conv("c", "l", Geometry((1, 1), groups=2)),
        conv("d", "c", POINT),
        plain("flat", "flatten", "d"),
        plain("fc", "linear", "flat"),
    )
    shapes = {"a": (6, 2, 3, 3), "b": (6, 1, 3, 3), "c": (4, 3, 1, 1), "d": (3, 4, 1, 1)}
    shapes["fc"] = (2, 12)
    params = {
        (n, "w"): rng.standard_normal(s) * 4.0 ** rng.integers(-2, reach) for n, s in shapes.items()
    }
    for name in "abcd" if bias else "":
        params[(name, "bias")] = rng.standard_normal(len(params[(name, "w")]))
    params[("a", "w")] = params[("a", "w")] * rng.uniform(0.05, 8.0, (6, 1, 1, 1))
    cast = {key: value.astype(dtype) for key, value in params.items()}
    network = Network("sample", (4, 4, 4), nodes, cast, (("body", ("b", "l", "c")),))
    return network, rng.standard_normal((5, 4, 4, 4)).astype(dtype)


def check_unchanged(network, after, x):
    """Compare with the network in float64, to the size of its terms; names and dtypes stay."""
    dtype = x.dtype
    wide = {key: value.astype(np.float64) for key, value in network.params.items()}
    exact = replace_params(network, wide)(x.astype(np.float64))
    magnitudes = {key: np.abs(value) for key, value in wide.items()}
    size = replace_params(network, magnitudes)(np.abs(x).astype(np.float64)).max()
    assert np.abs(after(x) - exact).max() <= 2000 * np.finfo(dtype).eps * size
    assert after(x).dtype == dtype
    assert all(value.dtype == dtype for value in after.params.values())
    assert (after.nodes, after.blocks, after.name) == (network.nodes, network.blocks, network.name)
