"""B6: what a Gram step costs as images and maps grow: nothing, which is an exponent of 0.

The other side is refquant itself on a sixteenth of the data. With t ~ size^e a ratio of small to
large of 16^-e is an exponent e; 16^-0.05 = 0.87.
"""

from functools import partial

from refquant._types import Array
from refquant.bench.case import SAME, Arrays, Case, Work
from refquant.bench.gram_steps import layer_inputs, ours
from refquant.bench.layers import Size

TARGET = 0.87
PAIRS = {
    "images, 16:8, 64 to 1,024": (Size(16, 8, 64), Size(16, 8, 1024)),
    "side of the map, 16:8 to 16:32": (Size(16, 8, 64), Size(16, 32, 64)),
}


def cases() -> tuple[Case, ...]:
    """Return the cases of B6."""
    return tuple(
        Case(
            name=f"B6 Gram step over {name}",
            table=SAME,
            peer="refquant, a sixteenth of the columns",
            inputs=partial(_both, *pair),
            ours=partial(_side, "large"),
            theirs=partial(_side, "small"),
            target=TARGET,
            aim=1.0,
        )
        for name, pair in PAIRS.items()
    )


def _both(small: Size, large: Size) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for side, size in (("small", small), ("large", large)):
        found |= {f"{side}/{key}": value for key, value in layer_inputs(size).items()}
    return found


def _side(side: str, inputs: Arrays) -> Work:
    own = {key.partition("/")[2]: v for key, v in inputs.items() if key.startswith(f"{side}/")}
    return Work(ours(own).run)
