"""The one error of saving and loading."""

from pathlib import Path


class BundleError(ValueError):
    """A bundle cannot be read or written; the message names the file and what to do."""


def refusal(path: Path | str, problem: str, fix: str) -> BundleError:
    """Return the error about `path`: what is wrong with it, and what would help."""
    return BundleError(f"{path}: {problem}. {fix}")
