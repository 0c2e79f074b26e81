"""Bundles: nothing changes on a round trip, all or nothing is written, hostile ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oracle_tests.network_samples import Nearest, everything, images, plain
from refquant._bundle import read_bundle, write, write_bundle
from refquant._bundle.npy import DTYPES
from refquant.network import (
    BundleError,
    Network,
    fold,
    insert_quantizers,
    load,
    lower,
    save,
    training_mode,
)


def assert_same(one, other):
    """Every field equal, every array equal in dtype, shape and bits, in the same order."""
    for name in ("name", "input_shape", "nodes", "blocks"):
        assert getattr(one, name) == getattr(other, name)
    assert [type(v) for n in one.nodes for _, v in n.attrs] == [
        type(v) for n in other.nodes for _, v in n.attrs
    ]
    assert_same_arrays(one.params, other.params)


def assert_same_arrays(one, other):
    assert list(one) == list(other)
    for key, value in one.items():
        assert (value.dtype, value.shape) == (other[key].dtype, other[key].shape), key
        assert value.tobytes() == other[key].tobytes(), key
        assert not other[key].flags.writeable and other[key].flags.owndata


def awkward():
    """Return a network of names that are no file names and arrays of every kind."""
    nan = np.array([0x7FF8000000000123, 0xFFF0000000000000, 0x8000000000000000, 1], np.uint64)
    nodes = tuple(plain(name, "relu", "input") for name in ("../../up", "a/b", "con", "A", "ü"))
    params = {
        ("../../up", "special"): nan.view(np.float64),
        ("a/b", "w"): np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        ("con", "zero-d"): np.array(-0.0, np.float32),
        ("A", "w"): np.zeros((0, 3), np.int64),
        ("../../up", "a"): np.array([True, False]),
        ("ü", "z"): np.arange(3, dtype=">i2"),
    }
    return Network("netz ü", (2,), nodes, params)


SAVED = {
    "plain": everything,
    "folded": lambda: fold(everything()),
    "lowered": lambda: lower(everything()),
    "training": lambda: training_mode(everything()),
    "awkward": awkward,
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_round_trip_changes_nothing(kind, tmp_path):
    network = SAVED[kind]()
    assert save(network, tmp_path / "b") == tmp_path / "b"
    loaded = load(tmp_path / "b")
    assert_same(network, loaded)
    save(loaded, str(tmp_path / "again"))
    for path in (tmp_path / "b").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "b"]


def test_a_loaded_network_computes_the_same(tmp_path):
    network, x = everything(), images()
    np.testing.assert_array_equal(load(save(network, tmp_path / "b"))(x), network(x))


@given(
    array=hnp.arrays(
        st.sampled_from(DTYPES).map(np.dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)
    )
)
@settings(max_examples=25)
def test_any_array_survives_bit_for_bit_and_numpy_reads_the_file(tmp_path_factory, array):
    place = tmp_path_factory.mktemp("b") / "b"
    write_bundle(place, {"format": "x"}, {"a": array})
    assert_same_arrays({"a": array}, read_bundle(place).arrays)
    by_numpy = np.load(place / "0000-a.npy", allow_pickle=False)
    assert by_numpy.tobytes() == array.tobytes() and by_numpy.shape == array.shape
    np.save(place.parent / "numpy.npy", array)
    assert (place.parent / "numpy.npy").read_bytes() == (place / "0000-a.npy").read_bytes()


def test_any_layout_of_an_array_is_stored_in_one(tmp_path):
    """Names that clean up to the same file name are kept apart as well."""
    w = np.arange(6.0).reshape(2, 3)
    given = {"a/b": w.astype(">f8"), "a-b": np.asfortranarray(w), "a b": w[::-1, ::2]}
    found = read_bundle(write_bundle(tmp_path / "b", {"format": "x"}, given)).arrays
    plain_ones = {name: np.array(value, np.float64, order="C") for name, value in given.items()}
    assert_same_arrays(plain_ones, found)


def test_the_manifest_comes_back_as_written_and_is_canonical(tmp_path):
    manifest = {"format": "x", "n": [1, 2.5, None, True, "ü", {"b": -0.0, "a": 1e-300}]}
    write_bundle(tmp_path / "b", manifest, {"w": np.ones(2)}, name="x.json")
    assert read_bundle(tmp_path / "b", name="x.json").manifest == manifest
    text = (tmp_path / "b" / "x.json").read_text("ascii")
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"


# Writing: refused before anything is touched, or done.


def listing(folder):
    return sorted(
        (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    )


def test_an_occupied_target_is_refused_and_an_empty_one_taken(tmp_path):
    network, other = everything(), everything(seed=4)
    (tmp_path / "empty").mkdir()
    save(network, tmp_path / "empty")
    before = listing(tmp_path)
    with pytest.raises(BundleError, match=r"not empty.*overwrite=True"):
        save(other, tmp_path / "empty")
    assert listing(tmp_path) == before
    save(other, tmp_path / "empty", overwrite=True)
    assert_same(other, load(tmp_path / "empty"))
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_only_bundles_are_overwritten(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="not a bundle"):
        save(everything(), tmp_path / "home", overwrite=True)
    save(everything(), tmp_path / "b")
    (tmp_path / "b" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="not a bundle"):
        save(everything(), tmp_path / "b", overwrite=True)
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "mine.npy", np.ones(2))
    with pytest.raises(BundleError, match="not a bundle"):
        save(everything(), tmp_path / "arrays", overwrite=True)
    (tmp_path / "file").write_text("x")
    for target in ("file", "file/b", "missing/b"):
        with pytest.raises(BundleError, match=target.split("/")[0]):
            save(everything(), tmp_path / target, overwrite=True)
    assert not (tmp_path / "missing").exists() and (tmp_path / "file").read_text() == "x"


def test_an_unwritable_place_is_refused_before_any_work(tmp_path, monkeypatch):
    """The system refuses the directory; file modes would not stop a test that runs as root."""

    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    monkeypatch.setattr(write, "npy_bytes", lambda array: pytest.fail("work was done"))
    with pytest.raises(BundleError, match=r"Permission denied.*writable"):
        save(everything(), tmp_path / "b")
    assert listing(tmp_path) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interruption_leaves_everything_as_it_was(tmp_path, monkeypatch, error, overwrite):
    if overwrite:
        save(everything(), tmp_path / "b")
    before, calls = listing(tmp_path), []

    def failing(array):
        calls.append(array)
        if len(calls) == 3:
            raise error
        return b"", b""

    monkeypatch.setattr(write, "npy_bytes", failing)
    with pytest.raises(BundleError if isinstance(error, OSError) else KeyboardInterrupt):
        save(everything(seed=4), tmp_path / "b", overwrite)
    assert listing(tmp_path) == before


def test_a_failing_rename_puts_the_old_bundle_back(tmp_path, monkeypatch):
    save(everything(), tmp_path / "b")
    before, rename = listing(tmp_path), Path.rename

    def failing(self, target):
        if self.suffix == ".part":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(BundleError, match="cannot be written"):
        save(everything(seed=4), tmp_path / "b", overwrite=True)
    assert listing(tmp_path) == before


def with_attr(name, value):
    """Return `everything` with one attribute of leak or c1 changed."""
    network = everything()
    nodes = (
        replace(n, attrs=tuple((k, value if k == name else v) for k, v in n.attrs))
        for n in network.nodes
    )
    return replace(network, nodes=tuple(nodes))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: insert_quantizers(everything(), {"r1": Nearest(3)}), "'r1.q' is a quantizer"),
        (lambda: with_attr("slope", float("nan")), "finite Python"),
        (lambda: with_attr("slope", np.float32(0.5)), "finite Python"),
        (lambda: with_attr("eps", True), "finite Python"),
        (lambda: with_attr("count_include_pad", 1), "flag"),
        (lambda: with_attr("geometry", (3, 3)), "not a Geometry"),
        (lambda: replace(everything(), name="a\nb"), "network's name"),
        (lambda: Network("n", (2,), (plain("a" * 500, "relu", "input"),), {}), "node's name"),
        (lambda: Network("n", (2,), (plain("a", "relu", "input"),), {("a", "b/c"): [1]}), "'b/c'"),
        (
            lambda: Network(
                "n", (2,), (plain("a", "relu", "input"),), {("a", "w"): np.ones(1, np.float16)}
            ),
            "float16",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused_and_nothing_written(network, message, tmp_path):
    with pytest.raises(BundleError, match=message):
        save(network(), tmp_path / "b")
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    "manifest",
    [{}, {"format": "x", "v": float("nan")}, {"format": "x", "arrays": []}, {"format": 1},
     {"format": "x", "bundle": 1}, {"format": "x", "v": {1, 2}}],
)  # fmt: skip
def test_a_manifest_that_cannot_be_written_is_refused(manifest, tmp_path):
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "b", manifest, {})
    assert listing(tmp_path) == []


def test_objects_and_odd_names_are_no_arrays_of_a_bundle(tmp_path):
    for arrays in ({"a": np.array([None])}, {"a": np.array(["x"])}, {"": np.ones(1)}):
        with pytest.raises(BundleError):
            write_bundle(tmp_path / "b", {"format": "x"}, arrays)
    assert listing(tmp_path) == []
