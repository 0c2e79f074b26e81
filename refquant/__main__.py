"""``python -m refquant``: the command, where a shell does not find ``refquant``."""

import sys

from refquant.cli.main import main

if __name__ == "__main__":  # spawned workers import this file under another name
    sys.exit(main())
