"""Networks as commands take them: one of the zoo by its name, or a folder of your own.

A folder holds a network with its images, as `refquant.subjects.save` writes it. A name of the zoo
means the zoo; a folder that is called so is written ``./digits-mlp``.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refquant import subjects, zoo
from refquant._types import Array
from refquant.cli.arguments import ARCHITECTURES, network_name


class Chosen(NamedTuple):
    """A network by the name that rows and reports call it by, and the folder it lies in, if any."""

    name: str
    folder: str | None = None

    @property
    def word(self) -> str:
        """How a command line names it."""
        return self.folder or self.name

    def load(self) -> subjects.Subject:
        """Return network and images; ValueError, OSError if the folder is no longer what it was."""
        return subjects.load(self.name, self.folder)


def network(text: str) -> Chosen:
    """Return the network that `text` names, a folder read whole."""
    if text.partition(":")[0] in ARCHITECTURES or not _is_path(text):
        return Chosen(network_name(text))
    try:
        return Chosen(subjects.read(text).name, text)
    except (TypeError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} holds no network with images: {error}"
        ) from None


def check_images(chosen: Iterable[Chosen]) -> None:
    """Refuse networks whose test images differ: gains are paired image by image.

    Raises
    ------
    ValueError
        That names two of them.
    """
    first, *others = chosen
    expected = _test(first)
    for other in others:
        if not all(map(np.array_equal, expected, _test(other))):
            fix = "compare them in a command of their own."
            raise ValueError(f"NETWORK {other.word}: not the test images of {first.word}; {fix}")


def _is_path(text: str) -> bool:
    return Path(text).is_dir() or Path(text).name != text


def _test(chosen: Chosen) -> tuple[Array, Array]:
    split = zoo.data("digits").test if chosen.folder is None else chosen.load().test
    return split.x, np.asarray(split.y)
