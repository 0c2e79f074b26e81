"""Twenty-one thousand damaged or hostile bundles: a clear error or a clean load, and nothing else.

Nothing may crash, hang, allocate beyond the limit, or write. Deterministic: the seed is the number
of the round.
"""

import json
import os
import random
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle_tests.hostile import Files, mutate
from oracle_tests.network_samples import everything
from refquant._bundle import BundleError
from refquant.network import load, save
from refquant.oracle.build import build
from refquant.oracle.case import Case
from refquant.oracle.pack import pack, unpack
from refquant.oracle.registry import ops
from refquant.oracle.results import read_results
from refquant.oracle.vectors import write_vectors
from refquant.oracle.vectors_read import read_vectors

LIMIT = 2**24  # bytes that reading a bundle of a few kilobytes may take
ROUNDS = {"vectors": 9000, "results": 4000, "pack": 5000, "network": 3000}
WATCHED = 40  # every so many rounds memory is traced, which is slow


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the rounds write sixty thousand small files."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="refquant-") as name:
        yield Path(name)


def small_case() -> Any:
    """A case of a few numbers."""
    inputs = {"u": np.array([0.5, 1.25]), "border": np.array([0.5, 0.25])}
    return build(ops()["border_round"], Case("border_round", "T8", "small", inputs))


def contents(folder: Path) -> Files:
    """Return all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def attack(
    folder: Path, rounds: int, read: Callable[[Path], Any], check: Callable[[Any], None]
) -> tuple[int, int]:
    """Mutate, read, and put back; return (refused, loaded)."""
    files = contents(folder)
    refused = loaded = 0
    for number in range(rounds):
        changed = mutate(random.Random(number), files)
        for name, data in changed.items():
            (folder / name).unlink() if data is None else (folder / name).write_bytes(data)
        watched = number % WATCHED == 0
        if watched:
            before = sorted(p.as_posix() for p in folder.rglob("*"))
            tracemalloc.start()
        try:
            check(read(folder))
            loaded += 1
        except BundleError as error:
            refused += 1
            assert str(error).strip(), f"round {number}: an error without a text"
        finally:
            if watched:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < LIMIT + sum(len(d or b"") for d in changed.values()) * 40
                assert sorted(p.as_posix() for p in folder.rglob("*")) == before
        for name in changed:
            (folder / name).write_bytes(files[name] or b"")
    return refused, loaded


def test_vectors(folder: Path) -> None:
    """A directory of goldens: what loads is the case that was written, up to its texts."""
    item = small_case()
    root = write_vectors(folder / "vectors", [item])

    def check(found: Any) -> None:
        for built in found:
            assert built.case.id == item.case.id
            assert np.array_equal(built.outputs["y"].value, [0.0, 1.0])

    refused, loaded = attack(root, ROUNDS["vectors"], read_vectors, check)
    assert refused > ROUNDS["vectors"] / 3 and loaded > 0


def test_results(folder: Path) -> None:
    """A directory of results, whose arrays nobody described before."""
    home = folder / "results" / "border_round" / small_case().case.id
    home.mkdir(parents=True)
    np.save(home / "y.npy", np.array([0.0, 1.0]))
    (folder / "results" / "backend.json").write_text('{"name": "x", "dtype": "float32"}')

    def check(found: Any) -> None:
        arrays, about = found
        assert set(about) <= {"name", "profile", "dtype"}
        for outputs in arrays.values():
            assert all(value.dtype.kind in "biuf" for value in outputs.values())

    refused, loaded = attack(folder / "results", ROUNDS["results"], read_results, check)
    assert refused > ROUNDS["results"] / 3 and loaded > 0


def test_networks(folder: Path) -> None:
    """A saved network: what loads runs through all checks of a network made in Python."""
    save(everything(), folder / "network")
    refused, _ = attack(folder / "network", ROUNDS["network"], load, lambda network: None)
    assert refused > ROUNDS["network"] / 2


def test_packed_files() -> None:
    """A file of the corpus: the manifest has its hash, but unpacking it refuses damage as well."""
    data = pack("border_round", [small_case()])
    refused = 0
    for number in range(ROUNDS["pack"]):
        changed = mutate(random.Random(number), {"x.bin": data})["x.bin"]
        try:
            unpack(changed or b"")
        except ValueError:
            refused += 1
    assert refused > ROUNDS["pack"] / 3


def test_there_are_twenty_one_thousand() -> None:
    """As many as the README says."""
    assert sum(ROUNDS.values()) == 21_000


@pytest.mark.parametrize("name", ["border_round", "border_round/ID"])
def test_a_link_in_place_of_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    """However innocent what it points to."""
    folder = write_vectors(tmp_path / "vectors", [small_case()])
    place = folder / name.replace("ID", small_case().case.id)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="link"):
        read_vectors(folder)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("attrs", json.loads('{"a":' * 400 + "1" + "}" * 400), "of the wrong type"),
        ("attrs", {"rule": "\ud800"}, "of the wrong type"),
        ("attrs", ["rule"], "of the wrong type"),
        ("agreement", {"twin": [["equal"]]}, "of the wrong type"),
        ("flags", ["\x1b[2J"], "of the wrong type"),
        ("purpose", "\udcff", "no line of text"),
        ("purpose", "two\nlines", "no line of text"),
    ],
)
def test_texts_and_attributes_are_plain(field: str, value: Any, text: str, tmp_path: Path) -> None:
    """Nothing that exhausts the stack when it is hashed, or moves a cursor when it is printed."""
    folder = write_vectors(tmp_path / "vectors", [small_case()])
    whole = json.loads((folder / "manifest.json").read_text())
    whole["cases"][0][field] = value
    (folder / "manifest.json").write_text(json.dumps(whole))
    with pytest.raises(BundleError, match=text):
        read_vectors(folder)


def test_results_have_a_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files of an allowed size there are."""
    monkeypatch.setattr("refquant.oracle.results.MAX_TOTAL", 100)
    for digit in range(7):
        home = tmp_path / "border_round" / f"{digit:016x}"
        home.mkdir(parents=True)
        np.save(home / "y.npy", np.zeros(2))
    with pytest.raises(BundleError, match="more than 100 bytes"):
        read_results(tmp_path)


@pytest.mark.parametrize("text", ['{"dtype": 3}', '{"profile": [1]}', '{"profile": null}'])
def test_what_results_say_of_themselves_is_checked(text: str, tmp_path: Path) -> None:
    """As an error of the file, not of refquant."""
    (tmp_path / "backend.json").write_text(text)
    with pytest.raises(BundleError, match="wrong type"):
        read_results(tmp_path)
