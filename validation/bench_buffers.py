"""Print what it costs to broadcast a column along rows, and what short buffers make of it.

    OPENBLAS_NUM_THREADS=1 python -m validation.bench_buffers

Of a product of 32,768 numbers in float32, which fit the cache, with a column that is broadcast
along rows of some length: its time over that of the product with a scalar, with NumPy's buffers and
with those of `refquant.kernels.buffers`. Of products that convert types: the time with short
buffers over that without. In turn, the median of the rounds.
"""

import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from refquant.bench.measure import seconds
from refquant.kernels.buffers import short_buffers

NUMBERS, ROUNDS, CALLS = 1 << 15, 41, 40
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
Call = Callable[[], object]


def main() -> int:
    """Print one line for each length of rows, and one for each conversion."""
    for length in LENGTHS:
        product, scalar = products(rows_of(length))
        usual, short = cost(product, scalar), cost(product, scalar, short=True)
        print(f"rows of {length:4}: {usual:.2f}, with short buffers {short:.2f}")
    for name, call in conversions(rows_of(2048)).items():
        print(f"{name}: {cost(call, call, short=True):.2f} with short buffers")
    return 0


def rows_of(length: int) -> np.ndarray[Any, Any]:
    """Return normal numbers in rows of this length."""
    drawn = np.random.default_rng(0).normal(size=(NUMBERS // length, length))
    return drawn.astype(np.float32)


def products(rows: np.ndarray[Any, Any]) -> tuple[Call, Call]:
    """Return the product with a column and that with a scalar."""
    out, column, scalar = np.empty_like(rows), rows[:, :1].copy(), np.float32(1.7)
    return (
        lambda: np.multiply(rows, column, out=out),
        lambda: np.multiply(rows, scalar, out=out),
    )


def conversions(rows: np.ndarray[Any, Any]) -> dict[str, Call]:
    """Return products that convert an operand, or all of them."""
    out, wide, mask = np.empty_like(rows), np.empty(rows.shape), rows > 0
    return {
        "float32 times bool": lambda: np.multiply(rows, mask, out=out),
        "float32 into float64": lambda: np.multiply(rows, rows, out=wide),
    }


def cost(call: Call, base: Call, short: bool = False) -> float:
    """Return the time of a call, with short buffers if asked for, over that of the base."""
    timed = short_buffers()(seconds) if short else seconds
    return median(timed(call, CALLS) / seconds(base, CALLS) for _ in range(ROUNDS))


if __name__ == "__main__":
    sys.exit(main())
