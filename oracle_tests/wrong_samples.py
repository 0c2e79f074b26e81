"""Wrong outputs of an op of four axes, which the tests of reports share."""

from typing import Any

import numpy as np

from oracle_tests.oracle_cases import sample
from refquant._types import Array
from refquant.oracle.build import Golden
from refquant.oracle.case import Case
from refquant.oracle.compare import Mismatch, compare
from refquant.oracle.op import Tensor
from refquant.oracle.tiers import FORMATS
from refquant.oracle.wrong import Wrong, gather

OP = sample(
    (Tensor("x", "float", "(n, c, h, w)", ""), Tensor("s", "float", "() or (c,)", "")),
    (
        Tensor("y", "float", "like x", ""),
        Tensor("code", "int", "(c_out, ...)", ""),
        Tensor("on", "bool", "any", ""),
    ),
)
SHAPE = (2, 8, 3, 4)
RIGHT = 1.0 + np.arange(192.0).reshape(SHAPE)


def mismatch(right: Array, value: Array, output: str = "y", dtype: str = "float64") -> Mismatch:
    """Return what the comparison says of an exact golden."""
    return compare(OP, {output: Golden(right)}, {output: value}, FORMATS[dtype])[0]


def wrong(mask: Any, apart: float = 1.0) -> Wrong:
    """Return wrong elements at the places of a mask, each so far off from 1."""
    mask = np.asarray(mask, bool)
    right = np.ones(mask.shape)
    return gather(mask, (right, None), right + apart * mask, np.zeros(mask.shape))


def case(**inputs: Any) -> Case:
    """Return a case with these inputs."""
    return Case("sample", "T53", "", {name: np.asarray(v, float) for name, v in inputs.items()})


def at(*index: Any) -> Array:
    """Return a mask of SHAPE that is True at an index."""
    mask = np.zeros(SHAPE, bool)
    mask[index] = True
    return mask
