"""Make every figure: ``python figures/make_all.py``. Minutes; numbers go to standard output.

The runs behind them are in pinned arithmetic: the numbers are the same on every machine.
"""

from importlib import import_module
from pathlib import Path

FIGURES = sorted(path.stem for path in Path(__file__).parent.glob("fig_*.py"))

if __name__ == "__main__":
    for name in FIGURES:
        print(f"== {name}")
        print(import_module(name).make())
