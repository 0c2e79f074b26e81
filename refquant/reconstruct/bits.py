"""The bit widths of a run, and the preparing steps that look at them."""

from dataclasses import dataclass, fields, replace
from typing import Any

from refquant._checks import MAX_BITS
from refquant.methods.setting import Setting


@dataclass(frozen=True)
class Bits:
    """Bit widths of a run; `first_last` covers weights and own input of both layers (D7)."""

    weights: int
    activations: int
    first_last: int | None = 8


def in_a_run(step: Any, setting: Setting, bits: Bits) -> Any:
    """Return a preparing step with the run's bits, as far as it has any; what is real has most."""
    own = {
        "weight_bits": MAX_BITS if setting.weights is None else bits.weights,
        "act_bits": MAX_BITS if setting.activations is None else bits.activations,
        "last_bits": None if None in (setting.weights, setting.activations) else bits.first_last,
    }
    return replace(step, **{f.name: own[f.name] for f in fields(step) if f.name in own})
