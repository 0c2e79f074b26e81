"""Print a setting in full, so that a chain of `replace` never hides a value."""

from dataclasses import fields, is_dataclass
from typing import Any

from refquant.methods.setting import Setting


def describe(method: "Setting | str", steps: int | None = None) -> str:
    """Return every field of a setting, one a line, nested ones indented.

    Behind a field on which published implementations differ stands what each of them has; behind
    one that a component inherits and has no use for, that its value is the only one.

    Parameters
    ----------
    method : Setting or str
        A setting, or the name of one in the catalogue.
    steps : int or None
        Show it as it runs in so many steps a phase: learning rates are scaled so that parameters
        can travel as far (methods.md 5.7). None shows it as published.
    """
    from refquant.methods import resolve  # the catalogue imports this module

    setting = resolve(method).taking(steps)
    return "\n".join([f"{setting.name}: {setting.reference}", *_lines(setting, 1)])


def _lines(value: Any, depth: int) -> list[str]:
    lines: list[str] = []
    for field in fields(value):
        if isinstance(value, Setting) and field.name in ("name", "reference"):
            continue
        lines.extend(_entry(field.name, getattr(value, field.name), depth))
        if len(getattr(value, "choices", {}).get(field.name, ())) == 1:
            lines[-1] += "  # not read: the only value"
        elif published := field.metadata.get("published"):
            lines[-1] += f"  # {published}"
    return lines


def _entry(name: str, value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if is_dataclass(value) and not isinstance(value, type):
        return [f"{pad}{name}: {type(value).__name__}", *_lines(value, depth + 1)]
    if isinstance(value, tuple) and any(_is_nested(item) for item in value):
        lines = [f"{pad}{name}:"]
        for number, item in enumerate(value):
            lines.extend(_item(number, item, depth + 1))
        return lines
    return [f"{pad}{name}: {value}"]


def _item(number: int, item: Any, depth: int) -> list[str]:
    """One element of a tuple; a (name, value) pair is shown under its name."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return _entry(item[0], item[1], depth)
    return _entry(f"[{number}]", item, depth)


def _is_nested(item: Any) -> bool:
    if isinstance(item, tuple):
        return any(_is_nested(part) for part in item)
    return is_dataclass(item)
