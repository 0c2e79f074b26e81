"""``refquant env``: versions, BLAS and arithmetic, as every report carries them."""

import argparse
import os
import platform
from typing import Any

import numpy as np
import scipy

from refquant import __version__
from refquant import numerics as nx
from refquant.cli.output import print_json

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("env", help="print versions, BLAS and arithmetic")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the environment."""
    facts = environment()
    if arguments.json:
        print_json(facts)
    else:
        width = max(map(len, facts))
        print("\n".join(f"{key.ljust(width)}  {value}" for key, value in facts.items()))
    return 0


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge a number: versions, BLAS, threads, arithmetic."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload]
    threads = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    return {
        "refquant": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "threads": threads or "not set",
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "arithmetic": nx.current().mode,
    }
