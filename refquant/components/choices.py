"""What a component's grid, rounding and clip mask may be, checked when it is made.

Quantizers that round to nearest take any of them. Those whose codes come from something else
inherit these fields with nothing to read them, so only the neutral values are allowed there: a
tie rule that is ignored would give another method under the name of the one asked for.
"""

from collections.abc import Mapping
from typing import Any

from refquant._checks import check_bits, check_in
from refquant.quantizers.fake_quant import MASKS
from refquant.quantizers.grid import KINDS
from refquant.quantizers.rounding import ROUNDINGS

Choices = Mapping[str, tuple[Any, ...]]

NEAREST: Choices = {"grid": KINDS, "rounding": tuple(ROUNDINGS), "mask": MASKS}
DECIDED_OTHERWISE: Choices = {"grid": KINDS, "rounding": ("rint",), "mask": ("rounded",)}


def check_choices(component: Any) -> None:
    """ValueError unless every field is one of its component's `choices`, and `bits` a width."""
    kind = type(component).__name__
    for name, allowed in component.choices.items():
        check_in(kind, name, getattr(component, name), allowed)
    check_bits(kind, "bits", component.bits)
