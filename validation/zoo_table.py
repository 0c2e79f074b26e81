"""Write the table of the zoo: ``python -m validation.zoo_table`` makes validation/zoo.md.

Everything is recomputed from the embedded files, in pinned arithmetic, so the table is the same
on any machine; ``--check`` compares it with the file instead of writing (exit code 1 if it
differs).
"""

import sys
from pathlib import Path

import numpy as np

from refquant import numerics as nx
from refquant import zoo
from refquant.network import count_parameters, predict
from refquant.zoo.catalogue import entry, flatten
from refquant.zoo.recipes import RECIPES
from refquant.zoo.training import digest
from validation.pages import command

TABLE = Path(__file__).parent / "zoo.md"
SETTINGS = ("epochs", "batch", "lr", "momentum", "decay", "shift", "statistics", "slices")
HEAD = """# The networks of the zoo

Made by `python -m validation.zoo_table` from the embedded weights, in pinned arithmetic.

Digits: 1,024 images to train on, 773 to test on. The settings were chosen on 256 of the 1,024
(`refquant.zoo.digits.validation_cut`) with other seeds than those below; then each network was
trained once on all 1,024. Nothing was changed after the test images had been read.

`refquant.zoo.check(NAME)` trains a network again and compares every bit.

"""


def page() -> str:
    """Return the page."""
    return HEAD + networks() + "\n" + settings()


def networks() -> str:
    """Return one row a network."""
    rows = [row(name) for name in zoo.names()]
    total = sum(count_parameters(zoo.load(name)) for name in zoo.names())
    return (
        "| network | parameters | bytes | train | test | wrong of 773 | SHA-256 of the weights |\n"
        "|---|---|---|---|---|---|---|\n"
        + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
        + f"\nTogether {total:,} parameters, {4 * total:,} bytes as float32. SHA-256 is of the\n"
        "parameters as little-endian float32 in the order of the architecture.\n"
    )


def row(name: str) -> list[str]:
    """Return the cells of one network."""
    network, data = zoo.load(name), zoo.data("digits")
    with nx.arithmetic("pinned", slices=3):
        wrong = [
            int(np.count_nonzero(predict(network, part.x.astype(float)).argmax(axis=1) != part.y))
            for part in (data.train, data.test)
        ]
    size = count_parameters(network)
    train, test = (
        f"{100 * (1 - bad / len(part.x)):.2f} %"
        for bad, part in zip(wrong, (data.train, data.test), strict=True)
    )
    sha = digest(flatten(network))
    return [entry(name).name, f"{size:,}", f"{4 * size:,}", train, test, str(wrong[1]), f"`{sha}`"]


def settings() -> str:
    """Return the table of the training settings."""
    lines = [f"| network | {' | '.join(SETTINGS)} |", "|---" * (len(SETTINGS) + 1) + "|"]
    for name, recipe in RECIPES.items():
        values = " | ".join(str(getattr(recipe, setting)) for setting in SETTINGS)
        lines.append(f"| {name} | {values} |")
    return "Training settings (`refquant.zoo.recipes`):\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(command(TABLE, page, "validation.zoo_table", __doc__))
