"""What a run is about: a float network, images to calibrate on, images to report on.

Those of the zoo are known by name, ``"digits-resnet:2"``. Any other lies in a folder that `save`
made, and is called by its network's name and the hash of everything in it:

    folder/network/   the network (`refquant.network.save`)
    folder/images/    calib_x, test_x, test_y, and calib_y where it is known

    "resnet8:3f0c9a1be2d47856"

So a name says which numbers are meant, wherever the folder lies, and copies of one architecture
are told apart as those of the zoo are. Folders are untrusted, as every bundle is.
"""

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refquant import zoo
from refquant._bundle import BundleError, read_bundle, write_bundle
from refquant._bundle.error import refusal
from refquant._checks import complaint
from refquant._types import Array
from refquant.inputs import check_inputs, check_labels, update_digest
from refquant.network import Network
from refquant.network import load as load_network
from refquant.network import save as save_network
from refquant.zoo import Split

FORMAT, ARRAYS, LABELS = "refquant-images", ("calib_x", "test_x", "test_y"), "calib_y"
DIGITS = 16  # of the hash, in a name


class Subject(NamedTuple):
    """A float network, images (n, \\*input_shape) to calibrate on and labelled ones to test on.

    The labels of the calibration images may be None: hardly a method reads them.
    """

    network: Network
    calib: Split
    test: Split

    @property
    def name(self) -> str:
        """The network's name and the hash of network and images."""
        net, digest = self.network, hashlib.sha256()
        digest.update(repr((net.name, net.input_shape, net.nodes, net.blocks)).encode())
        for key in sorted(net.params):
            digest.update(repr(key).encode())
            update_digest(digest, net.params[key])
        for array in _arrays(self).values():
            update_digest(digest, array)
        return f"{net.name}:{digest.hexdigest()[:DIGITS]}"


def save(subject: Subject, folder: str | os.PathLike[str]) -> str:
    """Write a subject into a new or empty folder, all of it or nothing, and return its name.

    Raises
    ------
    TypeError, ValueError
        If images and network do not go together, or the network's name holds a colon.
    BundleError
        If the folder is occupied or cannot be written.
    """
    _check(subject, "save")
    target = Path(folder).resolve()
    part = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        part.mkdir(parents=True)
        save_network(subject.network, part / "network")
        write_bundle(part / "images", {"format": FORMAT}, _arrays(subject))
        if target.exists():
            target.rmdir()  # fails if anything is in it
        part.rename(target)
    except OSError as error:
        fix = "Choose a new or empty directory where you can write."
        raise refusal(target, f"cannot be written ({error.strerror})", fix) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # gone already if all went well
    return subject.name


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Subject:
    """Return the subject called `name`: of the zoo, or the one that lies in `folder`.

    Raises
    ------
    BundleError
        If the folder is damaged or holds no subject.
    ValueError
        If the name is unknown, or the folder holds another subject.
    """
    if folder is None:
        data = zoo.data("digits")
        return Subject(zoo.load(name), data.train, data.test)
    found = read(folder)
    if found.name != name:
        fix = "The folder has changed since the runs were planned: plan them again."
        raise ValueError(complaint("subjects.load", "folder", f"of {found.name!r}", name, fix))
    return found


def read(folder: str | os.PathLike[str]) -> Subject:
    """Return the subject in `folder`, whatever it is called; BundleError as `load`."""
    images = Path(folder) / "images"
    network, (manifest, arrays) = load_network(Path(folder) / "network"), read_bundle(images)
    if manifest.get("format") != FORMAT or set(arrays) - {LABELS} != set(ARRAYS):
        fix = "Make it with refquant.subjects.save."
        raise refusal(images, f"not {FORMAT} with {', '.join(ARRAYS)}", fix)
    calib, test_x, test_y = (arrays[name] for name in ARRAYS)
    labelled = Split(calib, arrays.get(LABELS))
    try:
        return _check(Subject(network, labelled, Split(test_x, test_y)), "load")
    except (TypeError, ValueError) as error:
        raise BundleError(f"{folder}: {error}") from error


def _check(subject: Subject, function: str) -> Subject:
    where, name = f"subjects.{function}", subject.network.name
    if ":" in name or not name:
        fix = "Rename the network; what follows the colon is its hash."
        raise ValueError(complaint(where, "network.name", repr(name), "no colon", fix))
    for part, split in (("calib", subject.calib), ("test", subject.test)):
        check_inputs(where, subject.network, split.x)
        if split.y is not None or part == "test":
            check_labels(where, f"{part}.y", split.y, len(split.x))
    return subject


def _arrays(subject: Subject) -> dict[str, Array]:
    """Return what lies in the folder by name, in the order in which it is hashed."""
    found = (subject.calib.x, subject.test.x, np.asarray(subject.test.y))
    known = {} if subject.calib.y is None else {LABELS: np.asarray(subject.calib.y)}
    return dict(zip(ARRAYS, found, strict=True)) | known
