"""The product of integer codes: acc = sum_j w_int[j] * (x_int[j] - z_x), three ways.

Reference: methods 17.2; Jacob et al., arXiv:1712.05877, section 2.3.

    paper       here         shape                          meaning
    w_int       w            (c_out, c_in/g, k_h, k_w)      weight levels (code minus zero point)
                             or (c_out, features)
    x_int       x_codes      (n, c_in, h, w)                input codes, zero point included
    x_int - z   q            (n, features, ...)             patches of levels, in u-space
    acc         total        (n, c_out, ...)                accumulators

    product_int32             int32 throughout; the deployed network
    product_float             codes as float64 through `numerics.matmul`; the fake-quantized one
    integer_conv_accumulate   code space: sum w x_int - z_x sum w, padding reads z_x (golden op 66)

All three give the same whole numbers: below 2^31, which `overflow` proves before anything runs,
int32 cannot wrap and float64 cannot round (P58). Multiplying by a code that contains its zero
point and subtracting z * sum(w) afterwards is the form that integer kernels use, since sum(w) is
known in advance; padding with z then adds exactly what is subtracted.
"""

import numpy as np

from refquant._types import Array
from refquant.deploy.integer_windows import integer_patches
from refquant.layers.geometry import Geometry
from refquant.layers.product import product_forward


def product_int32(q: Array, w: Array, groups: int = 1) -> Array:
    """Return the accumulators of int32 levels, summed in int32.

    Parameters
    ----------
    q : (n, features, ...) int32 array
        Patches as levels in u-space.
    w : (c_out, ...) array of integers
        Weight levels; features / groups per output channel.
    groups : int

    Returns
    -------
    (n, c_out, ...) int32 array
        Wraps around silently beyond int32; prove first that it cannot (`overflow`).
    """
    n, features = q.shape[:2]
    columns = q.astype(np.int32, copy=False).swapaxes(0, 1).reshape(groups, features // groups, -1)
    filters = w.astype(np.int32).reshape(groups, len(w) // groups, -1)
    # einsum, since the integer loop of np.matmul is many times slower; no BLAS takes integers.
    total = np.einsum("gor,grl->gol", filters, columns)
    return np.ascontiguousarray(total.reshape(len(w), n, *q.shape[2:]).swapaxes(0, 1))


def product_float(q: Array, w: Array, groups: int = 1) -> Array:
    """Return the same accumulators as whole numbers in float64, exact below 2^53.

    Parameters and shapes are those of `product_int32`; real `q` and `w` are allowed as well.
    """
    columns = q.astype(np.float64).reshape(*q.shape[:2], -1)
    total, _ = product_forward(columns, w.astype(np.float64), groups)
    return total.reshape(len(q), len(w), *q.shape[2:])


def integer_conv_accumulate(x_codes: Array, w: Array, zero_point: int, geometry: Geometry) -> Array:
    """Return int64 accumulators of a convolution on codes, in code space (golden op 66).

    Parameters
    ----------
    x_codes : (n, c_in, h, w) array of integers
        Zero point included.
    w : (c_out, c_in/g, k_h, k_w) array of integers
        Levels: code minus the weight's own zero point.
    zero_point : int
        z_x, also the value of the padding.
    geometry : Geometry
    """
    groups = geometry.groups
    patches = integer_patches(x_codes.astype(np.int64), geometry, zero_point)
    n, features, h_o, w_o = patches.shape
    columns = patches.swapaxes(0, 1).reshape(groups, features // groups, -1)
    filters = w.astype(np.int64).reshape(groups, len(w) // groups, -1)
    # Integers again, which no BLAS takes and whose sums no order changes.
    products = np.einsum("gor,grl->gol", filters, columns)
    total = products - zero_point * filters.sum(axis=2, keepdims=True)
    return np.ascontiguousarray(total.reshape(len(w), n, h_o, w_o).swapaxes(0, 1))
