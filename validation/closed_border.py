"""What a border in closed form is worth: errors on calibration images alone, no test image read.

usage: python validation/closed_border.py [STEPS]

Without learning, at W2A2, W3A3 and real weights with A2: SQNR of the logits with every border at
1/2 and in closed form, the noise left out (degree 0), as a line and as a parabola. With STEPS, also
the hardened loss of all blocks before and after so many steps at W2A2, and the SQNR.
validation/closed_border.md keeps what it printed.
"""

import sys

import numpy as np

import refquant as rq
from refquant.methods.finish import FitBorder

LEARNT = ("digits-resnet:2", "digits-regnet:1")
NETWORKS = ("digits-resnet:2", "digits-mobilenet:1", "digits-regnet:1")
SETTINGS = {"W2A2": (2, 2), "W3A3": (3, 3), "W32A2": (None, 2)}
STARTS = {"1/2": None, "degree 0": 0, "degree 1": 1, "degree 2": 2}


def unlearnt(start: int | None, real_weights: bool, options: dict[str, str]) -> rq.Setting:
    """Return nearest weights, or real ones, behind borders that nothing learns."""
    base = rq.METHODS["nearest-border"]
    activations = base.activations
    activations = rq.replace(activations, options=rq.replace(activations.options, **options))
    finish = () if start is None else (FitBorder(error_degree=start),)
    weights = None if real_weights else base.weights
    return rq.replace(base, finish=finish, weights=weights, activations=activations)


def sqnr(
    network: rq.Network, x: np.ndarray, setting: rq.Setting, bits: tuple[int | None, int]
) -> float:
    """Return the SQNR of the logits on the calibration images, in dB."""
    result = rq.quantize(network, x, setting, weight_bits=bits[0] or 8, act_bits=bits[1])
    return float(rq.metrics.sqnr_db(network(x.astype(np.float64)), result.network(x)))


def without_learning() -> None:
    """Print one line a network, setting and bound."""
    for name in NETWORKS:
        network, x = rq.zoo.load(name), rq.zoo.data("digits").calib.x
        for label, bits in SETTINGS.items():
            for bound in ("clip", "sigmoid"):
                row = [
                    sqnr(network, x, unlearnt(start, bits[0] is None, {"bound": bound}), bits)
                    for start in STARTS.values()
                ]
                cells = "  ".join(f"{s} {v:6.2f}" for s, v in zip(STARTS, row, strict=True))
                print(f"{name:20} {label:6} {bound:8} dB: {cells}", flush=True)


def learning(steps: int) -> None:
    """Print loss and SQNR learnt from 1/2 and from the closed form, and with it at the end."""
    still = rq.METHODS["aquant-fixed-border"]
    settings = {
        "learnt from 1/2": rq.METHODS["aquant-recommended"],
        "learnt from the closed form": rq.METHODS["aquant-recommended+closed-form"],
        "stays at 1/2": still,
        "closed form at the end": rq.replace(still, finish=(FitBorder(),)),
    }
    for name in LEARNT:
        network, x = rq.zoo.load(name), rq.zoo.data("digits").calib.x
        for label, setting in settings.items():
            result = rq.quantize(network, x, setting, weight_bits=2, act_bits=2, steps=steps)
            ends = [
                sum(getattr(r, end) for r in result.history) for end in ("hard_start", "hard_end")
            ]
            db = rq.metrics.sqnr_db(network(x.astype(np.float64)), result.network(x))
            losses = f"loss {ends[0]:6.1f} -> {ends[1]:6.1f}"
            print(f"{name:20} {label:28} {losses}  {db:6.2f} dB", flush=True)


if __name__ == "__main__":
    without_learning()
    if len(sys.argv) > 1:
        learning(int(sys.argv[1]))
