"""Dialects: what a backend says about the choices on which published implementations differ.

A profile fixes attributes: {"attribute": value} for every op that has a dialect of that name, or
{"op.attribute": value} for one op. A backend is held to the cases that have these values, and to
those whose golden is the same with them (see `declared`); what it does not mention it must honour
as each case gives it.

    any     nothing is fixed: every attribute is honoured
    paper   every dialect attribute has its default, the choice of the paper
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from refquant._checks import check_in, complaint
from refquant.methods import METHODS
from refquant.oracle.op import Op
from refquant.oracle.registry import ops

ADAROUND = ("alpha_init", "edge", "tie", "curve", "first_step", "after", "reduction")
TFLITE = {"quantize_multiplier.mantissa_rounding": "half_away"}  # std::round of the mantissa


def released(tool: str, *fields: str) -> dict[str, Any]:
    """Return these fields as the AdaRound of a released program has them.

    The values are those of the method of that name (`refquant.methods.adaround_dialects`); the
    fields are those of which the program's own code leaves no doubt.
    """
    setting = METHODS[f"adaround-{tool}"]
    (phase,) = setting.phases
    parts = (setting.weights, getattr(phase.penalty, "beta", None), phase.terms[0])
    return {f: next(getattr(part, f) for part in parts if hasattr(part, f)) for f in fields}


PROFILES: dict[str, dict[str, Any]] = {
    "any": {},
    "paper": {},
    "brecq": released("brecq", *ADAROUND),
    "qdrop": released("qdrop", *ADAROUND),
    "mqbench": released("mqbench", *ADAROUND),
    "aimet": released("aimet", "curve", "first_step", "after", "tie"),
    "ppq": released("ppq", "curve", "after", "tie"),
    "amct": {
        **released("amct", "curve", "first_step", "reduction"),
        "range_to_qparams.divisor": "amct",
    },
    "brevitas": released("brevitas", "curve", "reduction", "tie"),
    "onnxsim": released("onnxsim", "curve", "arrive", "reduction", "tie"),
    "onnx": {"round.mode": "rint", "fake_quant.rounding": "rint"},
    "tflite-single": {**TFLITE, "requant_fixed.requantize": "single"},
    "tflite-double": {**TFLITE, "requant_fixed.requantize": "double"},
}


def resolve(profile: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile as {"op.attribute": value}.

    Raises
    ------
    TypeError, ValueError
        If the profile, an op, an attribute or a value is unknown.
    """
    if isinstance(profile, str):
        check_in("verify", "backend.profile", profile, PROFILES)
        defaults = {
            f"{op.name}.{attr.name}": attr.default
            for op in ops().values()
            for attr in op.attrs
            if attr.dialect and profile == "paper"
        }
        return defaults | _spread(PROFILES[profile])
    if not isinstance(profile, Mapping):
        got = type(profile).__name__
        expected = "a name or a mapping of fields"
        raise TypeError(complaint("verify", "backend.profile", got, expected))
    return _spread(profile)


def _spread(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without an op spread over all ops that have them."""
    found: dict[str, Any] = {}
    for field, value in fields.items():
        own, _, name = field.rpartition(".")
        owners = [op for op in ops().values() if name in op.dialect and own in ("", op.name)]
        if not owners:
            raise ValueError(_unknown(field))
        for op in owners:
            _known(op, name, value, field)
            found[f"{op.name}.{name}"] = value
    return found


def _unknown(field: str) -> str:
    """Return what is wrong with the name of a field, and the nearest that there is."""
    names = sorted({attr for op in ops().values() for attr in op.dialect})
    full = [f"{op.name}.{attr}" for op in ops().values() for attr in op.dialect]
    near = get_close_matches(field, full if "." in field else names, n=1)
    fix = f"Dialect fields are {', '.join(names)}, or op.field."
    fix = f"Did you mean {near[0]!r}? {fix}" if near else fix
    return complaint("verify", "backend.profile", repr(field), "a dialect field", fix)


def _known(op: Op, name: str, value: Any, field: str) -> None:
    """Refuse a value that the op does not know."""
    choices = next(attr.choices for attr in op.attrs if attr.name == name)
    if choices:
        check_in("verify", f"backend.profile[{field!r}]", value, choices)
