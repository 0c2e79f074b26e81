"""Multipliers of 32 bits at their edges: ties of the mantissa, the product that does not fit."""

import numpy as np
import pytest

from refquant.deploy.requantize import Multiplier, apply_multiplier, quantize_multiplier
from refquant.oracle.exact import requantize as exact

LOW, HIGH = -(2**31), 2**31 - 1


@pytest.mark.parametrize(("rounding", "m0"), [("rint", 2**30), ("half_away", 2**30 + 1)])
def test_a_tie_of_the_mantissa(rounding, m0):
    """2^30 + 1/2 units of 2^-31: to the even mantissa, or away from zero as TFLite."""
    tie = (2.0**31 + 1) / 2.0**32
    for m, want in ((tie, m0), (-tie, -m0)):
        assert [int(p) for p in quantize_multiplier(np.array(m), rounding)] == [want, 0]
        assert exact.quantize_multiplier(m, rounding) == (want, 0)


@pytest.mark.parametrize("requantize", ["double", "single"])
def test_the_one_result_beyond_int32_saturates(requantize):
    """(-2^31)^2 / 2^31 = 2^31: in either form the largest int32, not the smallest."""
    m = Multiplier(np.int32([LOW]), np.int32([0]))
    assert apply_multiplier(np.int32([LOW]), m, requantize).tolist() == [HIGH]
    assert exact.apply_multiplier(LOW, LOW, 0, requantize) == HIGH
