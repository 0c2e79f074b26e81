"""Integer grids, and the step and zero point that place one on the real line.

Reference: the table "integer grids" (methods, section 1.2); Nagel et al., "A White Paper on
Neural Network Quantization", arXiv:2106.08295, section 2.

    paper     here            shape           meaning
    b         bits            --              width of a code, 2..16
    s         step            () or (c,1,..)  distance of two levels, > 0, in the units of x
    z         zero_point      like step       the code that stands for x = 0
    q + z     codes           like x          integers in [code_min, code_max]
    q         q               like x          level in u-space: x is close to step * q
    n, p      limits()        () or like z    ends of u-space: code_min - z, code_max - z

    kind       code_min         code_max        zero point
    unsigned   0                2^b - 1         0
    signed     -2^(b-1)         2^(b-1) - 1     0
    narrow     -(2^(b-1) - 1)   2^(b-1) - 1     0
    affine     0                2^b - 1         integer, code_min..code_max

Sign convention: ``codes = q + zero_point``, so ``x_hat = step * (codes - zero_point)``. As the
zero point is itself a code, n <= 0 <= p always holds and x = 0 is represented exactly.

Edge cases: a step that is zero, negative, subnormal, infinite or NaN is refused.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_bits, check_in, check_positive, complaint
from refquant._types import Array

KINDS = ("unsigned", "signed", "narrow", "affine")
FIX_STEP = "Recalibrate, or drop the channel that is constant zero."


@dataclass(frozen=True)
class Grid:
    """A range of integer codes.

    Parameters
    ----------
    kind : {"unsigned", "signed", "narrow", "affine"}
        Which row of the table in the module docstring.
    bits : int
        Width of a code, 2..16.

    Raises
    ------
    TypeError, ValueError
        If `kind` is unknown or `bits` is not an integer in 2..16.
    """

    kind: str
    bits: int

    def __post_init__(self) -> None:
        check_in("Grid", "kind", self.kind, KINDS)
        object.__setattr__(self, "bits", check_bits("Grid", "bits", self.bits))

    @property
    def code_min(self) -> int:
        """Lowest code, zero point included."""
        if self.kind in ("unsigned", "affine"):
            return 0
        return -self.code_max if self.kind == "narrow" else -self.code_max - 1

    @property
    def code_max(self) -> int:
        """Highest code, zero point included."""
        half = 1 << (self.bits - 1)
        return 2 * half - 1 if self.kind in ("unsigned", "affine") else half - 1

    def limits(self, zero_point: Any = 0) -> tuple[Any, Any]:
        """Ends (n, p) of u-space.

        Parameters
        ----------
        zero_point : int or int array
            The code of x = 0.

        Returns
        -------
        tuple
            ``(code_min - zero_point, code_max - zero_point)``: two ints for an int, two
            arrays of its shape for an array.
        """
        return self.code_min - zero_point, self.code_max - zero_point


class QParams(NamedTuple):
    """A grid placed on the real line. Build it with `make_qparams`, which validates.

    Attributes
    ----------
    step : Array
        float32 or float64; broadcasts against the tensor: () per tensor, (c, 1, 1, 1) or
        (c, 1) per channel on axis 0.
    zero_point : Array
        int64, the shape of `step`.
    grid : Grid
        The range of codes.
    """

    step: Array
    zero_point: Array
    grid: Grid


def make_qparams(step: Any, zero_point: Any, grid: Grid) -> QParams:
    """Validate and copy a step and a zero point.

    Parameters
    ----------
    step : float or Array
        Positive normal numbers. Python numbers become float64; float32 and float64 arrays
        keep their dtype.
    zero_point : int or integer Array
        Broadcasts to the shape of `step`. Within the code range on an affine grid, 0 on the
        others.
    grid : Grid
        The range of codes.

    Returns
    -------
    QParams
        Fresh arrays of equal shape: later changes of the arguments do not reach them.

    Raises
    ------
    TypeError
        If `step` is not real floating, `zero_point` not integer, or `grid` not a Grid.
    ValueError
        If a step is not a positive normal number, a zero point is out of range, or the
        shapes do not fit.
    """
    if not isinstance(grid, Grid):
        raise TypeError(complaint("make_qparams", "grid", type(grid).__name__, "a Grid"))
    steps = _float_array(step)
    check_positive("make_qparams", "step", steps, FIX_STEP)
    zeros = _integer_array(zero_point, steps.shape)
    low, high = (grid.code_min, grid.code_max) if grid.kind == "affine" else (0, 0)
    if zeros.min() < low or zeros.max() > high:
        got = f"in {zeros.min()}..{zeros.max()}"
        expected = f"in {low}..{high} on the {grid.kind} grid of {grid.bits} bits"
        fix = "Clip it to the code range." if grid.kind == "affine" else "Use kind='affine'."
        raise ValueError(complaint("make_qparams", "zero_point", got, expected, fix))
    return QParams(steps, zeros, grid)


def _float_array(step: Any) -> Array:
    """A copy of `step` as a float32 or float64 array."""
    if isinstance(step, int | float) and not isinstance(step, bool):
        return np.array(step, dtype=np.float64)
    array = np.array(step)
    if array.dtype not in (np.float32, np.float64):
        fix = "Cast it: step.astype(numpy.float64)."
        message = complaint("make_qparams", "step", array.dtype, "float32 or float64", fix)
        raise TypeError(message)
    return array


def _integer_array(zero_point: Any, shape: tuple[int, ...]) -> Array:
    """A copy of `zero_point` as an int64 array of this shape."""
    array = np.asarray(zero_point)
    if array.dtype.kind not in "iu":
        fix = "Round and cast it: numpy.rint(zero_point).astype(numpy.int64)."
        message = complaint("make_qparams", "zero_point", array.dtype, "integers", fix)
        raise TypeError(message)
    try:
        return np.array(np.broadcast_to(array, shape), dtype=np.int64)
    except ValueError as error:
        got = f"of shape {array.shape}"
        expected = f"a shape that broadcasts to that of step, {shape}"
        raise ValueError(complaint("make_qparams", "zero_point", got, expected)) from error
