"""Wrong roundings."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.rounding import plain
from refquant.oracle.op import Variant


def floor_if_even(x: Array) -> Array:
    """Floor where the floor is even, else the ceiling: right at ties only."""
    base = np.floor(x)
    return np.where(base % 2 == 0, base, np.ceil(x))


VARIANTS = (
    Variant("round", "rint_half_away", "Ties go away from zero instead of to the even neighbour.",
            "sonos/tract#2850", {"rint": plain.half_away}),
    Variant("round", "rint_half_up", "Ties go up instead of to the even neighbour.",
            "triton-lang/triton-ascend#285", {"rint": plain.half_up}),
    Variant("round", "rint_half_down", "Ties go down instead of to the even neighbour.",
            "the border of AQuant at 1/2, taken for nearest", {"rint": plain.half_down}),
    Variant("round", "rint_truncates", "Values are cut towards zero.",
            "microsoft/onnxruntime#32452", {"rint": np.trunc}),
    Variant("round", "rint_by_floor_parity",
            "Everything goes to an even integer: the test of parity is not limited to ties.",
            "webmachinelearning/webnn-baseline#128", {"rint": floor_if_even}),
    Variant("round", "half_up_adds_half", "1/2 is added and the sum rounded before the floor.",
            "ModelCloud/GPTQModel#3058", {"half_up": lambda x: np.floor(x + 0.5)}),
    Variant("round", "half_up_is_away", "Negative ties go down: away from zero instead of up.",
            "tenstorrent/tt-metal#56525", {"half_up": plain.half_away}),
    Variant("round", "half_away_is_up", "Negative ties go up instead of away from zero.",
            "apache/tvm#4131", {"half_away": plain.half_up}),
    Variant("round", "half_away_adds_half", "1/2 is added and the sum rounded before the floor.",
            "ModelCloud/GPTQModel#3058",
            {"half_away": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5)}),
    Variant("round", "half_down_is_up", "Ties go up instead of down.",
            "the two forms of the border read the other way", {"half_down": plain.half_up}),
    Variant("round", "floor_truncates", "Negative values are cut towards zero.",
            "an integer cast in place of floor", {"floor": np.trunc}),
    Variant("round", "ceil_is_floor_plus_one", "Whole numbers move up by one.",
            "floor(x) + 1 in place of ceil(x)", {"ceil": lambda x: np.floor(x) + 1}),
    Variant("border_round", "at_the_border_up", "A fraction equal to the border goes up.",
            ">= in place of >",
            {"is_above": lambda u, base, border: u - base >= border}),
    Variant("border_round", "ceil_form", "An exactly representable value moves down at border 1.",
            "ceil(u - B), as printed", {"base": lambda u: np.zeros_like(u),
                                        "is_above": lambda u, base, border: np.ceil(u - border)}),
    Variant("border_round", "truncates", "Negative values are taken from the integer above.",
            "an integer cast in place of floor", {"base": np.trunc}),
    Variant("border_round", "ignores_the_border", "The border is taken as 1/2 everywhere.",
            "a kernel that was specialised for the initial border",
            {"is_above": lambda u, base, border: u - base > 0.5}),
    Variant("border_round", "border_off_its_ends", "Borders are kept 1e-6 away from 0 and 1.",
            "a sigmoid's output taken for a border that is never quite 0 or 1",
            {"is_above": lambda u, base, border: plain.is_above(
                u, base, np.clip(border, 1e-6, 1 - 1e-6))}),
    Variant("border_round", "border_mirrored", "1 - border is used.",
            "the border counted from above",
            {"is_above": lambda u, base, border: u - base > 1 - border}),
    Variant("border_round", "down_above", "Fractions below the border go up.",
            "the comparison turned round",
            {"is_above": lambda u, base, border: u - base < border}),
)  # fmt: skip
