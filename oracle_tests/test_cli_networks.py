"""Folders of one's own on the command line: quantized and compared as the zoo's networks are."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refquant as rq
from oracle_tests.reconstruct_cases import classes, dense, images
from refquant import subjects
from refquant.cli.main import build_parser, main
from refquant.cli.networks import Chosen, network
from refquant.subjects import Subject
from refquant.zoo import Split

Capture = pytest.CaptureFixture[str]
X = images(dense(), 40)
Y = classes(X)
QUANTIZE = ("--weight-bits", "3", "--steps", "3", "--quiet")
COMPARE = ("--bits", "W3A3", "--steps", "2", "--resamples", "20", "--quiet")


def saved(folder: Path, seed: int = 0, test: Any = X[24:]) -> str:
    """Save a small network with images and return its name."""
    own = Subject(dense(seed), Split(X[:24], Y[:24]), Split(test, classes(test)))
    return subjects.save(own, folder)


def test_a_folder_is_quantized_on_its_own_images(tmp_path: Path, capsys: Capture) -> None:
    """The library's numbers on the same network: run, accuracy, gaps; and the name of the row."""
    name, out = saved(tmp_path / "net"), tmp_path / "result"
    line = ["quantize", str(tmp_path / "net"), *QUANTIZE, "--gaps", "--json", "--out", str(out)]
    assert main([*line]) == 0
    report = json.loads(capsys.readouterr().out)
    result = rq.quantize(dense(), X[:24], weight_bits=3, steps=3)
    assert report["run_id"] == result.run_id and report["network"] == name
    assert report["accuracy"] == rq.metrics.accuracy(result.network(X[24:]), Y[24:])
    assert report["gaps"] == [gap._asdict() for gap in result.optimality_gap(X[:24])]
    assert (out / "manifest.json").is_file() and report["integer_equals_fake"] is True


def test_a_method_that_reads_labels_has_those_of_the_folder(
    tmp_path: Path, capsys: Capture
) -> None:
    """Or says that there are none: 4, and nothing is written."""
    saved(tmp_path / "net")
    line = ["--method", "qat-lsq", *QUANTIZE, "--json"]
    assert main(["quantize", str(tmp_path / "net"), *line]) == 0
    found = json.loads(capsys.readouterr().out)["run_id"]
    here = rq.quantize(dense(), X[:24], "qat-lsq", labels=Y[:24], weight_bits=3, steps=3)
    assert found == here.run_id
    bare = Subject(dense(), Split(X[:24], None), Split(X[24:], Y[24:]))
    subjects.save(bare, tmp_path / "bare")
    out = ("--out", str(tmp_path / "result"))
    assert main(["quantize", str(tmp_path / "bare"), *line, *out]) == 4
    assert "labels is None with 'qat-lsq'" in capsys.readouterr().err
    assert not (tmp_path / "result").exists()


def test_folders_are_compared(tmp_path: Path, capsys: Capture) -> None:
    """Two copies of one architecture; rows by name, so that a folder may move; the command runs."""
    names = [saved(tmp_path / str(seed), seed) for seed in (0, 1)]
    folders = [str(tmp_path / str(seed)) for seed in (0, 1)]
    rows = tmp_path / "rows"
    assert main(["compare", *folders, *COMPARE, "--json", "--out", str(rows)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["study"]["networks"] == names and report["test_images"] == 16
    assert [mean["group"] for mean in report["methods"]] == ["dense", "dense"]
    arguments = build_parser().parse_args(shlex.split(report["command"])[1:])
    chosen = [one for found in arguments.networks for one in found]
    assert chosen == [Chosen(*pair) for pair in zip(names, folders, strict=True)]
    kept = {p.name: p.stat().st_mtime_ns for p in rows.iterdir()}
    Path(folders[0]).rename(tmp_path / "moved")
    moved = [str(tmp_path / "moved"), folders[1]]
    assert main(["compare", *moved, *COMPARE, "--json", "--out", str(rows)]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == report["pairs"]
    assert {p.name: p.stat().st_mtime_ns for p in rows.iterdir()} == kept


def test_other_test_images_are_compared_apart(tmp_path: Path, capsys: Capture) -> None:
    """Gains are paired image by image: refused before any work, with the two networks."""
    saved(tmp_path / "a")
    saved(tmp_path / "b", seed=1, test=X[23:39])
    for networks in (("a", "b"), ("a", "digits-mlp"), ("digits-mlp", "a")):
        line = [str(tmp_path / n) if len(n) == 1 else n for n in networks]
        assert main(["compare", *line, *COMPARE, "--out", str(tmp_path / "rows")]) == 4
        printed = capsys.readouterr().err
        assert "not the test images of" in printed and "a command of their own" in printed
    assert not (tmp_path / "rows").exists()


def test_a_network_twice_is_refused(tmp_path: Path, capsys: Capture) -> None:
    """By whatever path: a copy of a folder is the same network."""
    for name in "ab":
        saved(tmp_path / name)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), *COMPARE]) == 4
    assert "named twice" in capsys.readouterr().err


def test_names_of_the_zoo_mean_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called so is written with a dot and a slash."""
    name = saved(tmp_path / "digits-mlp")
    monkeypatch.chdir(tmp_path)
    assert network("digits-mlp") == Chosen("digits-mlp")
    assert network("./digits-mlp") == Chosen(name, "./digits-mlp")
    found = network("./digits-mlp").load()
    np.testing.assert_array_equal(found.test.x, X[24:])


@pytest.mark.parametrize("command", ["quantize", "compare"])
@pytest.mark.parametrize("what", ["empty", "damaged", "nowhere/net", "unknown"])
def test_what_is_no_network_is_refused(
    command: str, what: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Usage, 4: the message names the folder, or the nearest network of the zoo."""
    saved(tmp_path / "damaged")
    next((tmp_path / "damaged" / "images").glob("*calib*.npy")).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main([command, what])
    assert caught.value.code == 4
    printed = capsys.readouterr().err
    expected = "one of 'digits-resnet'" if what == "unknown" else f"'{what}' holds no network"
    assert expected in printed


def test_a_refusal_is_an_error_of_the_argument() -> None:
    """argparse prints it with the usage."""
    with pytest.raises(argparse.ArgumentTypeError, match="holds no network with images"):
        network("no/such/folder")
