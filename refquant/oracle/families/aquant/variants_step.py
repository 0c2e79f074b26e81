"""Wrong steps of AQuant's learning."""

from typing import Any

import numpy as np

from refquant.oracle.families.aquant.plain_step import rates
from refquant.oracle.families.aquant.variants_quant import BACKWARD
from refquant.oracle.op import Attrs, Variant


def step(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong step."""
    return Variant("aquant_step", name, says, source, parts)


def other_rates(**changed: str) -> Any:
    """`rates` with some parameters at the rate of another."""

    def found(attrs: Attrs, t: int, part: Any) -> dict[str, float]:
        right = rates(attrs, t, part)
        return right | {name: right[other] for name, other in changed.items()}

    return found


TAKEN_OVER = ("border_up", "schedule_forgotten", "gate_forgotten", "gate_always", "taps_averaged",
              "border_detached", "through_missing_from_step", "b1_without_input",
              "b2_not_squared", "mean_over_samples", "weights_by_polynomial")  # fmt: skip
VARIANTS_STEP = (
    *(step(v.name, v.says, v.source, backward=v.parts) for v in BACKWARD if v.name in TAKEN_OVER),
    step("first_samples", "The batch is the first samples instead of those of indices.",
         "a sampler left out", pick=lambda rows, indices: rows[:len(indices)]),
    step("no_repeats", "A sample drawn twice counts once.", "indices made a set",
         pick=lambda rows, indices: rows[np.unique(indices)]),
    step("schedule_from_zero", "The rounding schedule is one step behind.",
         "AIMET counts from 0, BRECQ from 1", schedule_step=lambda t: t - 1),
    step("schedule_without_hold", "Rounding starts with the first step.", "hold ignored",
         schedule={"start": lambda total, hold: 0.0, "length": lambda total, hold: float(total)}),
    step("input_not_quantized", "The output is that of the input before quantization.",
         "the quantizer left out of the forward pass", used=lambda x_hat, x: x),
    step("two_forgotten", "The gradient of the square lacks its factor 2.", "factor forgotten",
         two=1.0),
    step("mean_over_outputs", "The loss is averaged over the outputs too.",
         "reduction of most training frameworks", places=lambda error: error.size),
    step("mean_over_samples_only", "The loss is summed over the windows.", "reduction",
         places=lambda error: error.shape[0]),
    step("magnitude_of_weights", "The gradient is pulled back by |w_hat|.",
         "a border does not know the sign of its weight", back=lambda w_hat: np.abs(w_hat.T)),
    step("constant_rate_of_step", "The rate of s does not fall.", "no cosine",
         fall=lambda share: 1.0),
    step("one_rate", "s moves at the border's rate.", "one parameter group",
         rates=other_rates(s="b0")),
    step("fusion_at_the_rate_of_s", "Fusion weights move at the rate of s.", "parameter groups",
         rates=other_rates(fusion="s")),
    step("fusion_frozen", "Fusion weights are not learnt.", "alpha absorbed",
         rates=lambda attrs, t, part: rates(attrs, t, part) | {"fusion": 0.0}),
    step("adam_uncorrected", "Adam's means are not corrected for their start.",
         "the correction left out", unbiased1=lambda mean, beta, t: mean,
         unbiased2=lambda mean, beta, t: mean),
    step("eps_inside", "Adam's eps stands inside the square root.",
         "a constant on the other side of the bracket", divisor=lambda v, eps: np.sqrt(v + eps)),
)  # fmt: skip
