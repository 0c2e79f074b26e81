"""Calibration inputs as they come: an array, a file mapped into memory, or batches one by one.

They are checked and hashed a few at a time. An array or a mapped file in the dtype of the run is
read where it is, in another dtype it is copied to where the run keeps its values. The batches of an
iterator, which can be asked for but once, go to a temporary file as they come.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._checks import check_array, check_finite, check_shape, complaint
from refquant._pieces import pieces_of
from refquant._types import Array
from refquant.network import INPUT, Network
from refquant.storage import Storage, on_disk


def inputs_of(
    function: str, network: Network, x: Any, kind: "np.dtype[Any]", storage: Storage
) -> Array:
    """Return calibration inputs as one array, checked.

    Parameters
    ----------
    function : str
        Of the caller, for messages.
    network : Network
    x : array (n, \\*input_shape), np.memmap, or iterator of such arrays
        Each batch of an iterator is checked and written, as `kind`, before the next is asked for.
    kind : dtype
        Of the run; an array keeps its own.
    storage : Storage
        Of the run. Where that is memory, batches go where `tempfile` puts files.

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit the network, there is no input, or one is not finite.
    """
    if not isinstance(x, Iterator):
        return check_inputs(function, network, x)
    batches = (check_inputs(function, network, batch).astype(kind, copy=False) for batch in x)
    found = on_disk(function, storage).keep({INPUT: batch} for batch in batches)
    if not found:
        fix = "An iterator is used up by its first reader; make a new one."
        raise ValueError(complaint(function, "x", "an empty iterator", "some batches", fix))
    return found[INPUT]


def check_inputs(function: str, network: Network, x: Any) -> Array:
    """Return `x` if it is an array of at least one finite input of the network; an error if not."""
    check_array(function, "x", x)
    if x.ndim != len(network.input_shape) + 1 or x.shape[1:] != network.input_shape or not len(x):
        expected = f"(n, {', '.join(map(str, network.input_shape))}) with n >= 1"
        got = f"of shape {x.shape}"
        raise ValueError(complaint(function, "x", got, expected, "Pass calibration images."))
    check_finite(function, "x", x)
    return x if type(x) is np.memmap else np.asarray(x)


def check_labels(function: str, argument: str, labels: Any, count: int) -> Array:
    """Return the classes of `count` inputs as int64, checked but for how many classes there are.

    Raises
    ------
    TypeError, ValueError
        If there is not one integer for every input.
    """
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        got = str(getattr(labels, "dtype", type(labels).__name__))
        fix = "Give class numbers, not one-hot rows."
        raise TypeError(complaint(function, argument, got, "an array of integers", fix))
    return check_shape(function, argument, labels, (count,)).astype(np.int64)


def as_dtype(x: Array, kind: "np.dtype[Any]", storage: Storage) -> Array:
    """Return the inputs in the dtype of the run: themselves if they have it."""
    if x.dtype == kind:
        return x
    parts = ({INPUT: x[rows].astype(kind)} for rows in pieces_of(x))
    return storage.keep(parts, len(x))[INPUT]


def update_digest(digest: "hashlib._Hash", array: Array) -> None:
    """Feed dtype, shape and bytes of an array to a hash, some rows at a time."""
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.ndim == 0:
        digest.update(array.tobytes())
        return
    for rows in pieces_of(array):
        digest.update(np.ascontiguousarray(array[rows]).data)
