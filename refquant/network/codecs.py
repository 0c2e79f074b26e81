"""Node attributes as JSON and back, and the strict readers of JSON values it takes.

Each function returns what it was given, in the wanted form, or raises ValueError. Nothing is
converted on the way: an int stays an int and a float a float, so that a round trip is exact.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from refquant._bundle.manifest import is_name
from refquant.layers.geometry import Geometry

MAX_SIZE = 2**20  # of an input or of anything in a geometry: larger is a mistake or an attack
PAIRS = ("kernel", "stride", "dilation", "padding")  # tuples of a geometry, lists in JSON


def read_object(value: Any, what: str, *names: str) -> dict[str, Any]:
    """Return `value` if it is an object with exactly these fields."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise ValueError(f"{what} does not have the fields {', '.join(names)}")
    return value


def read_list(value: Any, what: str) -> list[Any]:
    """Return `value` if it is a list."""
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")
    return value


def read_name(value: Any, what: str) -> str:
    """Return `value` if it is a short printable string."""
    if not is_name(value):
        raise ValueError(f"{what} is empty, too long, unprintable or not a string")
    return str(value)


def read_size(value: Any, low: int = 1) -> int:
    """Return `value` if it is an integer in low..MAX_SIZE."""
    if type(value) is not int or not low <= value <= MAX_SIZE:
        raise ValueError(f"a size is not an integer in {low}..{MAX_SIZE}")
    return value


def read_number(value: Any) -> float:
    """Return `value` if it is a finite Python float or int."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number is not a finite Python float or int")
    return float(value) if isinstance(value, float) else value


def read_flag(value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise ValueError("a flag is not True or False")
    return value


def write_geometry(value: Any) -> dict[str, Any] | None:
    """Return a geometry as an object with its five fields; None stays None."""
    if value is None:
        return None
    if type(value) is not Geometry:
        raise ValueError("a geometry is not a Geometry")
    pairs = {name: list(getattr(value, name)) for name in PAIRS}
    return {**pairs, "groups": value.groups}


def read_geometry(value: Any) -> Geometry | None:
    """Return the geometry that `write_geometry` wrote as `value`."""
    if value is None:
        return None
    fields = read_object(value, "a geometry", *PAIRS, "groups")
    pairs = {
        name: tuple(read_size(size, 0) for size in read_list(fields[name], name)) for name in PAIRS
    }
    return Geometry(groups=read_size(fields["groups"]), **pairs)  # type: ignore[arg-type]


class Codec(NamedTuple):
    """How an attribute becomes JSON, and how it comes back."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


CODECS: Mapping[str, Codec] = {
    "geometry": Codec(write_geometry, read_geometry),
    "eps": Codec(read_number, read_number),
    "slope": Codec(read_number, read_number),
    "count_include_pad": Codec(read_flag, read_flag),
    "groups": Codec(read_size, read_size),
}
