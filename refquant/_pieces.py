"""A few rows of an array at a time: what is looked at in one go stays small, however long it is."""

from collections.abc import Iterator

from refquant._types import Array

BYTES = 1 << 18  # of a piece


def rows_in_a_piece(bytes_a_row: int) -> int:
    """Return how many rows take about `BYTES`; at least one."""
    return max(1, BYTES // max(1, bytes_a_row))


def pieces(count: int, most: int) -> Iterator[slice]:
    """Yield all of `count` rows in order, `most` at a time."""
    return (slice(begin, min(begin + most, count)) for begin in range(0, count, most))


def pieces_of(array: Array) -> Iterator[slice]:
    """Yield all rows of an array of one axis or more, about `BYTES` at a time."""
    count = len(array)
    return pieces(count, rows_in_a_piece(array.nbytes // max(1, count)))
