"""Round scales to powers of two, with which moving them changes no bit of the network's output.

    m, e      scale = m 2^e, 1/2 <= m < 1
    result    2^e if m^2 > 1/2, else 2^(e-1): the nearest on a logarithmic axis

Edge cases: m = sqrt(1/2) is irrational, so no number is halfway. Not part of any paper; an option
of the network steps, for tests and for hardware that shifts.
"""

import numpy as np

from refquant._checks import check_array, check_positive
from refquant._types import Array


def nearest_power_of_two(scale: Array) -> Array:
    """The power of two nearest to each scale on a logarithmic axis.

    Parameters
    ----------
    scale : float32 or float64 array
        Positive normal numbers.

    Returns
    -------
    Array
        Like `scale`. The topmost numbers stay at the largest power of two.

    Raises
    ------
    TypeError, ValueError
        If `scale` is not a float array of positive normal numbers.
    """
    check_array("nearest_power_of_two", "scale", scale)
    check_positive("nearest_power_of_two", "scale", scale)
    m, e = np.frexp(scale.astype(np.float64))
    up = m >= np.sqrt(0.5)  # the float of sqrt(1/2) is the one just above it
    largest = np.finfo(scale.dtype).maxexp - 1
    exponent = np.minimum(np.where(up, e, e - 1), largest)
    return np.asarray(np.ldexp(1.0, exponent).astype(scale.dtype))
