"""What bits cost, in a step on batches and in a whole run; what importing the package takes."""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from refquant import numerics as nx
from refquant import zoo
from refquant._types import Array
from refquant.bench.case import SAME, Arrays, Case, Work
from refquant.bench.layers import Size
from refquant.bench.unit_steps import begun, step_of
from refquant.methods.adaround import ADAROUND
from refquant.network import Network
from refquant.pipeline import quantize

SIZE, STEPS, IMAGES = Size(64, 16, 32), 20, 64
GOALS = {1: (0.5, 0.667), 2: (0.333, 0.4)}  # at most 2 and 3 times the time, aims 1.5 and 2.5
LIMIT = (
    "fast arithmetic convolves by Winograd's tiles, with four ninths of the products; pinned "
    "multiplies slices, {} of a step, and finds scales and cuts operands, {} of it."
)
SHARES = {1: ("two fifths", "more than a third"), 2: ("more than a half", "a third")}
IMPORT = 0.3  # seconds that importing may take
METHODS = ("adaround", "qdrop")


def cases() -> tuple[Case, ...]:
    """Return the cases: batches, whole runs, import."""
    batches = (
        Case(
            name=f"pinned AdaRound step on batches, {slices} slice{'s' * (slices > 1)}, 64:16",
            table=SAME,
            peer="refquant in fast arithmetic, float64",
            inputs=dict,
            ours=partial(_step, nx.Arithmetic("pinned", slices)),
            theirs=partial(_step, nx.Arithmetic("fast")),
            target=target,
            aim=aim,
            limit=LIMIT.format(*SHARES[slices]),
        )
        for slices, (target, aim) in GOALS.items()
    )
    runs = (
        Case(
            name=f"B7 pinned quantize, digits-resnet, {method}",
            table=SAME,
            peer="refquant in fast arithmetic, float64",
            inputs=dict,
            ours=partial(_whole, method, nx.Arithmetic("pinned", 1)),
            theirs=partial(_whole, method, nx.Arithmetic("fast")),
            quick=False,
        )
        for method in METHODS
    )
    imported = Case(
        name="import refquant",
        table=SAME,
        peer=f"{IMPORT} s, the time it may take",
        inputs=dict,
        ours=lambda inputs: Work(_import),
        theirs=lambda inputs: Work(partial(time.sleep, IMPORT)),
        target=1.0,
    )
    return (*batches, *runs, imported)


def _step(arithmetic: nx.Arithmetic, inputs: Arrays) -> Work:
    """One step in float64."""
    return Work(_within(arithmetic, step_of(begun(ADAROUND, 1, SIZE, "float64"))))


def _whole(method: str, arithmetic: nx.Arithmetic, inputs: Arrays) -> Work:
    """Calibrate and learn a network of the digits, a few steps a unit."""
    network, images = zoo.load("digits-resnet"), zoo.data("digits").calib.x[:IMAGES]
    return Work(_within(arithmetic, partial(_quantize, network, images, method)))


def _quantize(network: Network, images: Array, method: str) -> None:
    quantize(network, images, method=method, steps=STEPS)


def _within(arithmetic: nx.Arithmetic, run: Callable[[], object]) -> Callable[[], None]:
    def entered() -> None:
        """Run in this arithmetic."""
        with nx.arithmetic(arithmetic):
            run()

    return entered


def _import() -> None:
    subprocess.run([sys.executable, "-c", "import refquant"], check=True)
