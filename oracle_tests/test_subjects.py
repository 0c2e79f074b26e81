"""Networks with images in folders: saved whole or not at all, named by content, never trusted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refquant as rq
from oracle_tests.reconstruct_cases import classes, dense, images
from oracle_tests.test_oracle_hostile import attack
from refquant import subjects
from refquant._bundle import BundleError, read_bundle, write_bundle
from refquant.network import Network
from refquant.subjects import Subject
from refquant.sweeps import Config, codes_sha256, run, sweep
from refquant.zoo import Split

NETWORK = dense()
X = images(NETWORK, 20)
Y = classes(X)


def subject(network: Network = NETWORK, labels: Any = None, **test: Any) -> Subject:
    """Twelve images to calibrate on, eight to test on."""
    found = {"x": X[12:], "y": Y[12:], **test}
    return Subject(network, Split(X[:12], labels), Split(**found))


def same(a: Subject, b: Subject) -> bool:
    """Whether every number of both is the same."""
    pairs = [(a.calib.x, b.calib.x), (a.test.x, b.test.x), (a.test.y, b.test.y)]
    pairs += [(a.calib.y, b.calib.y)] if a.calib.y is not None else []
    params = a.network.params.keys() == b.network.params.keys() and all(
        np.array_equal(value, b.network.params[key]) for key, value in a.network.params.items()
    )
    known = (a.calib.y is None) == (b.calib.y is None)
    return params and known and all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("labels", [None, Y[:12]], ids=["unlabelled", "labelled"])
def test_what_is_saved_is_read(labels: Any, tmp_path: Path) -> None:
    """Into a new folder and into an empty one; by any path to it; nothing else is left behind."""
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deeper/down"):
        called = subjects.save(subject(labels=labels), tmp_path / name)
        for found in (subjects.read(tmp_path / name), subjects.load(called, tmp_path / name)):
            assert same(found, subject(labels=labels)) and found.name == called
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deeper", "empty", "new"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["images", "network"]


def test_a_name_says_which_numbers_are_meant() -> None:
    """Anything changed is another name: a weight, an attribute, an image, a label."""
    moved = {key: value + (key == ("fc2", "bias")) * 1e-9 for key, value in NETWORK.params.items()}
    relu6 = tuple(replace(n, op="relu6") if n.op == "relu" else n for n in NETWORK.nodes)
    others = [
        subject(),
        subject(replace(NETWORK, params=moved)),
        subject(replace(NETWORK, nodes=relu6)),
        subject(x=X[11:19]),
        subject(y=(Y[12:] + 1) % 3),
        subject(labels=Y[:12]),
        subject(labels=Y[1:13]),
    ]
    names = [each.name for each in others]
    assert len(set(names)) == len(names)
    assert all(name.startswith("dense:") and len(name) == len("dense:") + 16 for name in names)
    assert subject().name == names[0]


def test_the_zoo_has_its_training_labels() -> None:
    """The images that `calib` lists without them."""
    found, data = subjects.load("digits-mlp:2"), rq.zoo.data("digits")
    np.testing.assert_array_equal(found.calib.x, data.calib.x)
    np.testing.assert_array_equal(found.calib.y, data.train.y)


REFUSED = {
    "a colon in the name": (lambda: subject(replace(NETWORK, name="a:b")), "no colon"),
    "no name": (lambda: subject(replace(NETWORK, name="")), "no colon"),
    "no labels to test by": (lambda: subject(y=None), r"test.y is NoneType"),
    "labels as numbers": (lambda: subject(y=Y[12:] / 2), r"test.y is float64"),
    "labels for others": (lambda: subject(y=Y), r"test.y is of shape \(20,\); expected \(8,\)"),
    "calibration labels": (lambda: subject(labels=Y), r"calib.y is of shape"),
    "images of another network": (lambda: subject(x=X[12:, :2]), r"expected \(n, 6\)"),
    "an image that is NaN": (lambda: subject(x=X[12:] * np.nan), "nan at index"),
    "no images": (lambda: subject(x=X[:0], y=Y[:0]), "n >= 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_go_together_is_not_saved(what: str, tmp_path: Path) -> None:
    """The message says what; no folder appears."""
    build, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message):
        subjects.save(build(), tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    """A subject that is there already, too; a file in the way."""
    subjects.save(subject(), tmp_path / "s")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    for name in ("s", "file", "full", "file/below"):
        with pytest.raises(BundleError, match="Choose a new or empty directory"):
            subjects.save(subject(labels=Y[:12]), tmp_path / name)
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")} == before


def test_half_a_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between network and images: no folder, and the next save succeeds."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subjects, "write_bundle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            subjects.save(subject(), tmp_path / "s")
    assert not list(tmp_path.iterdir())
    assert subjects.save(subject(), tmp_path / "s") == subject().name


def rewritten(change: Any) -> Any:
    """Return the attack that writes the bundle of the images anew, changed."""

    def attacked(folder: Path) -> None:
        manifest, arrays = read_bundle(folder / "images")
        own = {"format": manifest["format"]}
        change(own, arrays)
        write_bundle(folder / "images", own, arrays, overwrite=True)

    return attacked


def swapped(folder: Path) -> None:
    """Network and images take each other's place."""
    (folder / "images").rename(folder / "other")
    (folder / "network").rename(folder / "images")
    (folder / "other").rename(folder / "network")


