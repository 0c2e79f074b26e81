"""Other people's implementations: a Python object, an external program, a directory of results.

mod:attr    a Python object (or a class without arguments): see `Backend`
cmd:PROG    a program: run once as ``PROG VECTORS RESULTS``, reads and writes .npy files
dir:PATH    results that were computed elsewhere, as a program would have written them
"""

import importlib
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.op import Attrs, Inputs
from refquant.oracle.profiles import resolve
from refquant.oracle.results import read_results
from refquant.oracle.tiers import FORMATS, Format
from refquant.oracle.vectors import write_vectors


class Unsupported(Exception):
    """Raised by a backend for an op, or attributes, that it does not have; the text is shown."""


@runtime_checkable
class Backend(Protocol):
    """What an adapter is: fifteen lines around the code to be verified.

    Attributes
    ----------
    name : str
    profile : str or mapping, optional
        A profile's name or dialect fields; "any" if absent.
    dtype : str, optional
        The arithmetic that bounds are scaled to: float64 (default), float32, tf32, float16 or
        bfloat16. Floats are handed over as float64 or float32 arrays, integers as int32.
    """

    name: str

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Mapping[str, Any]:
        """Return the outputs of an op by name; some may be left out. Raise Unsupported to skip."""
        ...


class Recorded:
    """A backend whose outputs were computed before: {case id: outputs}."""

    def __init__(self, name: str, found: Mapping[str, Mapping[str, Array]], about: Attrs) -> None:
        self.name, self.found = name, found
        self.profile, self.dtype = about.get("profile", "any"), about.get("dtype", "float64")

    def outputs(self, case: str) -> Mapping[str, Array]:
        """Return the outputs for one case; Unsupported if there are none."""
        if case not in self.found:
            raise Unsupported("no results for this case")
        return self.found[case]


def open_backend(spec: Any, cases: Iterable[Built]) -> Any:
    """Return the backend that a specification names; objects are returned as they are.

    Parameters
    ----------
    spec : str or object
        ``module:attribute``, ``cmd:PROGRAM``, ``dir:PATH``, or something with a `run`.
    cases : iterable of Built
        What an external program is given.

    Raises
    ------
    TypeError, ValueError
        If it names nothing, or what it names is no backend.
    """
    if not isinstance(spec, str):
        return _checked(spec)
    kind, _, rest = spec.partition(":")
    if kind == "dir":
        return Recorded(spec, *read_results(Path(rest)))
    if kind == "cmd":
        return _program(rest, cases)
    if not rest:
        expected = "module:attribute, cmd:PROGRAM or dir:PATH"
        raise ValueError(complaint("verify", "backend", repr(spec), expected))
    try:
        found = getattr(importlib.import_module(kind), rest)
    except (ImportError, AttributeError) as error:
        fix = "Run from where Python finds the module, or set PYTHONPATH."
        got = f"{spec!r} ({error})"
        raise ValueError(complaint("verify", "backend", got, "importable", fix)) from error
    return _checked(found() if isinstance(found, type) else found)


def _checked(found: Any) -> Any:
    named = isinstance(getattr(found, "name", None), str)
    if not named or not callable(getattr(found, "run", None)):
        fix = "See refquant.oracle.Backend."
        got = f"a {type(found).__name__}"
        raise TypeError(complaint("verify", "backend", got, "an object with name and run", fix))
    format_of(found)
    resolve(getattr(found, "profile", "any"))
    return found


def format_of(backend: Any) -> Format:
    """Return the arithmetic that a backend declares."""
    name = getattr(backend, "dtype", "float64")
    return FORMATS[check_in("verify", "backend.dtype", name, FORMATS)]


def _program(command: str, cases: Iterable[Built]) -> Recorded:
    """Run an external program on the cases and return what it wrote."""
    with tempfile.TemporaryDirectory(prefix="refquant-") as folder:
        vectors, results = Path(folder) / "vectors", Path(folder) / "results"
        write_vectors(vectors, cases)
        results.mkdir()
        done = subprocess.run([*shlex.split(command), str(vectors), str(results)], check=False)
        if done.returncode:
            fix = "It must exit with 0 once its results are written."
            got = f"{command!r} ended with code {done.returncode}"
            raise ValueError(complaint("verify", "backend", got, "exit code 0", fix))
        return Recorded(f"cmd:{command}", *read_results(results))
