"""Vectors for a program that declares a dialect: its values, and the ids of the corpus."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from refquant import oracle
from refquant._bundle import BundleError
from refquant.cli.main import main
from refquant.oracle import corpus
from refquant.oracle.build import Built, build
from refquant.oracle.case import Case
from refquant.oracle.declared import as_declared
from refquant.oracle.judge import handed
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS
from refquant.oracle.vectors import write_vectors
from refquant.oracle.vectors_read import read_vectors

OP, FORM = ops()["fake_quant"], FORMATS["float32"]
PROFILE = {"fake_quant.rounding": "half_down"}
ABOUT = json.dumps({"name": "firmware", "dtype": "float32", "profile": PROFILE})


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by the command."""
    folder = tmp_path_factory.mktemp("declared")
    about = folder / "backend.json"
    about.write_text(ABOUT)
    words = ["vectors", str(folder / "vectors"), "--only", OP.name, "--for", str(about)]
    assert main(words) == 0
    return folder / "vectors"


def home(folder: Path, item: Built) -> Path:
    """Where a case lies."""
    return folder / item.case.op / item.case.id


def test_every_case_asks_for_what_is_declared(vectors: Path) -> None:
    """Those of other values too; none that the arithmetic is not for."""
    items = read_vectors(vectors)
    assert {item.case.attrs["rounding"] for item in items} == {"half_down"}
    assert len(items) > 20 > sum(item.case.frozen is None for item in items) > 0
    assert {item.case.id for item in items} < {item.case.id for item in corpus.load(OP.name)}
    assert "T53" not in {item.case.tier for item in items}
    for item in items:
        assert "attr rounding str half_down\n" in (home(vectors, item) / "case.txt").read_text()
    manifest, schema = (
        json.loads((vectors / f"{n}.json").read_text()) for n in ("manifest", "schema")
    )
    jsonschema.validate(manifest, schema)


@pytest.mark.parametrize("given", [True, False], ids=["these goldens", "the corpus"])
def test_results_are_judged_by_these_goldens_and_by_the_corpus(
    vectors: Path, tmp_path: Path, given: bool
) -> None:
    """Every case of them, whoever holds the goldens."""
    items = read_vectors(vectors)
    for item in items:
        with np.errstate(all="ignore"):
            found = OP.plain(handed(item.case, FORM), OP.resolve(item.case.attrs))
        home(tmp_path, item).mkdir(parents=True)
        np.save(home(tmp_path, item) / "codes.npy", found["codes"])
    (tmp_path / "backend.json").write_text(ABOUT)
    report = oracle.verify(f"dir:{tmp_path}", "full", OP.name, cases=items if given else None)
    assert report.passed and report.ran == len(items)
    assert not any(count.unsupported for count in report.coverage.values())


@pytest.mark.parametrize(
    ("frozen", "says"),
    [
        ({"mode": "half_down"}, "the id"),
        ({}, "the id"),
        ("rint", "wrong type"),
        ({"mode": {}}, "wrong type"),
    ],
)
def test_frozen_attributes_that_the_id_is_not_made_of_are_refused(
    frozen: Any, says: str, tmp_path: Path
) -> None:
    """In a directory that was changed by hand; as written, they are read."""
    op = ops()["round"]
    case = build(op, Case("round", "T8", "no tie", {"x": [0.25]}, {"mode": "rint"}))
    asked = as_declared(op, case, {"round.mode": "half_up"})
    assert asked is not None
    path = write_vectors(tmp_path / "vectors", [asked]) / "manifest.json"
    (read,) = read_vectors(path.parent)
    assert (read.case.attrs, read.case.frozen) == ({"mode": "half_up"}, {"mode": "rint"})
    manifest = json.loads(path.read_text())
    manifest["cases"][0]["frozen"] = frozen
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=says):
        read_vectors(path.parent)


def test_a_file_that_says_nothing_of_a_backend_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, or of other fields; nothing is written."""
    about = tmp_path / "backend.json"
    for text in (None, '{"run": 1}', '{"profile": "nobody"}'):
        if text:
            about.write_text(text)
        assert main(["vectors", str(tmp_path / "vectors"), "--for", str(about)]) == 4
        assert capsys.readouterr().err
    assert not (tmp_path / "vectors").exists()
