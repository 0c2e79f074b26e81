"""What a border costs, P16 and methods 13.6: counts, published ratios, operations, stored bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle_tests import architectures as nets
from oracle_tests.aquant_cases import FUSES, real_case
from refquant.quantizers.aquant import aquant_codes
from refquant.quantizers.border import BorderParams, init_border
from refquant.quantizers.border_cost import (
    LayerShape,
    border_count,
    border_operations,
    border_share,
    product_operations,
    size_growth,
    weight_count,
)
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.border_storage import coefficient_qparams, store_border

DTYPES = [np.float64, np.float32]
NETS = {  # layers, all parameters of the published model
    "resnet18": (nets.resnet18(), 11689512),
    "resnet50": (nets.resnet50(), 25557032),
    "regnetx_600mf": (nets.regnet_x((1, 3, 5, 7), (48, 96, 240, 528), 24), 6196040),
    "regnetx_3200mf": (nets.regnet_x((2, 6, 15, 2), (96, 192, 432, 1008), 48), 15296552),
    "mobilenet_v2": (nets.mobilenet_v2(), 3504872),
    "mnasnet1_0": (nets.mnasnet(1.0), 4383312),
    "mnasnet1_3": (nets.mnasnet(1.3), 6282256),
}


def shapes(layers):
    return [LayerShape(c_in=i, c_out=o, taps=k * k, groups=g) for i, o, k, g in layers]


def others(layers):
    """Biases of the classifier, and two batch-norm parameters per channel of every convolution."""
    return layers[-1][1] + sum(2 * c_out for _, c_out, _, _ in layers[:-1])


def percent(name_or_layers, degree=2, norms=True):
    layers = NETS[name_or_layers][0] if isinstance(name_or_layers, str) else name_or_layers
    return 100 * border_share(shapes(layers), others(layers) if norms else 0, degree)


@pytest.mark.parametrize("name", NETS)
def test_the_lists_are_those_networks(name):
    """Weights, batch norm and classifier bias add up to the published number of parameters."""
    layers, total = NETS[name]
    assert sum(weight_count(s) for s in shapes(layers)) + others(layers) == total


@given(
    groups=st.integers(1, 4),
    inner=st.integers(1, 4),
    outer=st.integers(1, 4),
    side=st.integers(1, 3),
)
def test_parameters_per_weight(groups, inner, outer, side):
    """P16: 3 g / c_out of the weights, 2 g / c_out linear, cross-multiplied; and `init_border`."""
    layer = LayerShape(c_in=groups * inner, c_out=groups * outer, taps=side * side, groups=groups)
    for degree in (1, 2):
        assert border_count(layer, degree) * layer.c_out == (degree + 1) * groups * weight_count(
            layer
        )
        for fuse in FUSES:
            options = BorderOptions(degree=degree, fuse=fuse)
            made = [b for b in init_border(layer.c_in, layer.taps, options) if b is not None]
            fused = fuse != "none"
            assert sum(b.size for b in made) == border_count(layer, degree, fusion=fused)


@pytest.mark.parametrize(
    ("name", "printed"),
    [("resnet18", 0.81), ("resnet50", 0.64), ("regnetx_600mf", 2.82), ("regnetx_3200mf", 2.14)],
)
def test_published_shares(name, printed):
    """P16, AQ 5.3: within 0.02 percentage points, batch norm in the denominator or not."""
    assert abs(percent(name) - printed) <= 0.02
    assert abs(percent(name, norms=False) - printed) <= 0.02


def test_the_classifier_has_a_border_too():
    """Without it the ResNets would give 0.80 and 0.62 %, not the printed 0.81 and 0.64."""
    for name, expected in (("resnet18", 0.80), ("resnet50", 0.62)):
        layers, total = NETS[name]
        kept = sum(border_count(s) for s in shapes(layers[:-1]))
        assert round(100 * kept / total, 2) == expected


def test_findings_about_the_mobile_networks():
    """13.6, D31: MNasNet-2.0's printed 8.27 % is the quadratic count over the weights alone (over

    all parameters 8.22); MobileNetV2's 4.56 % is neither its linear nor its quadratic count.
    """
    mnasnet = nets.mnasnet(2.0)
    three = [percent(mnasnet, 2, norms) for norms in (True, False)]
    assert [round(v, 2) for v in three] == [8.22, 8.27]
    assert abs(percent(mnasnet, 1) - 5.5) < 0.05
    assert [round(percent("mobilenet_v2", d), 2) for d in (1, 2)] == [4.23, 6.35]
    assert min(abs(percent("mobilenet_v2", d, n) - 4.56) for d in (1, 2) for n in (0, 1)) > 0.2


def test_fusion_weights_would_exceed_the_published_counts():
    """13.3: the paper counts three per position; a learned fusion adds one wherever K > 1."""
    layers, total = NETS["resnet18"]
    fused = 100 * border_share(shapes(layers), others(layers), fusion=True)
    wide = sum(i * k * k for i, _, k, _ in layers if k > 1)
    assert fused == pytest.approx(percent("resnet18") + 100 * wide / total, rel=1e-12)
    assert fused > 1.0


@pytest.mark.parametrize(("share", "growth"), [(0.81, 3.2), (0.64, 2.6), (2.82, 11.3), (2.14, 8.6)])
def test_growth_of_the_stored_model(share, growth):
    """AQ 5.3: 16-bit borders beside 4-bit weights, in per cent."""
    assert round(size_growth(share, 4), 1) == growth
    assert size_growth(share, 4, 8) == share * 2


def test_operations():
    """Layer 8 -> 16, 3x3, 2 groups, 25 windows, by hand: 1 / c_out per group and multiplication."""
    layer = LayerShape(c_in=8, c_out=16, taps=9, groups=2)
    assert product_operations(layer, 25) == 16 * 4 * 9 * 25
    assert border_operations(layer, 25) == 2 * 8 * 9 * 25
    assert border_operations(layer, 25, degree=1) == 8 * 9 * 25
    assert border_operations(layer, 25, fusion=True) == 3 * 8 * 9 * 25
    pointwise = LayerShape(c_in=8, c_out=16)
    assert border_operations(pointwise, 25, degree=1, fusion=True) == 8 * 25
    assert border_operations(layer, 25, 1) * 16 == 2 * product_operations(layer, 25)


# storage


@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([8, 16]), dtype=st.sampled_from(DTYPES))
def test_stored_coefficients(seed, bits, dtype):
    """The largest keeps its value up to a rounding; none moves by more than half a step."""
    rng = np.random.default_rng(seed)
    b = (rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-6, 6)).astype(dtype)
    qparams = coefficient_qparams(b, bits)
    assert qparams.step.dtype == dtype
    assert qparams.grid.code_min == -(2 ** (bits - 1) - 1)
    stored = store_border(BorderParams(b, b, None, b), bits)
    assert stored.b2 is None
    np.testing.assert_array_equal(stored.fusion, stored.b0)
    largest = np.abs(b).max()
    step = largest / (2 ** (bits - 1) - 1)
    eps = np.finfo(dtype).eps
    assert np.abs(stored.b0 - b).max() <= step / 2 + 2 * largest * eps
    np.testing.assert_allclose(np.abs(stored.b0).max(), largest, rtol=2 * eps)
    np.testing.assert_array_equal(np.rint(stored.b0 / qparams.step) * qparams.step, stored.b0)


def test_stored_by_hand():
    """8 bits, max 127/64: step 1/64, so 64ths survive and 1/128 more is a tie to even."""
    b = np.array([[127 / 64, -1.0, 3 / 128, 5 / 128]])
    stored = store_border(BorderParams(b, b), 8)
    assert stored.b0.tolist() == [[127 / 64, -1.0, 2 / 64, 2 / 64]]
    zeros = np.zeros((1, 2), np.float32)
    assert store_border(BorderParams(zeros, zeros), 16).b0.tolist() == [[0.0, 0.0]]
    tiny = np.full((1, 1), 5e-324)
    assert store_border(BorderParams(tiny, tiny), 8).b0.tolist() == [[0.0]]


def test_fewer_bits_change_more_codes():
    """AQ 5.3: share of 36 000 activation codes that change when 16 and 8 bits are stored."""
    options = BorderOptions()
    rng, _, qparams, params = real_case(0, options)
    params = BorderParams(*(b / 4 for b in params[:3]), params.fusion)
    x = rng.normal(0.6, 1.2, (1000, 6, 6))
    before = aquant_codes(x, qparams, params, options)
    share = {}
    for bits in (4, 8, 16):
        after = aquant_codes(x, qparams, store_border(params, bits), options)
        share[bits] = np.mean(before != after)
    assert 0 < share[8] < share[4] < 0.05
    assert share[16] < 1e-4 < share[8] < 0.005


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="groups is 2 for 3 and 4"):
        LayerShape(c_in=3, c_out=4, groups=2)
    with pytest.raises(ValueError, match="taps"):
        LayerShape(c_in=3, c_out=4, taps=0)
    layer = LayerShape(c_in=3, c_out=4)
    with pytest.raises(ValueError, match="degree"):
        border_count(layer, 3)
    with pytest.raises(ValueError, match="windows"):
        border_operations(layer, 0)
    with pytest.raises(ValueError, match="layers is empty"):
        border_share([])
    with pytest.raises(ValueError, match="others"):
        border_share([layer], -1)
    with pytest.raises(ValueError, match="border_bits"):
        size_growth(0.01, 4, 32)
    with pytest.raises(ValueError, match="finite"):
        coefficient_qparams(np.array([np.nan]))
    with pytest.raises(ValueError, match="empty"):
        coefficient_qparams(np.zeros((0, 1)))
