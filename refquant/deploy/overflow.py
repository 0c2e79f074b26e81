"""Proof, before anything runs, that no accumulator can leave int32.

Reference: methods 17.2 and 17.4.

    tight    |acc_o| <= sum_j |w_int[o, j]| * max |x_int - z_x|           per output channel
    loose    |acc|   <= K * i_c * max |w_int| * max |x_int - z_x|         the whole layer

Both bound every partial sum too, in any order of summation, so that saturating, wrapping and wide
accumulators agree. The test is on the tight form; the loose one is what a kernel can promise
without knowing the weights. With the integer bias of the fixed-point epilogue added, the same
must hold: a channel with a tiny step has a huge bias.

Edge case: 2^31 itself is refused although -2^31 would fit, so that signs can be changed.
"""

import numpy as np

from refquant._checks import complaint
from refquant._types import Array

LIMIT = 2**31


def tight_bound(w: Array, largest: int) -> Array:
    """Return sum |w| * largest per output channel, int64 of shape (c_out,)."""
    rows = np.abs(w.astype(np.int64)).reshape(len(w), -1)
    return np.asarray(rows.sum(axis=1) * largest)


def loose_bound(w: Array, largest: int) -> int:
    """Return fan-in * max |w| * largest, the bound of methods 17.2."""
    return int(w[0].size) * int(np.abs(w.astype(np.int64)).max()) * largest


def bits(bound: int) -> int:
    """Return the width of the signed integer that holds -bound..bound."""
    return int(bound).bit_length() + 1


def check_accumulator(layer: str, bound: Array) -> None:
    """Refuse a layer whose accumulators may not fit int32.

    Raises
    ------
    ValueError
        Naming the layer, the channel, the bound and its width.
    """
    worst = int(np.argmax(bound))
    if bound[worst] >= LIMIT:
        got = f"up to {bound[worst]} in channel {worst}, {bits(bound[worst])} bits"
        fix = "Use fewer bits for weights or input, or split the layer along its input channels."
        where = f"accumulator of layer {layer!r}"
        raise ValueError(complaint("deploy", where, got, "below 2^31 = 2147483648", fix))


def check_biased(layer: str, bound: Array, bias: Array) -> None:
    """Refuse a layer whose accumulator plus integer bias may not fit int32.

    Parameters
    ----------
    layer : str
    bound : (c_out,) int64 array
        From `tight_bound`.
    bias : (c_out,) float64 array
        rint(bt / st), not yet cast; may be infinite.
    """
    total = np.abs(bias) + bound
    worst = int(np.argmax(total))
    if total[worst] >= LIMIT:
        got = f"up to {bound[worst]} + {abs(bias[worst]):.0f} in channel {worst}"
        fix = "Its scale is tiny beside its bias: zero the channel, or use epilogue='float'."
        where = f"accumulator plus integer bias of layer {layer!r}"
        raise ValueError(complaint("run_integer", where, got, "below 2^31 = 2147483648", fix))
