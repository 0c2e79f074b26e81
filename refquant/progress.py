"""Progress bars: tqdm if asked for, imported only then; silence by default."""

from collections.abc import Callable
from typing import Any

from refquant._checks import complaint

Tick = Callable[[], None]
Progress = Callable[[str, int], Tick]


def silent(label: str, steps: int) -> Tick:
    """Show nothing."""
    return lambda: None


def bar(label: str, steps: int) -> Tick:
    """Show a tqdm bar of `steps` ticks on standard error, closed after the last one."""
    from tqdm import tqdm

    shown: Any = tqdm(total=steps, desc=label, leave=False, dynamic_ncols=True)

    def tick() -> None:
        """Move the bar on; close it after the last step."""
        shown.update()
        if shown.n >= steps:
            shown.close()

    return tick


def choose(progress: bool | Progress | None) -> Progress:
    """Return the progress function that an argument ``progress`` stands for.

    Raises
    ------
    TypeError
        If it is neither None, a bool nor a function.
    """
    if progress is None or progress is False:
        return silent
    if progress is True:
        return bar
    if callable(progress):
        return progress
    got = type(progress).__name__
    raise TypeError(complaint("quantize", "progress", got, "None, a bool or a function"))
