"""Bundles with hostile files: each is refused by name, and nothing is executed or allocated."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest

from oracle_tests.bundle_attacks import FIRST, assert_refused, edit, put, setting
from oracle_tests.network_samples import everything
from refquant._bundle import npy, read_bundle, write_bundle
from refquant.network import BundleError, load, save

EXECUTED = []


def truncated(folder):
    put(folder, (folder / FIRST).read_bytes()[:-1], rehash=False)


def longer(folder):
    put(folder, (folder / FIRST).read_bytes() + b"\0", rehash=False)


def flipped(folder):
    data = bytearray((folder / FIRST).read_bytes())
    data[-1] ^= 1
    put(folder, bytes(data), rehash=False)


def saved(array, **options):
    """Return the attack that puts another array's .npy file in place."""

    def attack(folder):
        with (folder / FIRST).open("wb") as file:
            np.save(file, array, **options)
        put(folder, (folder / FIRST).read_bytes())

    return attack


class Evil:
    def __reduce__(self):
        return EXECUTED.append, ("code from data",)


def pickled(folder):
    put(folder, pickle.dumps(Evil()))


def huge_header(folder):
    put(folder, npy.MAGIC + b"\xff\xff" + b"(" * 65535)


def with_header(words):
    return npy.MAGIC + (118).to_bytes(2, "little") + words.ljust(117) + b"\n"


def code(folder):
    put(folder, with_header(b"__import__('os').abort()"))


def header(old, new):
    def attack(folder):
        data = (folder / FIRST).read_bytes()
        assert old in data[:128] and len(old) == len(new)
        put(folder, data.replace(old, new, 1))

    return attack


def link(folder):
    target = folder.parent / "secret.npy"
    (folder / FIRST).rename(target)
    (folder / FIRST).symlink_to(target)


def linked_manifest(folder):
    target = folder.parent / "secret.json"
    (folder / "network.json").rename(target)
    (folder / "network.json").symlink_to(target)


def pipe(folder):
    (folder / FIRST).unlink()
    os.mkfifo(folder / FIRST)


def directory(folder):
    (folder / FIRST).unlink()
    (folder / FIRST).mkdir()


def remove(name):
    return lambda folder: (folder / name).unlink()


def extra_file(folder):
    (folder / "9999-more.npy").write_bytes(b"")


ATTACKS = {
    "truncated array": (truncated, f"{FIRST}: .*bytes where"),
    "longer array": (longer, f"{FIRST}: .*bytes where"),
    "flipped bit": (flipped, f"{FIRST}: .*hash"),
    "other dtype": (saved(np.ones((6, 2, 3, 3), np.float32)), f"{FIRST}: the header differs"),
    "other shape": (saved(np.ones((6, 3, 2, 3))), "header differs"),
    "big endian": (saved(np.ones((6, 2, 3, 3), ">f8")), "header differs"),
    "fortran order": (saved(np.ones((6, 2, 3, 3), order="F")), "header differs"),
    "object array": (saved(np.array([Evil()]), allow_pickle=True), "header differs"),
    "pickle": (pickled, "not a .npy file"),
    "empty file": (lambda folder: put(folder, b""), "not a .npy file"),
    "huge header": (huge_header, "not a .npy file"),
    "header of code": (code, "header differs"),
    "header of another shape": (header(b"(6, 2, 3, 3)", b"(6, 2, 3, 9)"), "header differs"),
    "header version": (header(b"\x01\x00", b"\x03\x00"), "not a .npy file"),
    "link": (link, f"{FIRST}: a symbolic link"),
    "linked manifest": (linked_manifest, "network.json: a symbolic link"),
    "pipe": (pipe, "not a plain file"),
    "directory": (directory, "not a plain file|cannot be opened"),
    "missing array": (remove(FIRST), f"{FIRST}: missing"),
    "missing manifest": (remove("network.json"), "network.json: missing"),
    "extra file": (extra_file, "9999-more.npy: not in the manifest"),
}


@pytest.fixture
def folder(tmp_path):
    return save(everything(), tmp_path / "b")


def test_another_layout_of_the_same_manifest_loads(folder):
    edit(folder, lambda manifest: None)
    assert load(folder).name == "everything"


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_file_is_refused(name, tmp_path):
    assert_refused(*ATTACKS[name], tmp_path)
    assert not EXECUTED


def test_the_limit_of_the_caller_is_obeyed(folder):
    size = sum(value.nbytes for value in load(folder).params.values())
    assert load(folder, max_bytes=size).name == "everything"
    with pytest.raises(BundleError, match=f"limit of {size - 1}.*Raise max_bytes"):
        load(folder, max_bytes=size - 1)


def test_nothing_is_allocated_for_a_file_that_is_too_short(folder, monkeypatch):
    """Manifest and header agree on 512 MiB, the file has none of it."""
    shape = (2**26,)
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape!r}, }}"
    data = with_header(text.encode("ascii"))
    put(folder, data)
    setting("arrays", 0, "shape", to=list(shape))(folder)

    def no_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(npy.np, "empty", no_memory)
    with pytest.raises(BundleError, match=f"bytes where {2**29 + len(data)} are declared"):
        load(folder)


def test_a_boolean_is_0_or_1(tmp_path):
    write_bundle(tmp_path / "b", {"format": "x"}, {"flag": np.array([True, False])})
    path, manifest = tmp_path / "b" / "0000-flag.npy", tmp_path / "b" / "manifest.json"
    path.write_bytes(path.read_bytes()[:-1] + b"\x02")
    whole = json.loads(manifest.read_text())
    whole["arrays"][0]["sha256"] = hashlib.sha256(b"\x01\x02").hexdigest()
    manifest.write_text(json.dumps(whole))
    with pytest.raises(BundleError, match="neither 0 nor 1"):
        read_bundle(tmp_path / "b")


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere.*missing\. Check the path"):
        load(tmp_path / "nowhere")
