"""Keep every finished unit of a run, so that an interrupted run loses none of them.

A checkpoint directory holds one folder per run, named by the hash of everything that decides the
result (setting, bits, seed, steps, arithmetic, network, images), and in it one bundle per finished
unit. Bundles are written under a temporary name and renamed, so a half-written one is never seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refquant._bundle import read_bundle, write_bundle
from refquant._types import Array
from refquant.network.graph import Key
from refquant.reconstruct.history import Record

FORMAT = "refquant-checkpoint"


@dataclass(frozen=True)
class Store:
    """The folder of one run."""

    folder: Path

    def find(self, phase: int, unit: int) -> tuple[dict[Key, Array], Record] | None:
        """Return the state and record kept for a finished unit, or None."""
        place = self._place(phase, unit)
        if not place.is_dir():
            return None
        manifest, arrays = read_bundle(place)
        state = {_key(name): value for name, value in arrays.items()}
        return state, record_from_data(manifest["record"])

    def keep(self, phase: int, unit: int, state: Mapping[Key, Array], record: Record) -> None:
        """Write the state after a finished unit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = {"format": FORMAT, "record": record_to_data(record)}
        arrays = {f"{node}/{name}": value for (node, name), value in state.items()}
        write_bundle(self._place(phase, unit), manifest, arrays)

    def _place(self, phase: int, unit: int) -> Path:
        return self.folder / f"phase{phase}-unit{unit:03d}"


def record_to_data(record: Record) -> dict[str, object]:
    """Return the record as JSON data; NaN (no penalty yet) becomes null."""
    return {name: _plain(value) for name, value in record._asdict().items()}


def record_from_data(data: Mapping[str, object]) -> Record:
    """Return the record that `record_to_data` wrote."""
    values = {
        name: tuple(data[name]) if isinstance(data[name], list) else data[name]  # type: ignore[arg-type]
        for name in Record._fields
    }
    return Record(**values)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _key(name: str) -> Key:
    node, parameter = name.rsplit("/", 1)
    return node, parameter


