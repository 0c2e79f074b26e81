"""How fast AQuant's border may move in a short run: hardened loss on the calibration images.

usage: python validation/border_rate.py [STEPS]

Both gates of D17, three learning rates, two networks, W2A2. No test image is read. The table of
`refquant.methods.aquant` comes from here.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import refquant as rq
from refquant.methods import Learn

NETWORKS = ("digits-resnet:2", "digits-regnet:1")
GATES = ("literal", "support")
RATES = (1e-3, 1.5e-4, 0.0)
BORDER = ("b0", "b1", "b2", "fusion")


def setting(gate: str, rate: float) -> rq.Setting:
    """Return AQuant with this gate and this learning rate of the border."""
    base = rq.METHODS["aquant"]
    phase = base.phases[0]
    learn = tuple((name, Learn(lr=rate) if name in BORDER else how) for name, how in phase.learn)
    options = rq.replace(base.activations.options, gate=gate)
    return rq.replace(
        base,
        name="aquant-probe",
        activations=rq.replace(base.activations, options=options),
        phases=(rq.replace(phase, learn=learn),),
    )


def loss(network: str, gate: str, rate: float, steps: int) -> float:
    """Return the hardened losses of all blocks, summed."""
    result = rq.quantize(
        rq.zoo.load(network),
        rq.zoo.data("digits").calib.x,
        setting(gate, rate),
        weight_bits=2,
        act_bits=2,
        steps=steps,
    )
    return sum(record.hard_end for record in result.history)


def main() -> None:
    """Print one line a configuration."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    cases = list(product(NETWORKS, GATES, RATES))
    with ProcessPoolExecutor(2) as pool:
        losses = pool.map(loss, *zip(*cases, strict=True), [steps] * len(cases))
        for (network, gate, rate), value in zip(cases, losses, strict=True):
            print(f"{network:18} gate={gate:8} border lr={rate:<8g} loss {value:.1f}", flush=True)


if __name__ == "__main__":
    main()
