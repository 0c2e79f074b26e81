"""What may be learnt behind a product starts at its neutral value, in the shape that shares it."""

import numpy as np
import pytest

from refquant.components import FreeBias, NormAffine, XiEta, XiEtaBias
from refquant.components.output_transform import Place, both


def place(norm=None, bias=None, last=False):
    return Place(np.zeros((1, 4, 2, 3), np.float32), bias, last, norm or {})


def test_the_output_transform_starts_neutral():
    """methods.md 15.6: one number a channel, a layer, a pixel; a channel of the last layer."""
    shapes = {"channel": (4,), "layer": (), "pixel": (4, 2, 3)}
    for granularity, shape in shapes.items():
        start = XiEta(xi=granularity, eta="layer").start(place())
        assert start["xi"].shape == shape and start["eta"].shape == ()
        assert np.all(start["xi"] == 1.0) and np.all(start["eta"] == 0.0)
        assert start["xi"].dtype == np.float32 and set(start) == set(XiEta().learnable)
    wide = XiEta(xi="network", eta="network")
    assert wide.start(place()) == {} and wide.start(place(last=True))["xi"].shape == (4,)
    with pytest.raises(ValueError, match=r"eta is 'chanel'.*Did you mean 'channel'"):
        XiEta(eta="chanel")


def test_a_free_bias_and_a_batch_norm_start_as_they_are():
    """AT eq. 7 and 10: the layer's bias or none, the norm's scale and shift or nothing."""
    bias = np.arange(4, dtype=np.float32)
    assert FreeBias().start(place(bias=bias)) == {"bias": bias}
    none = FreeBias().start(place())["bias"]
    assert none.tolist() == [0.0] * 4 and none.dtype == np.float32
    norm = {name: bias + k for k, name in enumerate(("gamma", "beta", "mean", "var"))}
    start = NormAffine().start(place(norm))
    assert start == {"gamma": norm["gamma"], "beta": norm["beta"]}
    assert NormAffine().start(place()) == {}


def test_a_scale_and_a_shift_beside_a_learnt_bias():
    """What both sides of a plus say is kept; no component is both batch norm and transform."""
    bias, transform = FreeBias(fake_quant=True), XiEta(xi="layer", eta="pixel")
    joined = both(bias, transform)
    assert joined == XiEtaBias(xi="layer", eta="pixel", fake_quant=True)
    own = np.arange(4, dtype=np.float32)
    start = joined.start(place(bias=own))
    assert set(start) == set(joined.learnable) == {"xi", "eta", "bias"}
    assert start["bias"] is own and start["xi"] == 1.0 and start["eta"].shape == (4, 2, 3)
    assert both(None, transform) is transform and both(bias, None) is bias
    assert both(None, None) is both(NormAffine(), transform) is both(joined, transform) is None
