"""Ask a backend for one case. Whatever keeps it from an answer is a finding, said in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.backend import Stopped, Unsupported
from refquant.oracle.build import Built
from refquant.oracle.compare import Mismatch, compare
from refquant.oracle.judge import handed
from refquant.oracle.layouts import LAYOUTS
from refquant.oracle.op import Attrs, Inputs, Op
from refquant.oracle.tiers import Format

SKIP = "raise refquant.oracle.Unsupported to skip what the backend does not have"
Answer = tuple[dict[str, Array], list[Mismatch]]


def ask(backend: Any, op: Op, item: Built, form: Format, layout: str) -> Answer:
    """Return the outputs of a backend for a case in a layout, and what is wrong with them.

    Raises
    ------
    Unsupported
        If the backend does.
    KeyboardInterrupt
        With a note that says which case was running.
    """
    attrs = op.resolve(item.case.attrs)
    inputs = {k: LAYOUTS[layout](v) for k, v in handed(item.case, form).items()}
    before = {name: value.copy() for name, value in inputs.items()}
    try:
        with np.errstate(all="ignore"):
            found = (
                backend.outputs(item.case.id)
                if hasattr(backend, "outputs")
                else backend.run(op.name, inputs, attrs)
            )
    except Unsupported:
        raise
    except Stopped as reason:
        return {}, [Mismatch("", "raised", str(reason))]
    except KeyboardInterrupt as stop:
        stop.add_note(f"while the backend ran {op.name}/{item.case.id}")
        raise
    except (Exception, SystemExit) as error:  # whatever other people's code raises is a finding
        says = f"raised {type(error).__name__}: {error}".rstrip(": ")
        return {}, [Mismatch("", "raised", says + hint(error, op, inputs, attrs))]
    outputs, problems = arrays(op, found)
    changed = [name for name, value in inputs.items() if not same(value, before[name])]
    if changed:
        return outputs, [Mismatch(changed[0], "input", "the backend changed its input")]
    return outputs, problems or compare(op, item.outputs, outputs, form)


def same(a: Array, b: Array) -> bool:
    """Return whether two arrays hold the same numbers, NaN included."""
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def arrays(op: Op, found: Any) -> Answer:
    """Return what a backend returned as arrays, and what cannot be one."""
    if not isinstance(found, Mapping):
        kind, example = type(found).__name__, f"{{{op.outputs[0].name!r}: array}}"
        says = f"returned {kind}; expected outputs by name, such as {example}"
        return {}, [Mismatch("", "returned", says)]
    outputs, problems = {}, []
    for name, value in found.items():
        try:
            outputs[str(name)] = np.asarray(value)
        except Exception as error:  # a tensor of a library that refuses, a ragged list
            says = f"cannot become a NumPy array ({type(error).__name__}: {error})"
            problems.append(Mismatch(str(name), "returned", says))
    return outputs, problems


def hint(error: BaseException, op: Op, inputs: Inputs, attrs: Attrs) -> str:
    """Return what an exception of a backend probably means, "" if that is anybody's guess."""
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(error, NotImplementedError) or key == op.name:
        return f" ({SKIP})"
    if key in [tensor.name for tensor in op.inputs]:
        return f" (the input {key} is optional, and absent from this case)"
    if isinstance(key, str):
        return f" (inputs are {', '.join(inputs)}; attributes {', '.join(attrs) or 'none'})"
    return ""
