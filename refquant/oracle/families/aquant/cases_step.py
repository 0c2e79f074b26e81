"""Inputs for `aquant_step`: steps on their own, and a recorded run."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.build import run_twin
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic
from refquant.oracle.exact.tracked import Ledger
from refquant.oracle.families import adam_state
from refquant.oracle.families.aquant.cases_border import real
from refquant.oracle.families.aquant.cases_quant import few_bits, weights
from refquant.oracle.families.aquant.ops_step import STATE, STEP

STEPS = 20
OWN = {"fuse": "none", "bound": "sigmoid"}
DETACHED = {"detach_border_input": True, "border_mask": "open"}
CENTRED = {"fuse": "centred", "mask": "unrounded"}
EVERYTHING = ("13.3", "13.4", "13.5", "5.1", "5.7", "D10")


def dyadic_layer() -> dict[str, Array]:
    """Two channels of two taps, three outputs, five samples of two windows; means under way."""
    given = few_bits((5, 2, 2, 2)) | weights(2, 2)
    params = {name: given[name] for name in STATE}
    means = {
        f"{mean}_{name}": np.abs(dyadic(("step", mean, name), p.shape, 6, 7)) + 2.0**-7
        for name, p in params.items()
        for mean in ("m", "v")
    }
    layer = {
        "target": dyadic(("step", "target"), (5, 3, 2), 4, 2),
        "w_hat": codes(("step", "w_hat"), (3, 4), -3, 3) / 4.0,
        "indices": np.array([3, 0, 3, 1]),
    }
    return {**given, **means, **layer}


def step_cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    given = dyadic_layer()
    attrs = {"bound": "clip", "total": 16, "hold": 0.25, "lr_border": 0.0625, "lr_s": 0.03125}
    first = given | adam_state.zero_means({name: given[name] for name in STATE})
    for t, start, words, option in (
        (1, first, "the first step: nothing is rounded", {}),
        (12, given, "step 12 of 16: a = 2/3, between nothing and rounding", {}),
        (16, given, "the last step, a = 1", {}),
        (12, given, "gradients gated by the support", {"gate": "support"}),
        (12, given, "border input detached, open mask", DETACHED),
        (10, given, "borders bounded after their mean", {"fuse": "fuse_bound"}),
        (16, given, "centred fusion, mask of the unrounded", CENTRED),
        (12, given, "signed levels", {"n": -2, "p": 1}),
        (12, given, "other constants of Adam", {"beta1": 0.75, "beta2": 0.9375, "eps": 0.0625}),
    ):
        yield Case("aquant_step", "T8", words, {**start, "t": np.asarray(t)}, attrs | option,
                   EVERYTHING)  # fmt: skip
    alone = {k: v for k, v in given.items() if not k.endswith("fusion")}
    for words, start, option in (
        ("every tap its own border", alone, OWN | {"bound": "clip"}),
        ("every tap its own border, sigmoid", alone, OWN),
        ("every tap its own border, gated by the support", alone, OWN | {"gate": "support"}),
        ("sigmoid, outer, kappa 1.25", given, {"kappa": 1.25, "bound": "sigmoid"}),
        ("sigmoid, inner", given, {"scale": "inner", "bound": "sigmoid"}),
    ):
        yield Case("aquant_step", "T8", words, {**start, "t": np.asarray(12)}, attrs | option,
                   EVERYTHING)  # fmt: skip
    yield from trajectory()


def recorded_layer() -> dict[str, Array]:
    """One output less, four samples: targets are those of weights and inputs before rounding."""
    x = np.abs(real(("run", "x"), (4, 4, 2), 1.0))
    w = real(("run", "w"), (2, 4), 1.0)
    target = np.zeros((4, 2, 2))
    for j in range(4):
        target += w[None, :, j, None] * x[:, j, None, :]
    return {"x": x, "w_hat": np.rint(4 * w) / 4, "target": target.astype(np.float32)}


def trajectory() -> Iterator[Case]:
    """Yield a run from the neutral border, each step from the golden's state in float32."""
    attrs = {"total": STEPS, "lr_border": 0.05, "lr_s": 0.01}
    params = {name: np.zeros((2, 2)) for name in ("b0", "b1", "b2")}
    params |= {"s": np.array(0.25), "fusion": np.ones((2, 2))}
    state = params | adam_state.zero_means(params)
    for t in range(1, STEPS + 1):
        batch = codes(("aquant run", t), 3, 0, 3)
        given = {**recorded_layer(), **state, "indices": batch, "t": np.asarray(t)}
        case = Case("aquant_step", "REAL", f"step {t} of a run of {STEPS}", given, attrs,
                    EVERYTHING, ("trajectory",))  # fmt: skip
        yield case
        after = run_twin(STEP, case, STEP.resolve(attrs), Ledger())
        state = adam_state.following(after, tuple(STATE))
