"""What the embedded networks are for: low bits hurt them, and adaptive rounding has work to do."""

import pytest

from refquant import zoo
from refquant.sweeps import Config, run

IMAGE_NETWORKS = [name for name in zoo.names() if not name.startswith("digits-mlp")]


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_two_bits_hurt_when_rounded_to_nearest(name: str) -> None:
    """Nearest at W2A2 loses at least 15 points on every image network, or nothing is to be won."""
    row = run(Config(network=name, method="nearest", weight_bits=2, act_bits=2, calibration=256))
    assert row["accuracy"] <= 0.97 - 0.15  # every network reads at least 97 % in float
    assert row["integer_equals_fake"]


@pytest.mark.parametrize("bits", [2, 3])
def test_adaround_clearly_beats_nearest(bits: int) -> None:
    """On digits-resnet at 8-bit activations: at least 10 dB of logit SQNR, and no accuracy lost."""
    rows = {
        method: run(
            Config(
                network="digits-resnet",
                method=method,
                weight_bits=bits,
                steps=60,
                calibration=256,
            )
        )
        for method in ("nearest", "adaround")
    }
    assert rows["adaround"]["sqnr_db"] >= rows["nearest"]["sqnr_db"] + 10.0
    assert rows["adaround"]["accuracy"] >= rows["nearest"]["accuracy"]
    assert rows["adaround"]["integer_equals_fake"]