def linked(folder: Path) -> None:
    """The manifest is somebody else's file."""
    path = next((folder / "images").glob("*.json"))
    path.rename(folder.parent / "secret.json")
    path.symlink_to(folder.parent / "secret.json")


ATTACKS = {
    "another format": (rewritten(lambda m, a: m.update(format="other")), "not refquant-images"),
    "no images to test on": (rewritten(lambda m, a: a.pop("test_x")), "not refquant-images"),
    "more than there should be": (rewritten(lambda m, a: a.update(z=X)), "not refquant-images"),
    "labels that are numbers": (
        rewritten(lambda m, a: a.update(test_y=Y[12:] / 2)),
        "test.y is float64",
    ),
    "calibration labels that are": (
        rewritten(lambda m, a: a.update(calib_y=np.ones(12))),
        "calib.y is float64",
    ),
    "images that are labels": (rewritten(lambda m, a: a.update(calib_x=Y)), "x is int64"),
    "an image that is inf": (rewritten(lambda m, a: a.update(test_x=X[12:] / 0.0)), "inf at"),
    "fewer labels": (rewritten(lambda m, a: a.update(test_y=Y[:3])), r"of shape \(3,\)"),
    "swapped": (swapped, "network"),
    "a link": (linked, "a symbolic link"),
    "no network": (lambda folder: (folder / "network").rename(folder / "n"), "network"),
    "no folder": (lambda folder: folder.rename(folder.parent / "gone"), "network"),
}


@pytest.mark.parametrize("what", ATTACKS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_folders_are_not_trusted(what: str, tmp_path: Path) -> None:
    """Each is refused by name, by whichever door it comes."""
    attacked, message = ATTACKS[what]
    folder = tmp_path / "s"
    name = subjects.save(subject(), folder)
    attacked(folder)
    for read in (lambda: subjects.read(folder), lambda: subjects.load(name, folder)):
        with pytest.raises(BundleError, match=message) as caught:
            read()
        assert str(folder) in str(caught.value) and len(str(caught.value)) < 1000


def test_damaged_folders(tmp_path: Path) -> None:
    """Mutated at random: a clear error, or a load that holds together; nothing is written."""
    subjects.save(subject(labels=Y[:12]), tmp_path / "s")

    def whole(found: Subject) -> None:
        assert found.calib.x.shape[1:] == found.network.input_shape and found.name
        assert found.test.y is not None and len(found.test.y) == len(found.test.x)

    refused, loaded = attack(tmp_path / "s", 200, subjects.read, whole)
    assert refused > 150 and refused + loaded == 200


def test_a_sweep_finds_its_folders(tmp_path: Path) -> None:
    """Rows of a folder's network are those of the same network quantized here; labels come too."""
    folder = str(tmp_path / "s")
    name = subjects.save(subject(labels=Y[:12]), folder)
    config = Config(network=name, method="qat-lsq", weight_bits=3, act_bits=4, steps=2)
    (row,) = sweep([config], folders={name: folder}, workers=1, out=tmp_path / "rows")
    here = rq.quantize(
        NETWORK, X[:12], "qat-lsq", labels=Y[:12], weight_bits=3, act_bits=4, steps=2
    )
    assert row["codes_sha256"] == codes_sha256(here) and row["network"] == name
    logits = here.network(X[12:])
    assert row["accuracy"] == rq.metrics.accuracy(logits, Y[12:])
    assert json.loads(next((tmp_path / "rows").glob("*.json")).read_text())["network"] == name
    subjects.save(subject(), tmp_path / "unlabelled")
    without = replace(config, network=subject().name)
    with pytest.raises(ValueError, match="labels is None with 'qat-lsq'"):
        run(without, str(tmp_path / "unlabelled"))
    with pytest.raises(ValueError, match="plan them again"):
        run(config, str(tmp_path / "unlabelled"))
