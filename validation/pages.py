"""Pages that a command makes anew: written, or with --check compared with what is there."""

import argparse
from collections.abc import Callable
from pathlib import Path


def command(path: Path, page: Callable[[], str], module: str, says: str) -> int:
    """Write the page, or compare it; return the exit code, 1 if the file is another.

    Parameters
    ----------
    path : Path
    page : function
        Returns the text; called once the arguments are read.
    module : str
        What makes the page: ``python -m MODULE``.
    says : str
        Its description, for --help.
    """
    parser = argparse.ArgumentParser(description=says.splitlines()[0])
    parser.add_argument("--check", action="store_true", help=f"compare {path.name}, write nothing")
    check = parser.parse_args().check
    text = page()
    if not check:
        path.write_text(text, encoding="utf-8")
        return 0
    same = path.read_text(encoding="utf-8") == text
    print(f"{path.name} {'is up to date' if same else f'differs: run python -m {module}'}")
    return 0 if same else 1
