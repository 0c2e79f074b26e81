"""Ways to change a saved bundle: each returns a function of its folder."""

import hashlib
import json

import pytest

from oracle_tests.network_samples import everything
from refquant.network import BundleError, load, save

FIRST = "0000-c1-w.npy"  # (6, 2, 3, 3) float64


def edit(folder, change):
    """Change the manifest as JSON."""
    path = folder / "network.json"
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))


def put(folder, data, rehash=True):
    """Replace the first array's file, and its hash, so that the hash is not what refuses it."""
    (folder / FIRST).write_bytes(data)
    if rehash:
        digest = hashlib.sha256(data[128:]).hexdigest()
        edit(folder, lambda m: m["arrays"][0].update(sha256=digest))


def setting(*path, to):
    """Return the attack that sets one place of the manifest."""

    def attack(folder):
        def change(whole):
            for step in path[:-1]:
                whole = whole[step]
            whole[path[-1]] = to

        edit(folder, change)

    return attack


def removing(*path):
    def attack(folder):
        def change(whole):
            for step in path[:-1]:
                whole = whole[step]
            del whole[path[-1]]

        edit(folder, change)

    return attack


def text(old, new):
    """Return the attack that replaces text of the manifest."""

    def attack(folder):
        path = folder / "network.json"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return attack


def whole(data):
    return lambda folder: (folder / "network.json").write_bytes(data)


def assert_refused(attack, message, place):
    """Save a network under `place`, attack it, and expect a short refusal that names the file."""
    folder = save(everything(), place / "b")
    attack(folder)
    with pytest.raises(BundleError, match=message) as caught:
        load(folder)
    assert str(folder) in str(caught.value) and len(str(caught.value)) < 1000
