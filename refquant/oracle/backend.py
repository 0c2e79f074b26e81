"""Other people's implementations: a Python object, an external program, a directory of results.

mod:attr    a Python object (or a class without arguments): see `Backend`
cmd:PROG    a program: run as ``PROG VECTORS RESULTS``, reads and writes .npy files
dir:PATH    results that were computed elsewhere, as a program would have written them
"""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.oracle.build import Built
from refquant.oracle.op import Attrs, Inputs
from refquant.oracle.profiles import resolve
from refquant.oracle.program import TIMEOUT, ask_program
from refquant.oracle.results import read_results
from refquant.oracle.tiers import FORMATS, Format

SHORT = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


class Unsupported(Exception):
    """Raised by a backend for an op, or attributes, that it does not have; the text is shown."""


@runtime_checkable
class Backend(Protocol):
    """What an adapter is: fifteen lines around the code to be verified.

    Attributes
    ----------
    name : str
    profile : str or mapping, optional
        A profile's name or dialect fields; "any" if absent. `run` is given the values declared, in
        cases of other values too where the golden is the same.
    dtype : str, optional
        The arithmetic that bounds are scaled to: float64 (default), float32, tf32, float16 or
        bfloat16. Floats are handed over as float64 or float32 arrays, integers as int32.

    The arrays lie in memory as C, Fortran, strided, reversed and read-only ones, case by case: a
    kernel that takes only C order gets ``np.array(value, order="C")``.
    """

    name: str

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Mapping[str, Any]:
        """Return the outputs of an op by name; some may be left out. Raise Unsupported to skip."""
        ...


class Stopped(Exception):
    """A program gave no answer to a case, and did not mean to leave it out; the text says why."""


class Recorded:
    """A backend whose outputs were computed before: {case id: outputs}.

    `stopped` are cases on which that failed: {case id: what happened}.
    """

    def __init__(
        self,
        name: str,
        found: Mapping[str, Mapping[str, Array]],
        about: Attrs,
        stopped: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.found, self.stopped = name, found, stopped or {}
        self.profile, self.dtype = about.get("profile", "any"), about.get("dtype", "float64")

    def outputs(self, case: str) -> Mapping[str, Array]:
        """Return the outputs for one case; Unsupported if there are none, or Stopped."""
        if case in self.stopped:
            raise Stopped(self.stopped[case])
        if case not in self.found:
            raise Unsupported("no results for this case")
        return self.found[case]


def open_backend(spec: Any, cases: Iterable[Built], timeout: float = TIMEOUT) -> Any:
    """Return the backend that a specification names; objects are returned as they are.

    Parameters
    ----------
    spec : str or object
        ``module:attribute``, ``cmd:PROGRAM``, ``dir:PATH``, or something with a `run`.
    cases : iterable of Built
        What an external program is given.
    timeout : float
        Seconds that it may spend without results for another case.

    Raises
    ------
    TypeError, ValueError
        If it names nothing, or what it names is no backend.
    """
    if not isinstance(spec, str):
        return _checked(spec)
    kind, _, rest = spec.partition(":")
    if not rest:
        expected = "module:attribute, cmd:PROGRAM or dir:PATH"
        module, dot, name = spec.rpartition(".")
        near = dot and name.isidentifier() and not spec.startswith(".")
        fix = f"Did you mean {module}:{name}?" if near and name != "py" else ""
        raise ValueError(complaint("verify", "backend", repr(spec), expected, fix))
    if kind == "dir":
        found, about = read_results(Path(rest))
        return Recorded(about.get("name", spec), found, about)
    if kind == "cmd":
        answers = ask_program(rest, cases, timeout)
        name = answers.about.get("name", spec)
        return Recorded(name, answers.found, answers.about, answers.stopped)
    return _imported(spec, kind, rest)


def _imported(spec: str, module: str, attribute: str) -> Any:
    """Return the object that ``module:attribute`` names; whatever goes wrong is a ValueError."""
    try:
        found = getattr(importlib.import_module(module), attribute)
        made = found() if isinstance(found, type) else found
    except Exception as error:  # of the module itself, too
        fix = "The option --debug prints the traceback."
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            fix = "Run from where Python finds the module, or set PYTHONPATH."
        if module.endswith(".py"):
            fix = f"Name the module, not the file: {module[:-3]}:{attribute}."
        got = f"{spec!r} ({type(error).__name__}: {error})"
        expected = "importable, and a class to need no arguments"
        raise ValueError(complaint("verify", "backend", got, expected, fix)) from error
    try:
        return _checked(made)
    except TypeError as error:  # of what was typed, not of a program that passed an object
        raise ValueError(str(error)) from error


def _checked(found: Any) -> Any:
    named = isinstance(getattr(found, "name", None), str)
    if not named or not callable(getattr(found, "run", None)):
        fix = "A name is a string, and run(op, inputs, attrs) returns outputs by name."
        got = f"a {type(found).__name__}"
        raise TypeError(complaint("verify", "backend", got, "an object with name and run", fix))
    format_of(found)
    resolve(getattr(found, "profile", "any"))
    return found


def format_of(backend: Any) -> Format:
    """Return the arithmetic that a backend declares."""
    declared = getattr(backend, "dtype", "float64")
    name = declared if isinstance(declared, str) else getattr(declared, "__name__", str(declared))
    return FORMATS[check_in("verify", "backend.dtype", SHORT.get(name, name), FORMATS)]
