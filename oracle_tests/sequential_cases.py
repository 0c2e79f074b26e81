"""Sequential MSE for its tests: settings, a tiny layer, and the search written as loops."""

from dataclasses import replace
from itertools import product

import numpy as np

from oracle_tests.reconstruct_cases import BITS
from refquant.components import NearestWeights
from refquant.components.seen import Seen
from refquant.methods.nearest import NEAREST
from refquant.methods.sequential import starting_steps
from refquant.reconstruct.fit import started
from refquant.reconstruct.model import build_model

SIZES = (6, 5, 4, 3)
BOTH = ("weights", "activations")
MODES = {  # quantize and targets, as AIMET calls them
    "symqt": (("weights",), "same"),
    "asym": (("weights",), "float"),
    "symfp": ((), "same"),
    "all": (BOTH, "float"),
    "inputs": (("activations",), "float"),
}


def with_rule(rule, setting=NEAREST, **weights):
    """The setting with weights calibrated by the rule."""
    return replace(setting, weights=replace(setting.weights, calibration=rule, **weights))


def started_of(setting, network, x, bits=BITS):
    """Model, and its state before the first phase."""
    model = build_model(network, x, setting, bits)
    return model, started(model, x, starting_steps(setting))


def ranges(w, f, bits, affine):
    """Step T f / p or (max - min) f / (2^b - 1) of each row, and the zero point."""
    if not affine:
        return np.abs(w).max(axis=1) * f / (2 ** (bits - 1) - 1), np.zeros(len(w))
    low, high = np.minimum(w.min(axis=1) * f, 0), np.maximum(w.max(axis=1) * f, 0)
    step = (high - low) / (2**bits - 1)
    return step, -np.rint(low / step)


def rounded(w, step, zero, bits, affine):
    """Weights to nearest, row by row."""
    n = 0 if affine else -(2 ** (bits - 1))
    out = np.empty_like(w)
    for j in range(len(w)):
        codes = np.clip(np.rint(w[j] / step[j]) + zero[j], n, n + 2**bits - 1)
        out[j] = step[j] * (codes - zero[j])
    return out


def twin(network, x, acts, *, n=20, mode="symqt", affine=False, layerwise=False):
    """Steps of every fully connected layer, candidate after candidate on the data themselves.

    `acts` rounds what a layer reads, by its name, where activations are rounded.
    """
    quantized, targets = MODES[mode]
    real, given, found, bits = x, x, {}, BITS.weights
    for number in range(1, len(SIZES)):
        name = f"fc{number}"
        w, bias = network.params[(name, "w")], network.params[(name, "bias")]
        x_hat = acts[name](given) if "activations" in quantized else given
        wanted = (x_hat if targets == "same" else real) @ w.T
        errors = []
        for i in range(1, n + 1):
            w_hat = rounded(w, *ranges(w, i / n, bits, affine), bits, affine)
            errors.append(((x_hat @ w_hat.T - wanted) ** 2).mean(axis=0))
        errors = np.array(errors)
        if layerwise:
            errors = np.repeat(errors.sum(axis=1, keepdims=True), len(w), axis=1)
        parts = (errors.argmin(axis=0) + 1) / n
        found[name] = ranges(w, parts, bits, affine)
        w_hat = rounded(w, *found[name], bits, affine) if "weights" in quantized else w
        given, real = (np.maximum(v, 0) for v in (x_hat @ w_hat.T + bias, real @ w.T + bias))
    return found


def seen_of(seed, groups, targets):
    """A layer of 6 outputs that reads 4 rows a group, over 5 images of 3 positions."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(6, 4)), rng.normal(size=(5, 4 * groups, 3))
    x_hat = x if targets == "same" else x + 0.2 * rng.normal(size=x.shape)
    return Seen(x, x_hat, {}, w, w, groups, None, NearestWeights(bits=3))


def literal(seen, w_hat, targets):
    """The error of each output by loops over images, positions and outputs."""
    real = seen.given if targets == "same" else seen.wanted
    n, _, positions = seen.given.shape
    width, rows = len(seen.w) // seen.groups, seen.w.shape[1]
    errors = np.zeros(len(seen.w))
    for image, place, out in product(range(n), range(positions), range(len(seen.w))):
        part = slice(out // width * rows, (out // width + 1) * rows)
        given, wanted = seen.given[image, part, place], real[image, part, place]
        errors[out] += (w_hat[out] @ given - seen.w[out] @ wanted) ** 2
    return errors / (n * positions)
