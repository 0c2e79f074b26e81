"""What a setting changes in its parent: the contribution of a paper, or of a dialect, as fields."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from refquant.methods.setting import Setting

LABELS = ("name", "reference", "parents")
Path = tuple[str, ...]


def differences(setting: Setting, parent: Setting) -> dict[str, Any]:
    """Return the fields in which `setting` differs from `parent`, by path, with its values.

    Parameters
    ----------
    setting, parent : Setting

    Returns
    -------
    dict
        {"phases.0.penalty.beta.curve": "cosine", ...}; a field it lacks has the value None. A
        part of another kind is named by its class alone.
    """
    own, other = dict(_leaves(setting)), dict(_leaves(parent))
    changed = {path for path in {**own, **other} if own.get(path) != other.get(path)}
    kept = [path for path in {**own, **other} if path in changed and path[0] not in LABELS]
    return {".".join(path): own.get(path) for path in kept if not _inside(path, changed)}


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every plain value in `value` with the names that lead to it."""
    if is_dataclass(value):
        yield path, type(value).__name__
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, tuple) and any(_nested(item) for item in value):
        for number, item in enumerate(value):
            pair = isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
            name, inner = item if pair else (str(number), item)
            yield from _leaves(inner, (*path, name))
    else:
        yield path, value


def _inside(path: Path, changed: set[Path]) -> bool:
    """Return whether `path` belongs to a part that is of another kind."""
    return any(path[:end] in changed for end in range(1, len(path)))


def _nested(item: Any) -> bool:
    return is_dataclass(item) or (isinstance(item, tuple) and any(map(_nested, item)))
