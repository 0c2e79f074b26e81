"""What QDrop's gradient scale of the step changes: results on calibration images, no test image.

usage: python validation/qdrop_gradient_scale.py [STEPS]

Decision D34: QDrop's released code divides the gradient of s_x by the square root of the elements
in a batch times the largest code, and takes |s| where a step crossed 0. Each run is compared with
one that differs in one thing; another rounding seed says how much two runs differ by chance. One
copy of each digits network, W2A2 and W4A4. `validation/qdrop-gradient-scale.md` keeps the lines.
"""

import sys
from itertools import product
from typing import NamedTuple

import numpy as np

import refquant as rq

NETWORKS = ("digits-resnet:1", "digits-mobilenet:1", "digits-regnet:1")
BITS = (2, 4)
STEPS = 700


class Run(NamedTuple):
    """A setting, by name, and the seed of its rounding."""

    setting: str
    seed: int = 0


PLAIN = Run("neither")
PAIRS = (
    (Run("scale"), PLAIN),
    (Run("scale", seed=1), Run("neither", seed=1)),
    (Run("scale and |s|"), Run("scale")),
    (Run("neither", seed=1), PLAIN),
)


def setting(name: str) -> rq.Setting:
    """Return QDrop at the study's penalty and rate of alpha, with a part of the released code."""
    base = rq.METHODS["qdrop-released+equal-rounding"]
    phase = base.phases[0]
    off = {
        "neither": {"grad_scale": "none", "reflect": False},
        "scale": {"reflect": False},
        "scale and |s|": {},
    }[name]
    learn = tuple((n, rq.replace(how, **off) if n == "s_x" else how) for n, how in phase.learn)
    return rq.replace(base, name="qdrop-probe", phases=(rq.replace(phase, learn=learn),))


def quantized(network: str, bits: int, run: Run, steps: int) -> rq.Result:
    """Return the network after the run."""
    images = rq.zoo.data("digits").calib.x
    widths = {"weight_bits": bits, "act_bits": bits}
    how = setting(run.setting)
    return rq.quantize(rq.zoo.load(network), images, how, **widths, seed=run.seed, steps=steps)


def sqnr(network: str, result: rq.Result) -> float:
    """Return the SQNR of the logits on the calibration images, in dB."""
    x = rq.zoo.data("digits").calib.x
    return float(rq.metrics.sqnr_db(rq.zoo.load(network)(x.astype(np.float64)), result.network(x)))


def flips(result: rq.Result, other: rq.Result) -> float:
    """Return the share of weights with another code."""
    changed = [a.codes != other.layers[name].codes for name, a in result.layers.items()]
    return sum(int(c.sum()) for c in changed) / sum(c.size for c in changed)


def moved(result: rq.Result, other: rq.Result) -> float:
    """Return the largest relative difference of a step of activations."""
    steps = {k: v for k, v in result.prepared.params.items() if k[1] == "s_x"}
    return max(float(np.max(np.abs(s / other.prepared.params[k] - 1.0))) for k, s in steps.items())


def lines(network: str, bits: int, steps: int) -> list[str]:
    """Return a line for each pair: both ends of every run, and how far they are apart."""
    runs = dict.fromkeys(run for pair in PAIRS for run in pair)
    results = {run: quantized(network, bits, run, steps) for run in runs}
    loss = {run: sum(r.hard_end for r in result.history) for run, result in results.items()}
    decibel = {run: sqnr(network, result) for run, result in results.items()}
    found = []
    for a, b in PAIRS:
        apart = (
            f"{flips(results[a], results[b]):6.2%} codes  s_x {moved(results[a], results[b]):.1e}"
        )
        ends = f"loss {loss[b]:7.3f} -> {loss[a]:7.3f}  {decibel[b]:6.2f} -> {decibel[a]:6.2f} dB"
        label = f"{b.setting}, seed {b.seed} -> {a.setting}, seed {a.seed}"
        found.append(f"{network:19} W{bits}A{bits}  {label:39} {ends}  {apart}")
    return found


def main() -> None:
    """Print one line a network, width and pair."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    for network, bits in product(NETWORKS, BITS):
        print("\n".join(lines(network, bits, steps)), flush=True)


if __name__ == "__main__":
    main()
