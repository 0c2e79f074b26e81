"""Wrong schedules, A-roundings and SQuants."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.aquant import plain_rounding as plain
from refquant.oracle.op import Variant

Offer = tuple[int, float] | None


def schedule(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong schedule."""
    return Variant("round_schedule", name, says, source, parts)


SCHEDULE = (
    schedule("counts_from_zero", "The schedule is one step behind: t counts from 0.",
             "AIMET counts from 0, BRECQ from 1", step=lambda t: t - 1),
    schedule("no_hold", "The weight grows from the first step on.", "hold ignored",
             start=lambda total, hold: 0.0, length=lambda total, hold: float(total)),
    schedule("late", "The weight is still below 1 at the last step: divided by all steps.",
             "total in place of total - hold total", length=lambda total, hold: float(total)),
    schedule("not_held", "The weight is negative during the hold.", "clip forgotten",
             clip=lambda ramp: np.minimum(ramp, 1)),
    schedule("reversed", "The weight falls from 1 to 0.", "the weight of u in place of that of r",
             clip=lambda ramp: 1 - np.clip(ramp, 0, 1)),
    schedule("jumps", "The weight is 1 as soon as the hold is over.", "a switch, not a ramp",
             clip=lambda ramp: (ramp > 0).astype(ramp.dtype)),
)  # fmt: skip


def always_next(order: list[int], flips: int, total: float, sign: float) -> Offer:
    """The next element in the order, whether the flips reached the sum or not."""
    return (order[flips], -sign) if flips < len(order) else None


def always_last(order: list[int], flips: int, total: float, sign: float) -> Offer:
    """The last element flipped, if any."""
    return (order[flips - 1], sign) if flips > 0 else None


def strict_offer(order: list[int], flips: int, total: float, sign: float) -> Offer:
    """The last element only if the flips passed the sum."""
    if flips > abs(total):
        return order[flips - 1], sign
    return (order[flips], -sign) if flips < len(order) else None


def any_offer(order: list[int], flips: int, total: float, sign: float) -> Offer:
    """A channel whose errors cancel offers its first element."""
    return (0, 1.0) if sign == 0 else plain.offer(order, flips, total, sign)


