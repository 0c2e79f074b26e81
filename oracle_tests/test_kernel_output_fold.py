"""Scale and shift folded into filter and bias, against product and transform one by one.

Bounds count roundings of a term, in the definition and in the kernel, each of half an eps. With K
terms in a product and t windows in all images

    y      K + 3 and K + 2        d_w    t + 1 both        d_xi   t + K + 1 both      d_eta  t both

and c_out more where one number serves the layer.
"""

import numpy as np
import pytest

from refquant.kernels.output_fold import Transform, fold, unfold
from refquant.kernels.squared_error import squared_error
from refquant.layers.product import product_backward, product_forward
from refquant.losses.reconstruction import reconstruction_loss
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

KINDS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
N, FEATURES, WINDOWS, GROUPS, OUT = 3, 12, 7, 2, 4
COUNT, TERMS = N * WINDOWS, FEATURES // GROUPS


@KINDS
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("xi", "eta"), [("c", "c"), ("l", "c"), ("c", "l"), ("l", "l"), ("c", "")])
def test_the_folded_layer_is_the_layer(xi, eta, bias, dtype):
    rng = np.random.default_rng(5)
    shapes = {"c": (OUT,), "l": ()}
    cols, w = rng.normal(size=(N, FEATURES, WINDOWS)), rng.normal(size=(OUT, TERMS))
    scale = 1.0 + rng.normal(size=shapes[xi])
    shift = rng.normal(size=shapes[eta]) if eta else None
    offset = rng.normal(size=OUT) if bias else None
    d_y = rng.normal(size=(N, OUT, WINDOWS)).astype(dtype)
    cols, w, scale = (np.asarray(a, dtype) for a in (cols, w, scale))
    shift, offset = (None if a is None else np.asarray(a, dtype) for a in (shift, offset))

    y0, product = product_forward(cols, w, GROUPS)
    eta_given = np.zeros((), dtype) if shift is None else shift
    y, transform = output_transform_forward(y0, offset, scale, eta_given)
    grads = output_transform_backward(d_y, transform)
    d_w = product_backward(grads.y0, product).w

    layer = Transform(w, scale, shift, offset)
    w_folded, b_folded = fold(layer)
    y_folded, product = product_forward(cols, w_folded, GROUPS)
    found = unfold(product_backward(d_y, product).w, d_y.sum(axis=(0, 2)), layer)

    eps = np.finfo(dtype).eps
    size, scales = np.abs(scale).astype(float), np.abs(scale).reshape(-1, 1).astype(float)
    by_term, _ = product_forward(np.abs(cols), np.abs(w), GROUPS)
    shifts = sum(np.abs(a).reshape(-1, 1) for a in (shift, offset) if a is not None)
    bound = (TERMS + 3) * eps * (scales * by_term + shifts)
    assert np.all(np.abs(y_folded + b_folded[:, None] - y) <= bound)
    terms = product_backward(np.abs(d_y), product_forward(np.abs(cols), w, GROUPS)[1]).w
    assert np.all(np.abs(found.w - d_w) <= (COUNT + 1) * eps * scales * terms)
    by_channel = (np.abs(d_y) * by_term).sum(axis=(0, 2))
    of_xi = by_channel if xi == "c" else by_channel.sum()
    assert np.all(np.abs(found.xi - grads.xi) <= (COUNT + TERMS + 1 + OUT) * eps * of_xi)
    of_eta = np.abs(d_y).sum(axis=(0, 2) if eta == "c" else None)
    assert found.w.dtype == found.xi.dtype == dtype and found.xi.shape == size.shape
    for mine, theirs, by in (
        (found.eta, grads.eta if eta else None, of_eta),
        (found.bias, grads.bias, np.abs(d_y).sum(axis=(0, 2))),
    ):
        assert (mine is None) == (theirs is None)
        assert mine is None or np.all(np.abs(mine - theirs) <= (COUNT + OUT) * eps * by)


@KINDS
@pytest.mark.parametrize("reduction", ["channels", "mean"])
def test_the_squared_error_is_the_definitions(reduction, dtype):
    """Of n terms with two roundings each; the gradient has two roundings more."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=(7, 3, 4, 5)).astype(dtype).transpose(3, 0, 1, 2)  # images innermost
    t = rng.normal(size=z.shape).astype(dtype)
    want, d_want = reconstruction_loss(z, t, 2.0, reduction=reduction)
    places = z.size if reduction == "mean" else z.size // z.shape[1]
    loss, d_z = squared_error(z, t, places)
    eps = np.finfo(dtype).eps
    assert abs(loss - want) <= (z.size + 4) * eps * want
    assert np.all(np.abs(d_z - d_want) <= 2 * eps * np.abs(d_want))
    assert d_z.strides == z.strides and d_z.dtype == dtype
