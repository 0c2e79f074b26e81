"""What the ops of whole optimiser steps share: the batch, and a state of parameters under Adam.

A parameter `p` goes in with its means `m_p` and `v_p`; out come its gradient `d_p` and `p_next`,
`m_p_next`, `v_p_next`. Step t = 1 is the first.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.optim.adam import adam_resume, adam_step
from refquant.oracle.draw import single
from refquant.oracle.families.adaround import plain_schedule
from refquant.oracle.families.adaround.ops_schedule import exact_adam, hyper_of
from refquant.oracle.nested import as_array
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Tensor

Numbers = dict[str, Any]
INDICES = Tensor("indices", "int", "(batch,)", "the samples of this step; may repeat")
T = Tensor("t", "int", "()", "number of this step, 1 to total")
LOSS = Tensor("loss", "float", "()", "reconstruction loss of the batch")
TOTAL = Attr("total", 20, "number of steps")
LR_ALPHA = Attr("lr_alpha", 0.001, "learning rate of alpha")


def tensors(
    shapes: Mapping[str, str], optional: Collection[str] = ()
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """(inputs, outputs) that belong to the parameters; the parameters themselves are not listed."""
    means = tuple(
        Tensor(
            f"{mean}_{name}", "float", shape, f"Adam's mean of d_{name}{power}", name in optional
        )
        for name, shape in shapes.items()
        for mean, power in (("m", ""), ("v", "^2"))
    )
    after = tuple(
        Tensor(
            f"{part}{name}_next", "float", shape, f"{part}{name} after the step", name in optional
        )
        for name, shape in shapes.items()
        for part in ("", "m_", "v_")
    )
    slopes = tuple(
        Tensor(f"d_{name}", "float", shape, f"gradient of {name}", name in optional)
        for name, shape in shapes.items()
    )
    return means, (*slopes, *after)


def library(inputs: Inputs, grads: Arrays, rates: Mapping[str, float], attrs: Attrs) -> Arrays:
    """Return gradients and next state, by the library."""
    hyper, keys = hyper_of(attrs), tuple(grads)
    m, v = ({key: inputs[f"{mean}_{key}"] for key in keys} for mean in ("m", "v"))
    state = adam_resume(int(inputs["t"]) - 1, m, v, hyper)
    moved, after = adam_step({key: inputs[key] for key in keys}, grads, state, rates, hyper)
    found = {f"d_{key}": grads[key] for key in keys}
    for part, values in (("", moved), ("m_", after.m), ("v_", after.v)):
        found |= {f"{part}{key}_next": np.asarray(values[key]) for key in keys}
    return found


def exact(numbers: Numbers, grads: Numbers, rates: Numbers, attrs: Numbers) -> Numbers:
    """Return the same by the twin."""
    found: Numbers = {}
    for key, grad in grads.items():
        lists = (numbers[key], grad, numbers[f"m_{key}"], numbers[f"v_{key}"])
        moved, m, v = exact_adam(lists, numbers["t"], {**attrs, "lr": rates[key]})
        found |= {f"d_{key}": grad, f"{key}_next": moved}
        found |= {f"m_{key}_next": m, f"v_{key}_next": v}
    return found


def plain(inputs: Inputs, grads: Arrays, rates: Numbers, attrs: Attrs, part: Any) -> Arrays:
    """Return the same in plain NumPy, of the parts of Adam."""
    found: Arrays = {}
    for key, grad in grads.items():
        given = {"x": inputs[key], "d_x": grad}
        given |= {mean: inputs[f"{mean}_{key}"] for mean in ("m", "v")}
        own = {**attrs, "lr": rates[key]}
        moved, m, v = plain_schedule.adam(given, int(inputs["t"]), own, part)
        found |= {f"d_{key}": grad, f"{key}_next": moved}
        found |= {f"m_{key}_next": m, f"v_{key}_next": v}
    return found


def zero_means(params: Arrays) -> Arrays:
    """Return the means before the first step."""
    return {f"{mean}_{key}": np.zeros_like(p) for key, p in params.items() for mean in ("m", "v")}


def rounded(numbers: Any) -> Array:
    """Return exact answers rounded to float32."""
    return single(as_array(numbers, "float")[0])


def following(after: Numbers, names: tuple[str, ...]) -> Arrays:
    """Return the state that the exact answers of a step lead to, rounded to float32."""
    return {
        f"{part}{name}": rounded(after[f"{part}{name}_next"])
        for name in names
        for part in ("", "m_", "v_")
    }
