"""Sequential MSE as the start of methods: what follows from a range, what is said and refused."""

from dataclasses import replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import adaround, images, residual, run_of
from oracle_tests.sequential_cases import BOTH, started_of, with_rule
from refquant.calibrate.ranges import MinMax
from refquant.calibrate.sequential import SequentialMse, sequential_mse
from refquant.components import NearestActivations, NearestWeights
from refquant.methods import ADDITIONS, METHODS, describe, resolve
from refquant.methods.nearest import NEAREST
from refquant.methods.sequential import starting_steps
from refquant.quantizers.grid import Grid, QParams
from refquant.reconstruct.model import weight_of

GRIDS = [
    name for name in METHODS if hasattr(METHODS[name].weights, "calibration") and "+" not in name
]


@pytest.mark.parametrize("name", GRIDS)
def test_what_depends_on_the_range_starts_at_the_one_found(name):
    """alpha, shares, logits, flips: those of a component that is given the step from outside."""
    network, x = residual(), images(residual())
    model, state = started_of(resolve(f"{name}+seq-mse"), network, x)
    whole = 0
    for layer, component in model.weights.items():
        own = {key[1]: value for key, value in state.items() if key[0] == layer}
        zero = own.get("zero_point", own.get("z_w")).astype(np.int64)
        w = weight_of(model.network, layer)
        expected = component.start_at(w, QParams(own["s_w"], zero, component._grid))
        for key, value in expected.items():
            np.testing.assert_array_equal(own[key], value)
        whole += np.array_equal(own["s_w"], component.start(w)["s_w"])
        if "alpha" in own:  # P18: the soft weight is the weight, where it is not clipped
            soft, _ = component.forward(w, own)
            low, high = Grid(component.grid, component.bits).limits(zero)
            inside = (np.floor(w / own["s_w"]) >= low) & (w / own["s_w"] <= high)
            away = 1e-4 if component.alpha_init == "clipped" else 1e-12  # from the ends of h
            error = np.abs(soft - w) / own["s_w"]
            assert np.all(error[inside] <= 1.001 * away)
            assert inside.any()
    assert whole < len(model.weights)


def test_learning_goes_on_from_the_range():
    """AdaRound moves alpha alone; the loss it starts from is that of the nearest codes there."""
    network, x = residual(), images(residual())
    setting = with_rule(SequentialMse(), adaround())
    model, before = started_of(setting, network, x)
    _, after, _ = run_of(network, setting, x, steps=4)
    for layer in model.weights:
        np.testing.assert_array_equal(before[(layer, "s_w")], after[(layer, "s_w")])
        assert np.any(before[(layer, "alpha")] != after[(layer, "alpha")])


def test_the_rule_is_part_of_the_setting():
    """Said in its text, and by `describe` with what the programs have."""
    setting = resolve("adaround-aimet+seq-mse")
    assert setting.weights == replace(
        METHODS["adaround-aimet"].weights, calibration=SequentialMse()
    )
    assert '"is": "SequentialMse", "candidates": 20, "quantize": ["weights"]' in setting.to_json()
    text = describe(setting)
    assert "calibration: SequentialMse" in text
    assert "candidates: 20  # AIMET: 20; ExecuTorch: 1000" in text
    assert ADDITIONS["seq-mse"].reference in setting.reference
    assert starting_steps(METHODS["adaround-aimet"]) == ()
    assert resolve("nearest+seq-mse-float") == replace(
        with_rule(SequentialMse(targets="float")),
        name="nearest+seq-mse-float",
        reference=f"{NEAREST.reference}; {ADDITIONS['seq-mse-float'].reference}",
        parents=("nearest", "seq-mse-float"),
    )


REFUSED = {
    "candidates": (lambda: SequentialMse(candidates=0), "candidates is 0"),
    "samples": (lambda: SequentialMse(samples=0), "samples is 0"),
    "widest": (lambda: SequentialMse(widest=0), "widest is 0"),
    "role": (lambda: SequentialMse(quantize=("weight",)), "Did you mean 'weights'"),
    "targets": (lambda: SequentialMse(targets="floats"), "Did you mean 'float'"),
    "granularity": (lambda: SequentialMse(granularity="pixel"), "granularity is 'pixel'"),
    "divisor": (lambda: SequentialMse(divisor="q"), "divisor is 'q'"),
    "nothing rounded": (
        lambda: SequentialMse(quantize=(), targets="float"),
        "targets is 'float' with quantize=.*Use 'same'",
    ),
    "real activations": (
        lambda: with_rule(SequentialMse(quantize=BOTH), replace(NEAREST, activations=None)),
        r"quantize is .* beside real activations.*Use \('weights',\)",
    ),
    "twice": (lambda: resolve("nearest+seq-mse+seq-mse"), "set the calibration of weights"),
    "both": (lambda: resolve("nearest+seq-mse+seq-mse-float"), "set the calibration of weights"),
    "no calibration": (lambda: resolve("adaquant+seq-mse"), r"Write 'nearest\+seq-mse'"),
    "real weights": (lambda: resolve("nearest-w32+seq-mse"), r"Write 'nearest\+seq-mse'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_contradictions_are_refused_when_made(what):
    build, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        build()


def test_rules_of_another_kind_are_refused_when_made():
    """Activations have no layer whose output could judge them."""
    with pytest.raises(TypeError, match=r"NearestActivations\(\): calibration is SequentialMse"):
        NearestActivations(calibration=SequentialMse())
    with pytest.raises(TypeError, match=r"NearestWeights\(\): calibration is str.*SequentialMse"):
        NearestWeights(calibration="minmax")
    for field in ({"w": np.ones(3, int)}, {"grid": 4}, {"rule": MinMax()}):
        good = {"w": np.ones((2, 3)), "grid": Grid("signed", 4), "rule": SequentialMse()}
        with pytest.raises(TypeError, match=r"sequential_mse\(\): " + next(iter(field))):
            sequential_mse(**{**good, **field}, errors=lambda _: np.zeros(2), axis=0)
