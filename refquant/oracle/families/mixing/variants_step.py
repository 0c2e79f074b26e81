"""Wrong steps of QDrop: masks that are misread, gradients that go the wrong way."""

from typing import Any

import numpy as np

from refquant.oracle.families.adaround.variants_step import VARIANTS as ADAROUND
from refquant.oracle.families.mixing.plain_step import rates
from refquant.oracle.op import Variant


def step(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong step."""
    return Variant("qdrop_step", name, says, source, parts)


def quantizer(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong quantizer of the inputs, in both directions."""
    return step(name, says, source, forward=parts, backward=parts)


TAKEN_OVER = (
    "hard_forward", "base_rounded", "no_level_mask", "first_samples", "repeats_dropped", "no_two",
    "no_penalty_gradient", "penalty_in_warm_up", "beta_of_last_step", "adam_uncorrected",
)  # fmt: skip
VARIANTS = (
    *(step(v.name, v.says, v.source, **v.parts) for v in ADAROUND if v.name in TAKEN_OVER),
    step("element_mask_reversed", "The element mask marks what is dropped instead of what is kept.",
         "drop_prob of wimh966/QDrop is the probability of keeping (D26)",
         masks=lambda entered, kept: (entered, ~kept)),
    step("input_mask_reversed", "The input mask marks what comes from the float network.",
         "the arguments of torch.where exchanged", masks=lambda entered, kept: (~entered, kept)),
    step("masks_exchanged", "The input mask drops elements, and the other way round.",
         "one generator read twice in another order", masks=lambda entered, kept: (kept, entered)),
    step("one_mask", "The input mask is used at the quantizer too.", "a mask drawn once",
         masks=lambda entered, kept: (entered, entered)),
    step("never_drops", "Everything is quantized.", "evaluation mode while learning",
         masks=lambda entered, kept: (entered, np.ones_like(kept))),
    step("mask_of_samples", "One draw is used for a whole sample.", "the mask's shape",
         masks=lambda entered, kept: (entered, np.broadcast_to(kept[:, :1], kept.shape))),
    step("quantized_inputs_alone", "The inputs are always those of the quantized layers.",
         "BRECQ: no drop at the input", enter=lambda entered, x_q, x: x_q),
    step("float_inputs_alone", "The inputs are always those of the float network.",
         "layers learnt on their own", enter=lambda entered, x_q, x: x),
    step("zero_instead", "Elements that are not kept are 0.", "dropout",
         drop=lambda kept, quantized, x: np.where(kept, quantized, 0).astype(x.dtype)),
    step("scaled", "Kept elements are divided by their probability.", "dropout's 1 / (1 - p)",
         drop=lambda kept, quantized, x: np.where(kept, 2 * quantized, x)),
    step("all_through", "The step learns from elements that were not quantized too.",
         "mask forgotten (P30)", through=lambda kept, d_x_hat: d_x_hat),
    step("gradient_by_dropped", "The step learns from the dropped elements alone.",
         "the mask inverted in the backward pass",
         through=lambda kept, d_x_hat: np.where(kept, 0, d_x_hat).astype(d_x_hat.dtype)),
    quantizer("zero_point_ignored", "The zero point of the inputs is left out.",
              "affine inputs taken for unsigned ones",
              zero_along=lambda zero, axis, x: 0 * zero),
    step("step_by_levels", "d_s_x is the sum of d q: the share M u is missing.",
         "the derivative of s q with q held fixed",
         backward={"slope": lambda q, u, inside, s: q}),
    step("step_not_masked", "Clipped inputs count as if they were not.",
         "eladhoffer/quantized.pytorch#5",
         backward={"is_inside": lambda r, u, ends, mask: np.ones(r.shape, bool)}),
    step("grad_scale_ignored", "The gradient scale is left out.", "hustzxd/LSQuantization#1",
         backward={"scaled": lambda d_s, grad_scale, x: d_s}),
    step("step_frozen", "s_x is not learnt.", "AdaRound or BRECQ's first phase",
         rates=lambda attrs, t, part: rates(attrs, t, part) | {"s_x": 0.0}),
    step("rounding_frozen", "alpha is not learnt.", "BRECQ's second phase",
         rates=lambda attrs, t, part: rates(attrs, t, part) | {"alpha": 0.0}),
    step("one_rate", "s_x moves at the rate of alpha.", "one parameter group",
         rates=lambda attrs, t, part: dict.fromkeys(("alpha", "s_x"), attrs["lr_alpha"])),
    step("constant_rate", "The rate of s_x does not fall.", "no schedule", fall=lambda share: 1.0),
    step("rate_of_next_step", "The rate of s_x is that of the next step.", "t in place of t - 1",
         rates=lambda attrs, t, part: rates(attrs, t + 1, part)),
    step("mean_over_outputs", "The loss is averaged over the outputs too.",
         "reduction of most training frameworks", divisor_of=np.size),
)  # fmt: skip
