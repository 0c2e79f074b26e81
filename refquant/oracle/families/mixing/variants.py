"""Wrong mixes and wrong softmaxes."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.mixing import plain
from refquant.oracle.families.mixing.variants_step import VARIANTS as STEP
from refquant.oracle.op import Variant


def everywhere(*ops: str) -> Any:
    """The same slip in several ops."""

    def made(name: str, says: str, source: str, **parts: Any) -> tuple[Variant, ...]:
        """A slip, once for each op."""
        return tuple(Variant(op, name, says, source, parts) for op in ops)

    return made


(qdrop, mixup) = (
    everywhere("qdrop_mix", "qdrop_mix_backward"),
    everywhere("amixup", "amixup_backward"),
)  # fmt: skip
(soft, back) = (
    everywhere("asoftmax", "asoftmax_backward"),
    everywhere("asoftmax_backward"),
)  # fmt: skip
forward = everywhere("asoftmax")


def arithmetic(mask: Array, a: Array, b: Array) -> Array:
    """m a + (1 - m) b."""
    return np.asarray(mask * a + (1 - mask) * b)


def overflowing(logits: Array, temperature: float) -> Array:
    """The largest logit not taken off."""
    with np.errstate(all="ignore"):
        e = np.exp(logits / temperature)
        return np.asarray(e / e.sum(axis=-1, keepdims=True))


def over_weights(logits: Array, temperature: float) -> Array:
    """Over the axis of the weights."""
    e = np.exp((logits - logits.max(axis=-2, keepdims=True)) / temperature)
    return np.asarray(e / e.sum(axis=-2, keepdims=True))


def unnormalised(logits: Array, temperature: float) -> Array:
    """Sigmoids of each logit."""
    return np.asarray(1 / (1 + np.exp(-logits / temperature)))


VARIANTS = (
    *qdrop("mask_reversed", "The mask marks what is dropped instead of what is kept.",
           "drop_prob of wimh966/QDrop is the probability of keeping (D26)",
           kept=lambda mask: ~mask),
    *qdrop("never_drops", "The quantized value is always used.", "evaluation mode while learning",
           kept=lambda mask: np.ones_like(mask)),
    *qdrop("one_word", "Only the first 32 bits of the mask are read.", "a packed mask of one word",
           kept=lambda mask: mask & (np.arange(mask.size) < 32).reshape(mask.shape)),
    *qdrop("mask_of_rows", "One draw is used for a whole row.", "the mask's shape",
           kept=lambda mask: np.broadcast_to(mask[:, :1], mask.shape)),
    Variant("qdrop_mix", "scaled", "Kept values are divided by their probability.",
            "dropout's 1 / (1 - p)", {"select": lambda mask, a, b: np.where(mask, 2 * a, b)}),
    Variant("qdrop_mix", "zero_instead", "Values that are not kept are 0.", "dropout",
            {"select": lambda mask, a, b: np.where(mask, a, 0)}),
    Variant("qdrop_mix", "by_arithmetic", "A NaN shows through where it is not kept: 0 NaN.",
            "m x_q + (1 - m) x", {"select": arithmetic}),
    Variant("qdrop_mix", "nan_rescued", "A kept NaN gives the value itself.",
            "NaN taken for a sign of what was not computed",
            {"select": lambda mask, a, b: np.where(mask & ~np.isnan(a), a, b)}),
    Variant("qdrop_mix_backward", "all_past", "The direct path gets the whole gradient.",
            "a straight-through mix", {"past": lambda d_y, mask: d_y}),
    Variant("qdrop_mix_backward", "all_through",
            "The quantizer gets the whole gradient, of values that were not quantized too.",
            "mask forgotten (P30)", {"through": lambda d_y, mask: d_y}),
    *mixup("share_reversed", "The share is that of the quantized value.", "P read as 1 - P",
           share=lambda share: 1 - share),
    *mixup("share_rounded", "The share is rounded: all or nothing.", "a Bernoulli draw",
           share=lambda share: np.rint(share)),
    *mixup("share_of_first", "The share of the first entry is used for all.", "a scalar share",
           share=lambda share: share.ravel()[0] + np.zeros_like(share)),
    Variant("amixup", "by_arithmetic", "A NaN of share 0 shows through: 0 NaN.",
            "P x + (1 - P) x_q", {"guard": lambda values, unused: values}),
    Variant("amixup", "one_product", "Equal infinities give NaN.", "x_q + P (x - x_q)",
            {"mix": lambda share, a, b: b + share * (a - b)}),
    Variant("amixup_backward", "all_past", "The direct path gets the whole gradient.",
            "a straight-through mix", {"past": lambda d_y, share: d_y + 0 * share}),
    Variant("amixup_backward", "all_through", "The quantizer gets the whole gradient.",
            "factor forgotten", {"through": lambda d_y, share: d_y + 0 * share}),
    *soft("temperature_multiplies", "Logits are multiplied by the temperature.",
          "an inverse temperature", tau=lambda tau: 1 / tau),
    *soft("temperature_ignored", "The softmax is never cooled.", "option ignored",
          tau=lambda tau: 1.0),
    *soft("rounds_base", "Offsets count from rint(w / s) instead of floor(w / s).",
          "round in place of floor", base=np.rint),
    *soft("truncates_base", "Offsets count from w / s cut towards zero.", "a cast", base=np.trunc),
    *soft("softmax_over_weights", "The softmax runs over the weights instead of the candidates.",
          "axis", softmax=over_weights),
    *soft("sigmoids", "Each candidate has a sigmoid of its own: shares do not add up to 1.",
          "no normalisation", softmax=unnormalised),
    *soft("softmax_overflows", "Large logits give NaN.", "the largest logit not taken off",
          softmax=overflowing),
    *soft("step_forgotten", "The step is left out.", "factor forgotten",
          step=lambda s: np.ones_like(s)),
    *forward("not_clipped", "Levels leave [n, p].", "clip forgotten",
             clipped=lambda level, n, p: np.nan_to_num(level)),
    *forward("nan_to_the_end", "A NaN weight takes the lowest code.", "ROCm/AMDMIGraphX#4914",
             clipped=lambda level, n, p: np.clip(np.where(np.isnan(level), n, level), n, p)),
    *forward("last_of_equal", "Of equal logits the last candidate wins.", "a maximum found with >=",
             best=lambda logits: logits.shape[-1] - 1 - logits[..., ::-1].argmax(axis=-1)),
    *forward("largest_share", "Of logits whose shares are rounded alike the first wins.",
             "argmax of the softmax", best=lambda logits: plain.softmax(logits, 1.0).argmax(-1)),
    *forward("smallest_wins", "The smallest logit wins.", "argmin",
             best=lambda logits: logits.argmin(axis=-1)),
    *forward("zero_point_forgotten", "Codes come without the zero point.", "term forgotten",
             zero=lambda zero: 0 * zero),
    *back("temperature_forgotten", "The gradient is not divided by the temperature.",
          "factor forgotten", divisor=lambda tau: 1.0),
    *back("mean_forgotten", "The gradient is pi c: the mean is not taken off.",
          "the softmax's sum held fixed",
          slope=lambda pi, offsets, mean: pi * (offsets + 0 * mean)),
    *back("share_forgotten", "The gradient is c less the mean, without pi.", "factor forgotten",
          slope=lambda pi, offsets, mean: 0 * pi + offsets - mean),
    *back("diagonal_only", "The gradient is pi (1 - pi) c: the other candidates do not move.",
          "the diagonal of the softmax's Jacobian",
          slope=lambda pi, offsets, mean: pi * (1 - pi) * offsets),
    *back("reversed", "The gradient has the wrong sign.", "sign",
          slope=lambda pi, offsets, mean: pi * (mean - offsets)),
    *back("mask_forgotten", "Clipped weights pass their gradient.", "mask forgotten",
          inside=lambda level, n, p: np.ones(level.shape, bool)),
    *back("levels_at_ends", "Levels at n and p pass no gradient.", "< in place of <=",
          inside=lambda level, n, p: (level > n) & (level < p)),
    *back("ends_excluded", "Weights in the outer half step pass no gradient.",
          "a mask on the rounded level",
          inside=lambda level, n, p: (np.rint(level) > n) & (np.rint(level) < p)),
    *STEP,
)  # fmt: skip
