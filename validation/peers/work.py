"""One case in PyTorch, ready to run."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Work(NamedTuple):
    """What is measured, and what is compared with the other side.

    Attributes
    ----------
    run : function without arguments
    results : function without arguments, or None
        Arrays by name.
    """

    run: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]] | None = None
