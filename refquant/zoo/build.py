"""Make the embedded files: ``python -m refquant.zoo.build [NAME ...] [--digits NPZ] [--into DIR]``.

Trains the named networks (all twelve without a name) and writes their weights with their
checksums; with ``--digits`` writes the digits instead, from arrays `x` (1797, 8, 8) and `y`
(1797,). Files are replaced one by one, each only when it is complete, so an interrupted build
leaves an older file or a newer one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from refquant._checks import check_shape
from refquant.zoo.catalogue import entry, flatten, names
from refquant.zoo.digits import FILE
from refquant.zoo.files import npy_bytes, write_files
from refquant.zoo.training import Progress, train

EMBEDDED = Path(__file__).parent / "embedded"


def build(name: str, directory: Path, progress: Progress | None = None) -> None:
    """Train one network and write its weights into `directory`."""
    found = entry(name, "zoo.build")
    weights = flatten(train(name, progress)).astype(np.float32)
    write_files(directory, {found.file: npy_bytes(weights)})


def embed_digits(source: Path, directory: Path) -> None:
    """Write digits.npy into `directory` from an .npz with the images and labels.

    Raises
    ------
    ValueError
        If the images are not 1797 times 8x8 values in 0..16, or the labels are not 0..9.
    """
    with np.load(source, allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["y"]
    check_shape("embed_digits", "x", x, (1797, 8, 8))
    check_shape("embed_digits", "y", y, (1797,))
    if x.min() < 0 or x.max() > 16 or sorted(set(y.tolist())) != list(range(10)):
        raise ValueError(f"embed_digits(): {source} does not hold values 0..16 and labels 0..9")
    table = np.concatenate([x.reshape(1797, 64), y[:, None]], axis=1).astype(np.uint8)
    write_files(directory, {FILE: npy_bytes(table)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m refquant.zoo.build", description=__doc__)
    parser.add_argument("names", nargs="*", help="networks to train; all of them by default")
    parser.add_argument("--digits", type=Path, help="write digits.npy from this .npz instead")
    parser.add_argument("--into", type=Path, default=EMBEDDED, help="directory of the files")
    chosen = parser.parse_args(arguments)
    if chosen.digits is not None:
        embed_digits(chosen.digits, chosen.into)
        return
    from tqdm import tqdm  # progress only, imported late

    for name in chosen.names or names():
        build(name, chosen.into, progress=tqdm)


if __name__ == "__main__":
    main()
