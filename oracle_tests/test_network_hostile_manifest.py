"""Bundles with hostile manifests: each is refused, with the file and the field in the message."""

import pytest

from oracle_tests.bundle_attacks import (
    FIRST,
    assert_refused,
    edit,
    removing,
    setting,
    text,
    whole,
)


def extra_array(folder):
    edit(folder, lambda m: m["arrays"].append({**m["arrays"][0], "file": "0099-x.npy"}))


def outside(folder):
    (folder.parent / FIRST).write_bytes((folder / FIRST).read_bytes())
    setting("arrays", 0, "file", to="../" + FIRST)(folder)


def attribute_twice(folder):
    def change(manifest):
        attrs = manifest["nodes"][0]["attrs"]
        attrs.append(attrs[0])

    edit(folder, change)


ATTR = ("nodes", 0, "attrs", 0)
ATTACKS = {
    "extra array, same name": (extra_array, "two arrays of the same name"),
    "array declared twice": (setting("arrays", 1, "file", to=FIRST), "two arrays of the same file"),
    "path out": (outside, "has file '../"),
    "absolute path": (setting("arrays", 0, "file", to="/etc/passwd"), "has file '/etc/passwd'"),
    "null in path": (setting("arrays", 0, "file", to="0000-\0.npy"), "has file"),
    "negative shape": (setting("arrays", 0, "shape", to=[6, 2, -3, -3]), r"shape \[6, 2, -3, -3\]"),
    "flag as size": (setting("arrays", 0, "shape", to=[True]), "has shape"),
    "float as size": (setting("arrays", 0, "shape", to=[1.0]), "has shape"),
    "many axes": (setting("arrays", 0, "shape", to=[1] * 65), "has shape"),
    "enormous shape": (setting("arrays", 0, "shape", to=[2**40, 2**40]), "more than the limit"),
    "enormous and empty": (setting("arrays", 0, "shape", to=[0, 2**40, 2**40]), "the limit"),
    "bad dtype": (setting("arrays", 0, "dtype", to="|O"), "has dtype"),
    "nested dtype": (setting("arrays", 0, "dtype", to=["<f8", [["<f8"]]]), "has dtype"),
    "no dtype": (removing("arrays", 0, "dtype"), "does not have the fields"),
    "bad hash": (setting("arrays", 0, "sha256", to="0"), "has sha256"),
    "arrays an object": (setting("arrays", to={}), "arrays is not a list"),
    "bundle version": (setting("bundle", to=2), "bundle is 2; this refquant reads 1"),
    "float version": (setting("version", to=1.0), "version is 1.0"),
    "newer version": (setting("version", to=2), "version is 2.*version of refquant that wrote it"),
    "no version": (removing("version"), "version is None"),
    "format": (setting("format", to="refquant-result"), "format is not 'refquant-network'"),
    "not JSON": (whole(b"{"), "not valid JSON"),
    "not UTF-8": (whole(b'{"a": "\xff"}'), "not valid JSON"),
    "a list": (whole(b"[]"), "no object with a field format"),
    "deep lists": (whole(b"[" * 100_000), "not valid JSON"),
    "deep objects": (whole(b'{"a":' * 100_000), "not valid JSON"),
    "huge number": (whole(b'{"format": ' + b"9" * 5000 + b"}"), "not valid JSON"),
    "huge manifest": (whole(b" " * (2**23 + 1)), "larger than"),
    "duplicate key": (text('"version": 1', '"version": 1, "version": 1'), "same key twice"),
    "NaN": (text("0.125", "NaN"), "NaN is not a number"),
    "infinity": (text("0.125", "-Infinity"), "not a number"),
    "overflow": (text("0.125", "1e999"), "out of range"),
    "unknown field": (setting("code", to="import os"), "does not have the fields"),
    "no nodes": (removing("nodes"), "does not have the fields"),
    "empty nodes": (setting("nodes", to=[]), "at least one node|owner"),
    "nodes an object": (setting("nodes", to={}), "nodes is not a list"),
    "unknown op": (setting("nodes", 0, "op", to="exec"), "op of node 'c1'"),
    "nested op": (setting("nodes", 0, "op", to=["relu"]), "an op is empty"),
    "quantizer": (setting("nodes", 0, "op", to="quantize"), "attrs of node 'c1'"),
    "node name": (setting("nodes", 0, "name", to="a\u0000"), "a node's name"),
    "surrogate": (setting("nodes", 0, "name", to="\ud800"), "a node's name"),
    "duplicate node": (setting("nodes", 1, "name", to="c1"), "'c1', used twice"),
    "unknown input": (setting("nodes", 0, "inputs", to=["later"]), "an input of node 'c1'"),
    "two inputs": (setting("nodes", 0, "inputs", to=["input", "input"]), "of 2 names"),
    "input a string": (setting("nodes", 0, "inputs", to="input"), "inputs of node 'c1' is not"),
    "unknown attribute": (setting(*ATTR, "name", to="component"), "attribute 'component'"),
    "another attribute": (
        setting(*ATTR, to={"name": "eps", "value": 1.0}),
        r"attrs of node 'c1' is \['eps'\]",
    ),
    "attribute twice": (attribute_twice, "attrs of node 'c1'"),
    "no geometry": (setting(*ATTR, "value", to=None), "unknown or empty"),
    "geometry fields": (removing(*ATTR, "value", "kernel"), "a geometry does not have"),
    "negative kernel": (setting(*ATTR, "value", "kernel", to=[-1, 3]), "a size is not"),
    "huge padding": (setting(*ATTR, "value", "padding", to=[0, 0, 0, 2**40]), "a size is not"),
    "zero stride": (setting(*ATTR, "value", "stride", to=[0, 1]), r"stride\[0\]"),
    "three strides": (setting(*ATTR, "value", "stride", to=[1, 1, 1]), "2 integers"),
    "zero groups": (setting(*ATTR, "value", "groups", to=0), "a size is not"),
    "text as eps": (setting("nodes", 1, "attrs", 0, "value", to="1"), "finite Python"),
    "input shape": (setting("input_shape", to=[4, 0, 6]), "a size is not"),
    "huge input": (setting("input_shape", to=[2**20, 2**20, 2]), "too large"),
    "network name": (setting("name", to=7), "name is empty"),
    "block of a stranger": (setting("blocks", 0, "nodes", to=["x"]), "member of block 'body'"),
    "block twice": (setting("blocks", 0, "nodes", to=["c1", "c1"]), "in 'body' and in 'body'"),
    "orphan array": (setting("arrays", 0, "name", to="nobody/w"), "owner of parameter 'w'"),
    "array name": (setting("arrays", 0, "name", to="c1/w\n"), "has name"),
    "array without node": (setting("arrays", 0, "name", to="w"), "not called node/parameter"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_manifest_is_refused(name, tmp_path):
    assert_refused(*ATTACKS[name], tmp_path)
