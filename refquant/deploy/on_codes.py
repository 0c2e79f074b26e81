"""Operations that read codes directly: patches, pools, reshapes.

Reference: methods 17.1 (padding is the zero point) and 17.5 (average pool).

Selecting and copying give codes again; averaging gives an `Accumulator`, whose scale is s_x / count
per position. In u-space padding is 0 and never contributes to a sum.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.deploy.codes import Accumulator, Codes
from refquant.deploy.integer_windows import (
    average_pool_sums,
    global_sums,
    integer_patches,
    max_pool_integers,
)
from refquant.network import Node


def _patches(node: Node, x: Codes) -> Codes:
    geometry = node.attr("geometry")
    return x if geometry is None else x._replace(q=integer_patches(x.q, geometry))


def _max_pool(node: Node, x: Codes) -> Codes:
    return x._replace(q=max_pool_integers(x.q, node.attr("geometry")))


def _flatten(node: Node, x: Codes) -> Codes:
    return x._replace(q=np.ascontiguousarray(x.q).reshape(len(x.q), prod(x.q.shape[1:])))


def _identity(node: Node, x: Codes) -> Codes:
    return x


def _average_pool(node: Node, x: Codes) -> Accumulator:
    padded = node.attr("count_include_pad")
    return _mean(x, *average_pool_sums(x.q, node.attr("geometry"), padded))


def _global_average_pool(node: Node, x: Codes) -> Accumulator:
    return _mean(x, *global_sums(x.q))


def _mean(x: Codes, total: Array, count: Array) -> Accumulator:
    """Sums of codes read as means: the scale is s_x / count."""
    return Accumulator(total, x.step / count.astype(np.float64), np.zeros(count.shape))


ON_CODES: Mapping[str, Callable[[Node, Codes], Any]] = {
    "patches": _patches,
    "max_pool": _max_pool,
    "flatten": _flatten,
    "identity": _identity,
    "average_pool": _average_pool,
    "global_average_pool": _global_average_pool,
}
