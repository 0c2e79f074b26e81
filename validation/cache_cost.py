"""Write validation/cache-cost.md: what keeping values in files costs in time.

    python -m validation.cache_cost --images 1024 --steps 100 --rounds 7

Whole runs on digits-resnet at W3A4, in turn: memory, files, files, memory, ... Times are CPU time
of the process: with what the system does for it, without waiting for a disk or other processes.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import refquant as rq
from refquant.storage import MEMORY, Disk, Storage

PAGE = Path(__file__).parent / "cache-cost.md"
HEAD = """# Values in files instead of in memory

Made by `python -m validation.cache_cost {said}`: digits-resnet at W3A4 in float64, {images}
calibration images, {steps} steps a unit. The cost is the CPU time of a run with `cache="disk"` over
that of one with `cache="memory"`, in turn: the median of {rounds} rounds, least and greatest. The
fewer the steps, the more of a run is writing; published numbers are 10,000 and more.

| method | cost in time | files |
|---|---|---|
"""


def seconds(method: str, options: argparse.Namespace, storage: Storage) -> float:
    """Return the CPU time of a run."""
    network, x = rq.zoo.load("digits-resnet"), rq.zoo.data("digits").calib.x[: options.images]
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few samples
        words = {"weight_bits": 3, "act_bits": 4, "steps": options.steps, "cache": storage}
        rq.quantize(network, x, method, **words)
    return time.process_time() - began


def row(method: str, options: argparse.Namespace) -> str:
    """Return one method's line."""
    disk, found = Disk(), list[float]()
    seconds(method, argparse.Namespace(images=8, steps=1), MEMORY)  # imports are no run's
    for number in range(options.rounds):
        order = (MEMORY, disk) if number % 2 == 0 else (disk, MEMORY)
        taken = {storage: seconds(method, options, storage) for storage in order}
        found.append(taken[disk] / taken[MEMORY])
        print(method, {type(k).__name__: round(v, 2) for k, v in taken.items()}, file=sys.stderr)
    cost = f"{median(found):.2f} ({min(found):.2f} .. {max(found):.2f})"
    return f"| {method} | {cost} | {disk.peak() / 1e6:.1f} MB |"


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("images", 1024), ("steps", 100), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--methods", default="adaround,brecq,adaround-gram")
    options = parser.parse_args()
    said = " ".join(f"--{name} {value}" for name, value in vars(options).items())
    rows = [row(method, options) for method in options.methods.split(",")]
    PAGE.write_text(HEAD.format(said=said, **vars(options)) + "\n".join(rows) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
