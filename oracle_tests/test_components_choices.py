"""Components refuse what they cannot do, or would not look at, when they are made."""

from dataclasses import replace

import numpy as np
import pytest

from refquant import components
from refquant.calibrate.mse_search import MseSearch
from refquant.components import NearestActivations
from refquant.methods import METHODS

OUTPUTS = ("FreeBias", "NormAffine", "XiEta")
KINDS = [getattr(components, name) for name in components.__all__]
NEAREST = (components.NearestWeights, components.TrainedWeights, NearestActivations)
QUANTIZERS = [kind for kind in KINDS if hasattr(kind(), "bits")]


@pytest.mark.parametrize("kind", QUANTIZERS)
@pytest.mark.parametrize("bits", [1, 17, 4.0, True])
def test_bits_are_a_width(kind, bits):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}\(\): bits"):
        kind(bits=bits)


@pytest.mark.parametrize("kind", [kind for kind in QUANTIZERS if hasattr(kind(), "axis")])
def test_weights_have_a_step_per_output_channel_or_one(kind):
    """A step per input channel would be read as one per output channel behind the product."""
    assert kind(axis=None).axis is None
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(\): axis is 1"):
        kind(axis=1)


@pytest.mark.parametrize("kind", [kind for kind in QUANTIZERS if hasattr(kind(), "samples")])
def test_a_range_is_found_on_some_samples(kind):
    """-1 would be all but the last."""
    for samples in (0, -1):
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(\): samples is {samples}"):
            kind(samples=samples)


@pytest.mark.parametrize("kind", [kind for kind in QUANTIZERS if hasattr(kind(), "rounding")])
@pytest.mark.parametrize(
    ("name", "known"), [("grid", "narrow"), ("rounding", "half_away"), ("mask", "unrounded")]
)
def test_a_field_that_nothing_reads_keeps_its_neutral_value(kind, name, known):
    """Ties and clip mask belong to nearest rounding; elsewhere they would be ignored."""
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(\): {name} is 'nearrest'"):
        kind(**{name: "nearrest"})
    if kind in NEAREST or (name == "grid" and not kind.__name__.startswith("LsqPlus")):
        assert getattr(kind(**{name: known}), name) == known
    else:
        with pytest.raises(ValueError, match=rf"{kind.__name__}\(\): {name} is '{known}'"):
            kind(**{name: known})


@pytest.mark.parametrize(
    "kind", [NearestActivations, components.BorderActivations, components.LsqPlusActivations]
)
def test_a_range_without_0_is_refused_before_anything_is_learnt(kind):
    """BRECQ's `mse` forces no 0 into the range, so that padding may have no code (section 3)."""
    component = kind(calibration=MseSearch("shrink80"))
    x = np.random.default_rng(0).normal(size=(8, 4))
    assert component.start(x)["s_x"] > 0.0
    with pytest.raises(ValueError, match=r"whose range lacks 0; .* Use MseSearch\('mq80'\)"):
        component.start(x + 9.0)
    assert kind(calibration=MseSearch("mq80")).start(x + 9.0)["s_x"] > 0.0


def test_what_a_component_may_be_is_no_part_of_a_setting():
    """Text and hash of a setting hold fields alone; those of the catalogue pass the checks."""
    for setting in METHODS.values():
        assert "choices" not in setting.to_json()
        for part in (setting.weights, setting.activations):
            assert part is None or replace(part, bits=3).bits == 3
