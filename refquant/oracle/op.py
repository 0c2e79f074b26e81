"""What an operation of the oracle is: a description and three implementations.

    reference   the library itself, in NumPy, run in pinned arithmetic
    twin        scalar loops on the standard library alone; run on floats and on exact numbers
    plain       the op as somebody else would write it, in plain NumPy, with named parts

Everything else hangs on these: goldens are frozen where the three agree, pages and schemas are
printed from the description, and a wrong implementation is `plain` with a part exchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from refquant._types import Array

Arrays = dict[str, Array]
Inputs = Mapping[str, Array]
Attrs = Mapping[str, Any]
KINDS = ("float", "int", "bool")


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes
    ----------
    name : str
    kind : {"float", "int", "bool"}
        An int is a code, a count or a choice, and is always compared with ``==``.
    shape : str
        In the letters of the README, as "(c_out, k)"; "any" and "like x" are allowed.
    says : str
        What it is, with its unit.
    optional : bool
        Inputs that a case may leave out.
    """

    name: str
    kind: str
    shape: str
    says: str
    optional: bool = False


@dataclass(frozen=True)
class Attr:
    """One attribute: a scalar, string, boolean or list that is not a tensor.

    Attributes
    ----------
    name : str
    default : JSON value
    says : str
    choices : tuple
        The values allowed; empty if any.
    dialect : bool
        Published implementations differ in it: a backend may declare the value it has.
    """

    name: str
    default: Any
    says: str
    choices: tuple[Any, ...] = ()
    dialect: bool = False


@dataclass(frozen=True)
class Plain:
    """The op in plain NumPy, of named parts that a variant may exchange.

    Attributes
    ----------
    run : function (inputs, attrs, part) -> {name: array}
        Calls ``part.NAME(...)`` for everything in `parts`. Computes in the dtype of its inputs.
    parts : dict of name to function or constant
        As they should be. Every op also has ``given``, which takes the inputs and returns what is
        computed with.
    """

    run: Callable[[Inputs, Attrs, Any], Arrays]
    parts: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self, inputs: Inputs, attrs: Attrs, exchanged: Mapping[str, Any] | None = None
    ) -> Arrays:
        """Return the outputs, with some parts exchanged."""
        part = SimpleNamespace(**{"given": dict, **self.parts, **(exchanged or {})})
        return self.run(part.given(inputs), attrs, part)


@dataclass(frozen=True)
class Op:
    """An operation of the oracle.

    Attributes
    ----------
    name : str
        ``NAME`` or ``NAME_backward``.
    says : str
        One sentence.
    formula : str
        What is computed, in lines of ASCII.
    inputs, outputs : tuple of Tensor
    attrs : tuple of Attr
    clauses : tuple of str
        Sections, decisions (D2), properties (P08) or conventions (C5) of the specification.
    reference : function (inputs, attrs) -> {name: array}
        Calls the library.
    twin : function (numbers, attrs) -> {name: nested lists}
        Takes nested lists of floats or exact numbers, gives the same.
    plain : Plain
    doubtful : bool
        Elementwise ops, where a value may lie within its error of a decision: the golden then holds
        both answers. Other ops refuse such a case.
    composite : bool
        Multiplies matrices that it computed itself: an arithmetic whose products take fewer digits
        than their sums rounds there, by an amount that nothing bounds, and is not held to the op.
    """

    name: str
    says: str
    formula: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    clauses: tuple[str, ...]
    reference: Callable[[Inputs, Attrs], Arrays]
    twin: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
    plain: Plain
    attrs: tuple[Attr, ...] = ()
    doubtful: bool = False
    composite: bool = False

    def resolve(self, attrs: Attrs) -> dict[str, Any]:
        """Return `attrs` with the defaults filled in.

        Raises
        ------
        ValueError
            If an attribute is unknown or its value not allowed.
        """
        known = {attr.name: attr for attr in self.attrs}
        for name, value in attrs.items():
            if name not in known:
                expected = f"expected one of {sorted(known)}"
                raise ValueError(f"{self.name}: attribute {name!r} is unknown; {expected}.")
            choices = known[name].choices
            if choices and value not in choices:
                raise ValueError(
                    f"{self.name}: attribute {name} is {value!r}; expected one of {choices}."
                )
        return {attr.name: attrs.get(attr.name, attr.default) for attr in self.attrs}

    @property
    def dialect(self) -> tuple[str, ...]:
        """Names of the attributes in which published implementations differ."""
        return tuple(attr.name for attr in self.attrs if attr.dialect)

    def output(self, name: str) -> Tensor:
        """Return the description of one output."""
        return next(tensor for tensor in self.outputs if tensor.name == name)


@dataclass(frozen=True)
class Variant:
    """A wrong implementation: `plain` with parts exchanged.

    Attributes
    ----------
    op, name : str
        ``op.name`` is its identity; the name says what was done wrong.
    says : str
        The diagnosis, as a sentence about "your output".
    source : str
        A reference to a real bug ("owner/repository#12"), or the reason why it is likely.
    parts : dict
        Exchanged parts.
    equivalent : str
        Why no input can tell it from the right one; empty for a bug.
    """

    op: str
    name: str
    says: str
    source: str
    parts: dict[str, Any]
    equivalent: str = ""

    @property
    def id(self) -> str:
        """``op.name``."""
        return f"{self.op}.{self.name}"
