"""``refquant env``: versions, BLAS and arithmetic, as every report carries them."""

import argparse
import os
import platform
from dataclasses import asdict
from typing import Any

import numpy as np
import scipy

from refquant import __version__
from refquant import numerics as nx
from refquant.cli.arguments import add_command
from refquant.cli.output import facts, print_json, show

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
EPILOG = """\
Holds no path, host or user name, so it can be pasted into a report.

examples:
  refquant env
  refquant env --json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "env",
        help="print versions, BLAS and arithmetic",
        description="Prints what a reader needs to judge a number: versions, BLAS, arithmetic.",
        epilog=EPILOG,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the environment."""
    values = environment()
    if arguments.json:
        print_json(values)
    else:
        named = {key: _text(value) for key, value in values.items()}
        show(facts(named))
    return 0


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge a number: versions, BLAS, threads, arithmetic."""
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return {
        "refquant": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "arithmetic": asdict(nx.current()),
    }


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{k}={v}" for k, v in value.items() if v is not None) or "not set"
