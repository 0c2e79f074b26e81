"""Laws of the whole catalogue at neutral values: learn nothing, and a method is its parent."""

from dataclasses import fields, replace

import numpy as np
import pytest

from oracle_tests.reconstruct_cases import classes, images, normed, residual, run_of
from refquant.calibrate.ranges import MinMax
from refquant.methods import METHODS
from refquant.pipeline import quantize

NETWORK = residual()
X = images(NETWORK)
OPTIONS = {"weight_bits": 3, "act_bits": 4, "steps": 3, "labels": classes(X)}
STEPPED = [
    name
    for name, setting in METHODS.items()
    if setting.phases and all(phase.solver == "minibatch" for phase in setting.phases)
]
CHILDREN = [
    name
    for name, setting in METHODS.items()
    if setting.parents and name != "a-rounding"  # no value of anything makes it nearest
]
# Ranges that leave no value on a tie, where methods differ by a rule of their own: the largest
# weight lies half a step beyond the levels of a symmetric grid (D3).
COMMON = {"grid": "affine", "calibration": MinMax()}
SWITCHED_OFF = {"kernel": False, "channel": False}  # SQuant's flips


def same(one, two):
    """Hold two results to the same codes, steps and logits, bit for bit."""
    assert one.layers.keys() == two.layers.keys()
    for layer, values in one.layers.items():
        other = two.layers[layer]
        np.testing.assert_array_equal(values.codes, other.codes)
        np.testing.assert_array_equal(values.s_w, other.s_w)
    assert one.network(X).tobytes() == two.network(X).tobytes()


@pytest.mark.parametrize("name", STEPPED)
def test_at_a_rate_of_zero_nothing_moves(name):
    """Whatever is drawn, mixed, driven and penalised: the run is the one that learns nothing."""
    setting = METHODS[name]
    still = tuple(
        replace(phase, begin=(), learn=tuple((n, replace(how, lr=0.0)) for n, how in phase.learn))
        for phase in setting.phases
    )
    start = quantize(NETWORK, X, replace(setting, phases=()), **OPTIONS)
    same(quantize(NETWORK, X, replace(setting, phases=still), **OPTIONS), start)


def on_common_ranges(component):
    """The component with the ranges of all, and without what cannot be neutral otherwise."""
    if component is None:
        return None
    own = {field.name for field in fields(component)}
    return replace(component, **{k: v for k, v in (COMMON | SWITCHED_OFF).items() if k in own})


def start_of(setting, placement, real):
    """Quantize by a setting before anything is learnt or fitted."""
    weights = None if real else on_common_ranges(setting.weights)
    bare = replace(
        setting,
        weights=weights,
        activations=on_common_ranges(setting.activations),
        placement=placement,
        phases=(),
        finish=(),
    )
    return quantize(NETWORK, X, bare, **OPTIONS)


@pytest.mark.parametrize("name", CHILDREN)
def test_a_method_starts_as_its_parent(name):
    """Neutral values of all it adds, at the same ranges and place: the parent, bit for bit."""
    setting = METHODS[name]
    place, real = setting.placement, setting.weights is None
    parent = METHODS[setting.parents[0]]
    same(start_of(setting, place, real), start_of(parent, place, real))


@pytest.mark.parametrize("name", [name for name, setting in METHODS.items() if setting.phases])
def test_what_a_method_says_it_learns_moves_and_nothing_else(name):
    """What phases learn, drive, or start anew ends where it did not begin; all else where it did.

    AQuant's schedule ends at 1, where its parameter is at rest.
    """
    setting = METHODS[name]
    model, state, _ = run_of(normed(), setting, steps=3)
    begun = {write for phase in setting.phases for step in phase.begin for write in step.writes}
    named = {entry[0] for phase in setting.phases for entry in (*phase.learn, *phase.drive)}
    moved = {key[1] for key, value in model.start.items() if np.any(value != state[key])}
    assert moved == begun | named - {"a"}
