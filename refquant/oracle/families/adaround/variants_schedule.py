"""Wrong schedules and wrong Adams."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround import plain_schedule as plain
from refquant.oracle.op import Attrs, Variant


def by_all_steps(t: Array, attrs: Attrs, end: int) -> Array:
    """Progress counted from 0, without the warm-up."""
    return np.asarray(t / end)


def without_way(t: Array, attrs: Attrs, end: int) -> Array:
    """Divided by what is left of the steps, also where nothing is."""
    begin = attrs["warm_up"] * attrs["total"]
    with np.errstate(all="ignore"):
        return np.asarray((t - begin) / (end - begin))


def by_wrong_length(t: Array, attrs: Attrs, end: int) -> Array:
    """Divided by all steps, not by those that are left."""
    return np.asarray((t - attrs["warm_up"] * attrs["total"]) / end)


SCHEDULE = (
    Variant("beta_schedule", "warm_up_one_longer",
            "The step at which the warm-up ends belongs to it.",
            "<= in place of <", {"warm": lambda t, a: t <= a["warm_up"] * a["total"]}),
    Variant("beta_schedule", "no_warm_up", "The regulariser is on from the first step.",
            "the function default 0.0 of BRECQ's warm-up", {"warm": lambda t, a: t < 0}),
    Variant("beta_schedule", "off_by_one_step", "Steps are counted from one less.",
            "a counter that starts at 0 where the schedule counts from 1",
            {"progress": lambda t, a, end: plain.progress(t - 1, a, end)}),
    Variant("beta_schedule", "progress_from_zero", "The exponent falls from the first step on.",
            "t / T in place of the share after the warm-up", {"progress": by_all_steps}),
    Variant("beta_schedule", "never_arrives", "The exponent stops short of b1.",
            "divided by T in place of T - w T", {"progress": by_wrong_length}),
    Variant("beta_schedule", "no_way_divided", "NaN, or beyond b0, where b1 is due in the warm-up.",
            "0 / 0 unguarded", {"progress": without_way}),
    Variant("beta_schedule", "reversed", "The exponent rises from b1 to b0.",
            "the vendor's prose taken at its word (D8)",
            {"ends": lambda a: (float(a["start"]), float(a["end"]))}),
    Variant("beta_schedule", "linear_is_cosine", "The linear schedule is a cosine.",
            "BRECQ's docstring taken at its word", {"linear": plain.cosine}),
    Variant("beta_schedule", "cosine_is_linear", "The cosine schedule is linear.",
            "BRECQ in place of AIMET", {"cosine": plain.linear}),
    Variant("beta_schedule", "full_cosine", "The cosine returns to b0 at the end.",
            "2 pi in place of pi", {"cosine": lambda rel: plain.cosine(2.0 * rel)}),
    Variant("beta_schedule", "arrives_with_the_last", "b1 is reached one step early.",
            "a divisor of T - 1", {"last": lambda a: int(a["total"]) - 1}),
    Variant("beta_schedule", "not_held", "Beyond the last step the curve goes on.",
            "no limit on the progress", {"hold": lambda rel: rel}),
    Variant("beta_schedule", "on_is_off", "The regulariser is on in the warm-up only.",
            "the flag inverted", {"on": lambda on: ~on}),
    Variant("cosine_lr", "not_halved", "The rate starts at twice its value.",
            "the factor 1/2 of the half cosine",
            {"fall": lambda share: 1.0 + np.cos(np.pi * share)}),
    Variant("cosine_lr", "full_period", "The rate returns to its start.",
            "2 pi in place of pi", {"fall": lambda share: (1.0 + np.cos(2 * np.pi * share)) / 2}),
    Variant("cosine_lr", "quarter", "The rate follows a quarter of a cosine.",
            "cos(pi t / 2T)", {"fall": lambda share: np.cos(np.pi * share / 2)}),
    Variant("cosine_lr", "linear", "The rate falls along a line.", "another schedule",
            {"fall": lambda share: 1.0 - share}),
    Variant("cosine_lr", "constant", "The rate does not change.", "the schedule never stepped",
            {"fall": lambda share: 1.0 + 0.0 * share}),
)  # fmt: skip


def no_correction(value: Array, decay: float, t: int) -> Array:
    """Without the correction."""
    return value


def one_early(value: Array, decay: float, t: int) -> Array:
    """Corrected as if one more step had been taken."""
    return plain.unbiased(value, decay, t + 1)


def wrapped(value: Array, decay: float, t: int) -> Array:
    """Corrected by a counter of 16 bits."""
    return plain.unbiased(value, decay, t % 2**16)


def power_of_float32(value: Array, decay: float, t: int) -> Array:
    """beta^t in single precision, whatever the rest is in."""
    left = 1.0 - np.float32(decay) ** np.float32(t)
    return np.asarray(value / value.dtype.type(left))


ADAM = (
    Variant("adam_step", "no_bias_correction", "Neither mean is corrected for its start at 0.",
            "the correction left out", {"unbiased1": no_correction, "unbiased2": no_correction}),
    Variant("adam_step", "first_mean_uncorrected", "m is not divided by 1 - beta1^t.",
            "half of the correction", {"unbiased1": no_correction}),
    Variant("adam_step", "second_mean_uncorrected", "v is not divided by 1 - beta2^t.",
            "half of the correction", {"unbiased2": no_correction}),
    Variant("adam_step", "step_counted_twice", "The correction is that of step t + 1.",
            "a counter that starts at 1 and is raised before use",
            {"unbiased1": one_early, "unbiased2": one_early}),
    Variant("adam_step", "counter_of_16_bits", "The step counter wraps at 65536.",
            "uint16 in a fused optimiser", {"unbiased1": wrapped, "unbiased2": wrapped}),
    Variant("adam_step", "power_of_float32", "beta^t is a float32, though the rest is float64.",
            "a scalar argument of a kernel",
            {"unbiased1": power_of_float32, "unbiased2": power_of_float32}),
    Variant("adam_step", "eps_inside", "eps stands inside the square root.",
            "a constant on the other side of the bracket",
            {"divisor": lambda v, eps: np.sqrt(v + eps)}),
    Variant("adam_step", "no_eps", "eps is left out.", "an entry without gradients gives NaN",
            {"divisor": lambda v, eps: np.sqrt(v)}),
    Variant("adam_step", "no_root", "The step is divided by v, not by its square root.",
            "the root forgotten", {"divisor": lambda v, eps: v + eps}),
    Variant("adam_step", "not_squared", "v is a mean of |g|.", "the square forgotten",
            {"square": np.abs}),
    Variant("adam_step", "decays_swapped", "The first mean keeps what it should add.",
            "beta and 1 - beta exchanged",
            {"first_mean": lambda old, new, decay: (1.0 - decay) * old + decay * new}),
    Variant("adam_step", "sums", "v is a sum that never forgets.", "AdaGrad in place of Adam",
            {"second_mean": lambda old, new, decay: old + new}),
    Variant("adam_step", "dampened", "New gradients enter m with weight 1.",
            "the momentum of SGD", {"first_mean": lambda old, new, decay: decay * old + new}),
    Variant("adam_step", "uphill", "The step goes up the gradient.", "+ in place of -",
            {"rate": lambda attrs, t: -attrs["lr"]}),
    Variant("adam_step", "rate_falls", "The rate falls with the square root of t.",
            "the decay of Algorithm 1's analysis", {"rate": lambda attrs, t: attrs["lr"] / t**0.5}),
)  # fmt: skip
VARIANTS = (*SCHEDULE, *ADAM)
