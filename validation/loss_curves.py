"""How the loss falls while the study's methods learn: has a run of so many steps come to rest?

usage: python validation/loss_curves.py [STEPS]

One copy of one digits network, W2A2, the study's settings and steps; calibration images alone. The
loss is that of batches, with soft weights, summed over units and averaged over tenths of the steps,
in shares of the first tenth: methods with other units or terms have losses of their own. Beside it
the share of decided weights at the end of each tenth. `validation/loss-curves.md` keeps the lines.
"""

import sys
from collections.abc import Iterator

import numpy as np

import refquant as rq

NETWORK, BITS, STEPS, TENTHS = "digits-resnet:1", 2, 700, 10
EQUAL = "+equal-rounding"
METHODS = (
    f"adaround{EQUAL}",
    f"brecq{EQUAL}",
    f"qdrop{EQUAL}",
    f"nwq{EQUAL}+normalized",
    "aquant",
    "aquant-recommended",
    f"adaqtransform{EQUAL}+normalized",
    "aquant+adaqtransform",
)


def curves(result: rq.Result, phase: int, steps: int) -> tuple[list[float], list[float]]:
    """Return loss and share of decided weights of a phase over all units, by tenths of its steps.

    Every unit has been recorded at the same steps.
    """
    records = [record for record in result.history if record.phase == phase]
    loss = np.sum([record.loss for record in records], axis=0)
    sizes = [record.rounded for record in records]
    decided = np.average([record.binary for record in records], axis=0, weights=sizes)
    tenth = (np.array(records[0].steps) - 1) * TENTHS // steps
    parts = [tenth == number for number in range(TENTHS)]
    return [float(loss[part].mean()) for part in parts], [
        float(decided[part][-1]) for part in parts
    ]


def lines(method: str, steps: int) -> Iterator[str]:
    """Yield two lines for each phase of a run: the loss, and what is decided."""
    images = rq.zoo.data("digits").calib.x
    widths = {"weight_bits": BITS, "act_bits": BITS}
    result = rq.quantize(rq.zoo.load(NETWORK), images, method, steps=steps, **widths)
    for number in range(len(result.setting.phases)):
        loss, decided = curves(result, number, steps)
        falls = " ".join(f"{value / loss[0]:6.3f}" for value in loss)
        yield f"{method:40} {number + 1}  loss     {falls}"
        yield f"{'':40}    decided  {' '.join(f'{value:6.3f}' for value in decided)}"


def main() -> None:
    """Print the lines of every method as soon as its run has ended."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    for method in METHODS:
        for line in lines(method, steps):
            print(line, flush=True)


if __name__ == "__main__":
    main()
