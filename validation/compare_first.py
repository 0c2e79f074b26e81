"""Write validation/compare-first.md: a first look at a few methods with few steps, not the study.

    python validation/compare_first.py --out rows      (interrupt it, run it again: it goes on)

It is the command line `refquant compare` with the arguments below, which the report prints.
"""

import argparse
import os
import sys
from pathlib import Path

from refquant.cli.main import main as refquant

ROOT = Path(__file__).parent.parent
REPORT = Path("validation") / "compare-first.md"
NETWORKS = ("digits-resnet:1..3", "digits-mobilenet:1..3", "digits-regnet:1..3")
METHODS = ("nearest", "adaround", "brecq", "qdrop", "nwq", "adaqtransform")
NOTE = (
    "A first look, not the study: 300 steps a unit where the papers take 20,000, one rounding "
    "seed, three trained copies of each network. Learning rates are the published ones scaled to "
    "the steps and lambda is 0.01 for all, which in 300 steps does not decide every weight, least "
    "of all where one optimisation runs over the whole network. Read it as a test of the command."
)
ARGUMENTS = (
    *("compare", *NETWORKS, "--methods", ",".join(METHODS), "--bits", "W4A4,W2A2"),
    *("--seeds", "0", "--steps", "300", "--title", "Six methods, a first look"),
    *("--note", NOTE, "--report", str(REPORT)),
)


def main() -> int:
    """Run the command from the repository's root."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="rows", help="directory of the rows (default: rows)")
    parser.add_argument("--workers", default="2")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    return refquant([*ARGUMENTS, "--out", arguments.out, "--workers", arguments.workers])


if __name__ == "__main__":
    sys.exit(main())
