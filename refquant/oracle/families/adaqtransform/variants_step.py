"""Wrong steps of AdaQTransform's learning."""

from typing import Any

import numpy as np

from refquant.oracle.families.adaqtransform.plain_step import LEARNT, rates
from refquant.oracle.families.adaqtransform.variants_layer import BACKWARD, LAYER
from refquant.oracle.op import Attrs, Variant


def step(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong step."""
    return Variant("adaqt_step", name, says, source, parts)


def relative_rates(attrs: Attrs, t: int, part: Any) -> dict[str, float]:
    """xi at twice the rate."""
    right = rates(attrs, t, part)
    return right | {name: 2 * right[name] for name in ("xi", "s_d") if name in right}


def frozen(*names: str) -> Any:
    """Some parameters stay where they are."""
    return lambda attrs, t, part: (
        rates(attrs, t, part) | {name: 0.0 for name in names if name in LEARNT[attrs["case"]]}
    )


FORWARD = ("bias_scaled", "scale_forgotten", "shift_forgotten", "decision_always", "rounds_base",
           "dequantized_by_s_w", "inputs_not_quantized")  # fmt: skip
TAKEN_OVER = ("scale_by_output", "shift_scaled", "means", "weights_without_scale",
              "inputs_without_scale", "alpha_by_s_w", "alpha_width_forgotten", "levels_unmasked",
              "out_step_as_tied", "input_step_by_levels")  # fmt: skip
VARIANTS_STEP = (
    *(step(v.name, v.says, v.source, forward=v.parts) for v in LAYER if v.name in FORWARD),
    *(step(f"d_{v.name}", v.says, v.source, backward=v.parts)
      for v in BACKWARD if v.name in TAKEN_OVER),
    step("first_samples", "The batch is the first samples instead of those of indices.",
         "a sampler left out", pick=lambda rows, indices: rows[:len(indices)]),
    step("no_repeats", "A sample drawn twice counts once.", "indices made a set",
         pick=lambda rows, indices: rows[np.unique(indices)]),
    step("two_forgotten", "The gradient of the square lacks its factor 2.", "factor forgotten",
         two=1.0),
    step("mean_over_outputs", "The loss is averaged over the outputs too.",
         "reduction of most training frameworks", places=lambda error: error.size),
    step("constant_rates", "Rates do not fall along the cosine.", "no schedule",
         fall=lambda share: 1.0),
    step("rates_of_next_step", "Rates are those of the next step.", "t in place of t - 1",
         rates=lambda attrs, t, part: rates(attrs, t + 1, part)),
    step("one_rate", "alpha moves at the rate of the others.", "one parameter group",
         rates=lambda attrs, t, part: dict.fromkeys(LEARNT[attrs["case"]], rates(attrs, t,
             part)["s_x"])),
    step("scale_twice_as_fast", "xi or s_d moves at twice the rate.", "another group",
         rates=relative_rates),
    step("transform_frozen", "xi, eta, s_d and the bias are not learnt: case 1.1.2.",
         "QDrop or NWQ alone", rates=frozen("xi", "eta", "s_d", "bias")),
    step("input_step_frozen", "s_x is not learnt.", "a parameter left out", rates=frozen("s_x")),
    step("shift_frozen", "eta and the bias are not learnt.", "a parameter left out",
         rates=frozen("eta", "bias")),
    step("adam_uncorrected", "Adam's means are not corrected for their start.",
         "the correction left out", unbiased1=lambda mean, beta, t: mean,
         unbiased2=lambda mean, beta, t: mean),
    step("eps_inside", "Adam's eps stands inside the square root.",
         "a constant on the other side of the bracket", divisor=lambda v, eps: np.sqrt(v + eps)),
)  # fmt: skip