SLIPS = (
    ("half_away", "The flips are counted by rounding half away from zero.", "half to even is meant",
     {"count": lambda x: np.floor(x + 0.5)}),
    ("flips_by_floor", "A channel flips floor |S| elements instead of rint |S|.", "a cast",
     {"count": np.floor}),
    ("flips_by_ceil", "A channel flips ceil |S| elements instead of rint |S|.", "one too many",
     {"count": np.ceil}),
    ("flips_with_the_sum", "Elements are flipped towards the sign of S: errors grow.", "sign",
     {"direction": 1}),
    ("smallest_first", "The elements closest to their level are flipped first.",
     "ascending in place of descending",
     {"order": lambda r, ok: sorted(np.flatnonzero(ok).tolist(), key=lambda j: (abs(r[j]), j))}),
    ("ties_by_last", "Of equal residuals the last is flipped first.", "an unstable sort",
     {"order": lambda r, ok: sorted(np.flatnonzero(ok).tolist(), key=lambda j: (-abs(r[j]), -j))}),
    ("in_order", "Elements are flipped by index, not by |r|.", "no sort",
     {"order": lambda r, ok: np.flatnonzero(ok).tolist()}),
    ("offers_the_next", "A channel that flipped enough offers its next element.",
     "the over-shot case forgotten", {"offer": always_next}),
    ("offers_the_last", "A channel offers the last element it flipped, or none.",
     "the under-shot case forgotten", {"offer": always_last}),
    ("exact_offers_the_next", "A channel whose flips equal |S| offers its next element.",
     "> in place of >=", {"offer": strict_offer}),
    ("offers_without_need", "A channel whose errors cancel offers its first element.",
     "SQuant's code names a meaningless candidate (D18)", {"offer": any_offer}),
    ("vector_sum_of_sizes", "T adds the sizes of the channels' sums.", "AQuant app. A as printed",
     {"vector_sum": lambda r: np.abs(r.sum(axis=1)).sum()}),
    ("vector_by_floor", "floor |T| offers are taken instead of rint |T|.", "a cast",
     {"vector_count": np.floor}),
    ("vector_by_ceil", "ceil |T| offers are taken instead of rint |T|.", "one too many",
     {"vector_count": np.ceil}),
    ("one_offer", "A vector takes one offer at most.", "a flip in place of a loop",
     {"vector_count": lambda x: min(np.rint(x), 1)}),
    ("no_vector_stage", "Errors cancel in the channels only.", "stage 3 left out",
     {"vector_count": lambda x: 0}),
    ("no_channel_stage", "No element is flipped in the channels.", "stage 2 left out",
     {"count": lambda x: 0}),
    ("takes_any_offer", "Offers that raise |T| are taken too.", "the test of the sign forgotten",
     {"helps": lambda move, total: True}),
    ("offers_by_index", "Offers are taken by index, not by |r|.", "no sort (C18)",
     {"chosen": lambda useful: sorted(useful, key=lambda one: one[1])}),
    ("offers_smallest_first", "The offers of smallest |r| are taken first.",
     "ascending in place of descending",
     {"chosen": lambda useful: sorted(useful, key=lambda one: (-one[0], one[1]))}),
    ("flips_beyond_the_ends", "Elements at the ends are flipped outwards and clipped back.",
     "the ends forgotten (D18)", {"free": lambda u, r, sign, n, p: r * sign > 0}),
    ("ends_exclusive", "Elements whose level is an end are not flipped at all.",
     "levels tested in place of values (D18)",
     {"free": lambda u, r, sign, n, p: (r * sign > 0) & (np.rint(u) > n) & (np.rint(u) < p)}),
    ("not_clipped", "Levels leave [n, p].", "clip forgotten",
     {"clipped": lambda q, u, ends: np.nan_to_num(q)}),
    ("starts_half_up", "The first rounding takes ties up.", "floor(u + 1/2)",
     {"nearest": lambda u: np.floor(u + 0.5)}),
)  # fmt: skip
A_ROUNDING = (
    *(Variant("a_rounding", *slip) for slip in SLIPS),
    Variant("a_rounding", "residual_after_clip", "r is taken after the clip.",
            "order of clip and errors (D18)", {"residual": lambda q, levels: levels}),
    Variant("a_rounding", "nan_kept", "A NaN makes every sum NaN.", "no guard",
            {"usable": lambda u: np.ones(u.shape, bool)}),
)  # fmt: skip


def of_layer(least: bool) -> Any:
    """One end for all filters."""

    def end(w: Array) -> Array:
        found = min(w.min(), 0) if least else max(w.max(), 0)
        return np.full(len(w), found, w.dtype)

    return end


def squant(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong SQuant."""
    return Variant("squant_weight", name, says, source, parts)


NOT_THERE = ("half_away",)  # no case of filters that shows them
SQUANT = (
    *(Variant("squant_weight", *slip) for slip in SLIPS if slip[0] not in NOT_THERE),
    squant("zero_not_in_range", "The range is that of the weights, 0 left out.",
           "min and max as they are", lowest=lambda w: w.min(axis=(1, 2)),
           highest=lambda w: w.max(axis=(1, 2))),
    squant("one_step_for_all", "All filters share one step.", "per tensor", lowest=of_layer(True),
           highest=of_layer(False)),
    squant("levels_counted", "The range is divided by 2^bits instead of 2^bits - 1.",
           "levels in place of intervals", top=lambda top: top + 1),
    squant("zero_step", "A filter of zeros has the step 0, and NaN for codes.",
           "ml-explore/mlx#1028", smallest=0.0),
    squant("zero_point_by_floor", "The zero point is a floor.", "a cast", zero=np.floor),
    squant("zero_point_half_up", "A tie of the zero point goes up.", "floor(z + 1/2)",
           zero=lambda low: -np.floor(0.5 - low)),
    squant("codes_in_a_byte", "Codes wrap at 256 before they are clipped.", "a cast first",
           clipped=lambda q, u, ends: np.clip((q - ends[0]) % 256 + ends[0], *ends)),
    squant("stages_exchanged", "The switches of the two stages are exchanged.",
           "order of the arguments", switches=lambda attrs: (attrs["channel"], attrs["kernel"])),
    squant("nearest", "Weights are rounded to nearest.", "SQuant-E in place of SQuant-E&K&C",
           switches=lambda attrs: (False, False)),
)  # fmt: skip
VARIANTS_ROUNDING = SCHEDULE + A_ROUNDING + SQUANT
