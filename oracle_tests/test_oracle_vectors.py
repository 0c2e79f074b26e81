"""Vectors as a directory: written whole, read back equal, described by their schema."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, goldens
from refquant import oracle
from refquant._bundle import BundleError
from refquant._bundle.npy import read_any_npy
from refquant.oracle.pack import compact, pack, unpack
from refquant.oracle.results import read_results
from refquant.oracle.vectors import write_vectors
from refquant.oracle.vectors_read import read_vectors

ROOT = Path(__file__).parent.parent
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The goldens of the first family, written once."""
    return write_vectors(tmp_path_factory.mktemp("oracle") / "vectors", goldens())


def equal(a: Any, b: Any) -> bool:
    """Whether two goldens, or cases, hold the same arrays."""
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") and a.dtype == b.dtype)


def test_what_is_read_is_what_was_written(vectors: Path) -> None:
    """Ids, texts, attributes, inputs and outputs."""
    for old, new in zip(goldens(), read_vectors(vectors), strict=True):
        assert old.agreement == new.agreement
        assert (old.case.id, old.case.purpose, old.case.attrs) == (
            new.case.id,
            new.case.purpose,
            new.case.attrs,
        )
        assert all(equal(old.case.inputs[k], new.case.inputs[k]) for k in old.case.inputs)
        assert all(equal(g.value, new.outputs[k].value) for k, g in old.outputs.items())


def test_numpy_reads_every_file(vectors: Path) -> None:
    """Format 1.0, so that any reader does."""
    for item in goldens():
        home = vectors / item.case.op / item.case.id
        for name, value in item.case.inputs.items():
            assert equal(np.load(home / f"in.{name}.npy", allow_pickle=False), value)


def test_the_manifest_follows_its_schema(vectors: Path) -> None:
    """And a manifest that does not is refused by it."""
    schema = json.loads((vectors / "schema.json").read_text())
    manifest = json.loads((vectors / "manifest.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(manifest, schema)
    manifest["cases"][0]["tier"] = "T9"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, schema)


def test_sums_cover_every_file(vectors: Path) -> None:
    """As sha256sum -c would check them."""
    lines = (vectors / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {p.relative_to(vectors).as_posix() for p in vectors.rglob("*") if p.is_file()}
    assert files == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((vectors / name).read_bytes()).hexdigest() == digest


def test_the_same_vectors_are_the_same_bytes(vectors: Path, tmp_path: Path) -> None:
    """Nothing of the time or the place is in them."""
    again = write_vectors(tmp_path / "again", goldens())
    assert (again / "SHA256SUMS").read_bytes() == (vectors / "SHA256SUMS").read_bytes()


def test_nothing_is_written_over(vectors: Path) -> None:
    """A directory that holds something is refused, and stays as it is."""
    before = sorted(vectors.iterdir())
    with pytest.raises(BundleError, match="not empty"):
        write_vectors(vectors, goldens())
    assert sorted(vectors.iterdir()) == before


def test_a_run_that_dies_leaves_nothing(tmp_path: Path) -> None:
    """Neither the directory nor a part of it."""

    def dying() -> Any:
        yield goldens()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vectors(tmp_path / "vectors", dying())
    assert list(tmp_path.iterdir()) == []


def test_results_in_a_directory_are_judged_like_any_backend(vectors: Path, tmp_path: Path) -> None:
    """Any dtype, any order of memory; what is missing is not supported."""
    backend = Backend()
    ran = [i for i in goldens() if i.case.tier != "T53" and i.case.op == "border_round"]
    for item in ran:
        home = tmp_path / item.case.op / item.case.id
        home.mkdir(parents=True)
        y = backend.run(item.case.op, item.case.inputs, item.case.attrs)["y"]
        np.save(home / "y.npy", np.asfortranarray(y))
    (tmp_path / "backend.json").write_text('{"name": "far away", "dtype": "float32"}')
    report = oracle.verify(f"dir:{tmp_path}", cases=read_vectors(vectors))
    assert report.passed and report.ran == len(ran) > 0 and report.dtype == "float32"
    assert report.coverage["round"].unsupported > 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|b1", "<i2", "|u1", "<f2"])
def test_any_plain_array_is_read(dtype: str, order: Any, tmp_path: Path) -> None:
    """As NumPy writes it, in either byte order."""
    value = np.array(np.arange(12).reshape(3, 4) % 2, dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", value)
    found = read_any_npy(tmp_path / "x.npy", 1000)
    assert np.array_equal(found, value) and found.dtype == value.dtype.newbyteorder("=")


def test_results_that_are_none_are_refused(tmp_path: Path) -> None:
    """Objects, huge shapes, wrong sizes, unknown fields."""
    home = tmp_path / "round" / ("0" * 16)
    home.mkdir(parents=True)
    np.save(home / "y.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(BundleError, match="header"):
        read_results(tmp_path)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }\n"
    (home / "y.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(BundleError, match="declared"):
        read_results(tmp_path)
    (home / "y.npy").unlink()
    (tmp_path / "backend.json").write_text('{"run": "rm -rf"}')
    with pytest.raises(BundleError, match=r"backend\.json"):
        read_results(tmp_path)


def test_a_packed_file_is_read_back(tmp_path: Path) -> None:
    """And any change of its length is noticed."""
    items = [item for item in goldens() if item.case.op == "round"]
    data = pack("round", items)
    op, found = unpack(data)
    assert op == "round" and [i.case.id for i in found] == [i.case.id for i in items]
    assert all(
        equal(a.outputs["y"].value, b.outputs["y"].value) for a, b in zip(items, found, strict=True)
    )
    for damaged in (data[:-1], data + b"\0", b"x" + data):
        with pytest.raises(ValueError, match="unpack"):
            unpack(damaged)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.array([1, -128]), "|i1"),
        (np.array([1, 128]), "<i2"),
        (np.array([1, 2**40]), "<i8"),
        (np.array([0.5, np.nan, 2.0**-24, 2047.0]), "<f2"),
        (np.array([2049.0, np.inf]), "<f4"),
        (np.array([0.1]), "<f8"),
        (np.array([1e300]), "<f8"),
        (np.array([True]), "|b1"),
    ],
)
def test_arrays_are_stored_in_the_smallest_dtype_that_holds_them(value: Any, dtype: str) -> None:
    """Without loss."""
    assert compact(value).dtype.str == dtype


@pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")
def test_a_program_in_c_is_verified(tmp_path: Path) -> None:
    """The example of the documentation: compiled without a warning, run, and right."""
    program = tmp_path / "kernel"
    source = ROOT / "validation" / "c" / "kernel.c"
    flags = ["-O2", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([str(COMPILER), *flags, "-o", str(program), str(source), "-lm"], check=True)
    report = oracle.verify(f"cmd:{program}", ops="border_round,fake_quant,requant_fixed")
    assert report.passed, report.to_text()
    assert all(count.ran > 0 for count in report.coverage.values())
    assert len((source.parent / "vectors.h").read_text().splitlines()) < 100


def test_a_program_that_fails_is_an_error(tmp_path: Path) -> None:
    """Not a pass, and not a mismatch."""
    command = f"{sys.executable} -c 'import sys; sys.exit(3)'"
    with pytest.raises(ValueError, match="ended with code 3"):
        oracle.verify(f"cmd:{command}", cases=goldens()[:1])
