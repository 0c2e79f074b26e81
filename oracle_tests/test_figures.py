"""Figures: each runs end to end with tiny settings, prints numbers and saves one small PNG."""

import re
import struct
import zlib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not here: pip install '.[figures]'")

FOLDER = Path(__file__).parent.parent / "figures"
NAMES = sorted(path.stem for path in FOLDER.glob("fig_*.py"))
MAX_BYTES = 150_000


@pytest.fixture
def figure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a figure as the script does it: with its own directory on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module(request.param)


def pixels(path: Path) -> tuple[int, int, bytes]:
    """Return width, height and the raw image data of a PNG; its checksums must be right."""
    data, at, found, size = path.read_bytes(), 8, b"", (0, 0)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length :][:4])[0]
        size = struct.unpack(">II", body[:8]) if kind == b"IHDR" else size
        found += body if kind == b"IDAT" else b""
        at += 12 + length
    return *size, zlib.decompress(found)


@pytest.mark.parametrize("figure", NAMES, indirect=True)
def test_a_figure_runs_and_is_the_same_twice(
    figure: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny settings: the printed numbers and every byte of the image repeat; nothing else moves."""
    before = {path: path.read_bytes() for path in FOLDER.glob("*.png")}
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = figure.make(steps=6, images=32, folder=tmp_path / name)
        runs.append((path.read_bytes(), capsys.readouterr().out))
        assert path == tmp_path / name / f"{figure.__name__}.png"
    assert runs[0] == runs[1]
    assert len(re.findall(r"\d", runs[0][1])) > 20
    width, height, image = pixels(path)
    assert width > 500 and height > 300 and len(set(image)) > 20
    assert {path: path.read_bytes() for path in FOLDER.glob("*.png")} == before


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_image_is_there_and_small(name: str) -> None:
    """Below the size that a repository should carry for a picture."""
    path = FOLDER / f"{name}.png"
    width, height, _ = pixels(path)
    assert width > 500 and height > 300 and path.stat().st_size < MAX_BYTES


def test_make_all_knows_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists them by looking."""
    monkeypatch.syspath_prepend(str(FOLDER))
    assert import_module("make_all").FIGURES == NAMES
    assert len(NAMES) >= 3
