"""Keep every finished unit of a run, so that an interrupted run loses none of them.

A checkpoint directory holds one folder per run, named by the hash of everything that decides the
result (version, setting, bits, seed, steps, arithmetic, network, images), and in it one bundle per
phase and unit with the unit's part of the state. Bundles are written under a temporary name and
renamed, so a half-written one is never seen. What is read is checked before it is used.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refquant._bundle import BundleError, read_bundle, write_bundle
from refquant._types import Array
from refquant.network.graph import Key
from refquant.reconstruct.history import Record

FORMAT = "refquant-checkpoint"
CODES = "codes"  # the one parameter that a unit may gain or lose


@dataclass(frozen=True)
class Store:
    """The folder of one run."""

    folder: Path

    def find(self, place: str, like: Mapping[Key, Array]) -> tuple[dict[Key, Array], Record] | None:
        """Return the part of the state and the record kept for a finished unit, or None.

        Parameters
        ----------
        place : str
            Name of the unit's bundle.
        like : mapping
            The unit's part of the state before the phase, whose names, shapes and dtypes the
            kept one must have.

        Raises
        ------
        BundleError
            If what is kept there is damaged or belongs to something else.
        """
        path = self.folder / place
        if not path.exists():
            return None
        manifest, arrays = read_bundle(path)
        own = {_key(name): value for name, value in arrays.items()}
        record = record_from_data(manifest.get("record"))
        if manifest.get("format") != FORMAT or record is None or _kinds(own) != _kinds(like):
            fix = "Remove it, or choose another checkpoint directory."
            raise BundleError(f"{path}: not the checkpoint of this unit. {fix}")
        return own, record

    def keep(self, place: str, own: Mapping[Key, Array], record: Record) -> None:
        """Write the part of the state and the record of a finished unit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = {"format": FORMAT, "record": record_to_data(record)}
        arrays = {f"{node}/{name}": value for (node, name), value in own.items()}
        # A second process in the same run may have been faster; what it wrote is the same.
        write_bundle(self.folder / place, manifest, arrays, overwrite=True)


def record_to_data(record: Record) -> dict[str, Any]:
    """Return the record as JSON data; infinities and NaN, which JSON lacks, become text."""
    return {name: _plain(value) for name, value in record._asdict().items()}


def record_from_data(data: Any) -> Record | None:
    """Return the record that `record_to_data` wrote; None if `data` is nothing of the kind."""
    if not isinstance(data, dict) or set(data) != set(Record._fields):
        return None
    kinds = (int, str, *[tuple] * 4, int, tuple, float, float, bool)
    pairs = list(zip(Record._fields, kinds, strict=True))
    values = {n: data[n] if kind is str else _restored(data[n]) for n, kind in pairs}
    return Record(**values) if all(type(values[n]) is kind for n, kind in pairs) else None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restored(entry) for entry in value)
    return float(value) if value in ("nan", "inf", "-inf") else value


def _key(name: str) -> Key:
    node, _, parameter = name.rpartition("/")
    return node, parameter


def _kinds(own: Mapping[Key, Array]) -> dict[Key, tuple[Any, ...]]:
    return {key: (v.dtype, v.shape) for key, v in own.items() if key[1] != CODES}
