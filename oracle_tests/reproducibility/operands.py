"""Operands for the reproducibility battery and for the tests of the matrix product.

All values come from the integers of `nx.counter` by exact operations, so every machine
starts from the same bits.
"""

import numpy as np

from refquant._types import Array
from refquant.numerics import counter

SMALLEST = 2.0**-1074


def real(name: str, *shape: int) -> Array:
    """Return numbers of 53 bits in [-1, 1)."""
    return 2.0 * counter.uniform((name, "real"), shape) - 1.0


def decades(name: str, *shape: int) -> Array:
    """Return numbers whose sizes spread evenly over 24 decades (80 binary digits)."""
    exponent = counter.integers((name, "exponent"), 80, shape) - 40
    return np.ldexp(real(name, *shape), exponent)


def matmul_cases() -> dict[str, tuple[Array, Array]]:
    """Return small pairs (a, b), by name; exact arithmetic can follow them."""
    cases = {f"k{k}": (real(f"a{k}", 3, k), real(f"b{k}", k, 4)) for k in (1, 2, 63, 576, 5000)}
    cases |= _special_values() | _sizes() | _layouts()
    cases["decades"] = decades("a", 3, 63), decades("b", 63, 4)
    cases["codes"] = (
        counter.integers(("codes",), 256, (3, 100)) - 128.0,
        counter.integers(("codes", 1), 16, (100, 4)) - 8.0,
    )
    cases["mask"] = counter.bernoulli(("mask",), 0.5, (3, 70)) * 1.0, real("masked", 70, 4)
    single = real("single", 3, 63).astype(np.float32)
    cases["float32"] = single, real("single b", 63, 4).astype(np.float32)
    cases["mixed"] = single, real("mixed b", 63, 4)
    return cases


def _special_values() -> dict[str, tuple[Array, Array]]:
    a, b = real("special a", 6, 12), real("special b", 12, 5)
    zeros_a, zeros_b = a.copy(), b.copy()
    zeros_a[1], zeros_b[:, 2], zeros_a[2, :5], zeros_b[3:6, 1] = 0.0, -0.0, -0.0, 0.0
    odd_a, odd_b = zeros_a.copy(), zeros_b.copy()
    odd_a[0, 3], odd_a[2, 1], odd_a[3, 4], odd_a[3, 5] = np.nan, np.inf, np.inf, -np.inf
    odd_a[5, 6], odd_b[6, 0], odd_b[7, 3], odd_b[8, 4] = -np.inf, -np.inf, np.inf, np.nan
    return {"zeros": (zeros_a, zeros_b), "inf_nan": (odd_a, odd_b)}


def _sizes() -> dict[str, tuple[Array, Array]]:
    a, b = real("size a", 4, 20), real("size b", 20, 4)
    row = np.array([[498], [-498], [996], [0]])
    tiny = np.rint(a * 1000.0) * SMALLEST
    tiny[3] = a[3]
    return {
        "scales": (np.ldexp(a, row), np.ldexp(b, [-498, 498, -996, 3])),
        "overflow": (np.ldexp(a, row + 27), np.ldexp(b, [400, 0, 27, 1000])),
        "underflow": (np.ldexp(a, row - 60), np.ldexp(b, [-560, -1000, 0, -980])),
        "subnormal": (tiny, np.ldexp(b, [0, 10, 40, 1000])),
        "within_rows": (np.ldexp(a, 49 * np.arange(20) - 470), b),
    }


def _layouts() -> dict[str, tuple[Array, Array]]:
    a, b = real("layout a", 4, 6, 9), real("layout b", 4, 9, 5)
    wide_a, wide_b = real("wide a", 12, 27), real("wide b", 27, 20)
    return {
        "batched": (a, b),
        "broadcast": (a[:, None], b[None, :2]),
        "shared_left": (a[0], b),
        "shared_right": (a, b[0]),
        "transposed": (wide_a[:9].T, wide_b[:9]),
        "transposed_both": (wide_a[:9].T, wide_b[:, :9].T),
        "strided": (wide_a[::3, ::3], wide_b[::3, ::4]),
        "negative": (wide_a[::-1, ::-1], wide_b[::-1, ::-2]),
        "moved": (np.moveaxis(a, 0, 1), np.moveaxis(b, 0, 1)[:, 1]),
    }


def large_cases() -> dict[str, tuple[Array, Array]]:
    """Return pairs large enough for tiles, blocked kernels and a second BLAS thread."""
    return {
        "wide": (real("large a", 64, 288), real("large b", 288, 2000)),
        "tall": (decades("tall a", 1500, 200), decades("tall b", 200, 48)),
        "deep": (real("deep a", 48, 6000), real("deep b", 6000, 60)),
        "convolution": (real("weight", 16, 72), real("patches", 16, 72, 144)),
        "grouped": (real("groups", 8, 4, 9), real("group patches", 6, 8, 9, 100)),
    }
