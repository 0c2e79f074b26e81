"""Questions about a backend, each with answers that are the right op or one of its variants.

What tells the answers apart is found in the frozen cases: the elements on which they differ.
"""

from dataclasses import dataclass

RIGHT = ""


@dataclass(frozen=True)
class Trait:
    """A question, and what a backend may do.

    Attributes
    ----------
    name : str
    op : str
    answers : tuple of (label, variant)
        The variant's name within the op; "" is what the goldens say; "attribute=value" is the op
        with this attribute, whatever a case asks for.
    attrs : tuple of str
        Attributes that it is about, besides those of its answers.
    """

    name: str
    op: str
    answers: tuple[tuple[str, str], ...]
    attrs: tuple[str, ...] = ()


TRAITS = (
    Trait(
        "ties",
        "fake_quant",
        (
            ("to even", RIGHT),
            ("away from zero", "rint_half_away"),
            ("up", "rint_half_up"),
            ("down", "rint_half_down"),
            ("1/2 added, then floor", "rint_adds_half"),
            ("no rounding: cut towards zero", "rint_truncates"),
            ("everything to even integers", "rint_by_floor_parity"),
        ),
    ),
    Trait(
        "zero point",
        "fake_quant",
        (
            ("added after the rounding", RIGHT),
            ("inside the rounding", "zero_point_inside_the_round"),
            ("added after the clip to codes", "saturates_before_the_zero_point"),
            ("not added", "zero_point_not_added"),
            ("subtracted", "zero_point_subtracted"),
        ),
    ),
    Trait(
        "out of range",
        "fake_quant",
        (
            ("saturates", RIGHT),
            ("wraps around", "wraps_around"),
            ("cast to int32 before the clip", "cast_to_int32_before_the_clip"),
            ("cast to int64 before the clip", "cast_to_int64_before_the_clip"),
        ),
    ),
    Trait(
        "NaN",
        "fake_quant",
        (
            ("as asked", RIGHT),
            ("zero point", "nan_zero_point"),
            ("lowest code", "nan_low"),
            ("highest code", "nan_high"),
        ),
        ("nan",),
    ),
    Trait(
        "lowest signed code",
        "fake_quant",
        (("-2^(b-1)", RIGHT), ("1 - 2^(b-1)", "signed_is_narrow")),
    ),
    Trait(
        "channel axis",
        "fake_quant",
        (
            ("as asked", RIGHT),
            ("always the first", "channels_on_the_first_axis"),
            ("always the last", "channels_on_the_last_axis"),
            ("one step for all", "first_step_for_all"),
        ),
    ),
    Trait(
        "clip mask",
        "fake_quant_backward",
        (
            ("as asked", RIGHT),
            ("of the rounded value", "mask=rounded"),
            ("of the quotient", "mask=unrounded"),
            ("none", "no_mask"),
            ("ends excluded", "ends_excluded"),
        ),
    ),
    Trait(
        "gradient of the step",
        "fake_quant_backward",
        (
            ("q - M u", RIGHT),
            ("clipped part alone", "clipped_alone"),
            ("divided by the step", "slope_over_the_step"),
        ),
    ),
    Trait(
        "ties of requantization",
        "requant_float",
        (
            ("to even", RIGHT),
            ("away from zero", "ties_away"),
            ("up", "ties_up"),
            ("no rounding: cut towards zero", "truncates"),
        ),
    ),
    Trait(
        "stages of requantization",
        "requant_fixed",
        (("as asked", RIGHT), ("one", "requantize=single"), ("two", "requantize=double")),
    ),
    Trait(
        "AdaRound at h = 1/2",
        "adaround_weight",
        (("as asked", RIGHT), ("up", "tie=up"), ("down", "tie=down")),
    ),
    Trait(
        "beta over the steps",
        "beta_schedule",
        (("as asked", RIGHT), ("linear", "curve=linear"), ("cosine", "curve=cosine")),
    ),
    Trait(
        "number of the first step",
        "beta_schedule",
        (("as asked", RIGHT), ("0", "first_step=0"), ("1", "first_step=1")),
    ),
    Trait(
        "border",
        "aquant_quant",
        (
            ("as asked", RIGHT),
            ("of each position", "fuse=none"),
            ("bounded, then fused", "fuse=bound_fuse"),
            ("fused, then bounded", "fuse=fuse_bound"),
        ),
    ),
)
