"""Backends and goldens of the first family, which the tests of the oracle share."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from refquant.oracle import Unsupported
from refquant.oracle.build import Built, build
from refquant.oracle.families.rounding.cases import cases
from refquant.oracle.families.rounding.plain import half_away as half_away
from refquant.oracle.op import Arrays, Attrs, Inputs, Op, Plain, Tensor
from refquant.oracle.registry import ops

Tensors = tuple[Tensor, ...]
NO_PLAIN = Plain(lambda inputs, attrs, part: {})


@cache
def goldens() -> tuple[Built, ...]:
    """The cases of the rounding family, built anew."""
    return tuple(build(ops()[case.op], case) for case in cases())


def sample(inputs: Tensors, outputs: Tensors, plain: Plain = NO_PLAIN, **more: Any) -> Op:
    """Return an op that no registry has, with what a test says of it."""
    return Op(
        name="sample", says="", formula="", inputs=inputs, outputs=outputs, clauses=(),
        reference=lambda i, a: {}, twin=lambda i, a: {}, plain=plain, **more,
    )  # fmt: skip


class Backend:
    """The plain implementation, with parts exchanged, in an arithmetic of choice."""

    name = "sample"

    def __init__(
        self,
        parts: Mapping[str, Any] | None = None,
        dtype: str = "float64",
        change: Callable[[str, Arrays], Arrays] | None = None,
    ) -> None:
        self.parts, self.dtype, self.change = parts or {}, dtype, change

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Arrays:
        """Compute, then change what was computed."""
        found = ops()[op].plain(inputs, attrs, self.parts)
        return self.change(op, found) if self.change else found


class Nothing:
    """A backend that has no op."""

    name = "nothing"

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Arrays:
        """Refuse."""
        raise Unsupported(f"no {op} here")


class Careless:
    """A backend that writes into its input."""

    name, dtype = "careless", "float32"

    def run(self, op: str, inputs: Inputs, attrs: Attrs) -> Arrays:
        """Compute rightly, then spoil."""
        found = ops()[op].plain(inputs, attrs)
        for value in inputs.values():
            if value.flags.writeable:
                value += 1
        return found
