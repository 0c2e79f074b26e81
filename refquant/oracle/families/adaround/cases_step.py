"""Inputs for `adaround_step`: steps on their own, and a recorded run of thirty."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.build import run_twin
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single
from refquant.oracle.exact.tracked import Ledger
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.ops_step import STEP
from refquant.oracle.families.adaround.ops_weight import OPS as WEIGHT_OPS

LN11 = 2.3978952727983707
STEPS = 30
STATE = ("alpha", "m", "v")
ATTRS: dict[str, Any] = {"bits": 3, "total": 16, "warm_up": 0.25, "lr": 0.0625}
EVERYTHING = ("6.1", "6.2", "6.4", "5.1", "5.4", "5.5", "5.7")


def dyadic_layer() -> dict[str, Array]:
    """Two outputs, three inputs, five samples; a clipped, a saturated and live weights."""
    return {
        "w": np.array([[0.75, -1.25, 2.0], [-0.375, 0.125, -1.5]]),
        "s": np.array([0.5, 0.25]),
        "zero_point": np.array([0, 0]),
        "x": dyadic(("step", "x"), (5, 3), 5, 3),
        "target": dyadic(("step", "target"), (5, 2), 6, 3),
        "alpha": np.array([[0.5, -0.75, 3.0], [1.25, -4.0, -0.25]]),
    }


def products(x: Array, w: Array) -> Array:
    """Return x w^T, added up in the order of k: the same bits on every machine."""
    sums = np.zeros((len(x), len(w)))
    for k in range(x.shape[1]):
        sums += x[:, k, None] * w[None, :, k]
    return sums


def recorded_layer() -> dict[str, Array]:
    """A layer of real numbers whose inputs are rounded, while its targets are those of x itself."""
    w, x = dyadic(("run", "w"), (3, 4), 24, 24), dyadic(("run", "x"), (8, 4), 12, 11)
    return {
        "w": w,
        "s": single([0.1, 0.15, 0.07]),
        "zero_point": np.array([8, 7, 9]),
        "x": np.rint(x * 4.0) / 4.0,
        "target": single(products(x, w)),
    }


def cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    zero = np.zeros((2, 3))
    first = {
        **dyadic_layer(),
        "m": zero,
        "v": zero,
        "t": np.asarray(1),
        "indices": np.array([3, 0]),
    }
    yield Case("adaround_step", "T8", "the first step, in the warm-up", first, ATTRS,
               ("6.1", "6.2", "5.1"))  # fmt: skip
    later = {**first, "m": dyadic(("step", "m"), (2, 3), 8, 7), "indices": np.array([4, 1, 1, 2]),
             "v": np.abs(dyadic(("step", "v"), (2, 3), 8, 6)) + 2.0**-6}  # fmt: skip
    for t, words in ((4, "the first step after the warm-up"), (16, "the last step, beta = b1")):
        yield Case("adaround_step", "T8", words, {**later, "t": np.asarray(t)}, ATTRS, EVERYTHING)
    yield from dialect_cases({**later, "t": np.asarray(9)})
    yield from square_cases(later)
    at_edge = {**later, "t": np.asarray(9), "alpha": np.array([[LN11, -LN11, 1.0]] * 2)}
    for edge in ("inclusive", "strict"):
        yield Case("adaround_step", "T53", f"alpha at ln 11, {edge}", at_edge,
                   {**ATTRS, "edge": edge}, EVERYTHING)  # fmt: skip
    yield from trajectory()


def dialect_cases(given: dict[str, Array]) -> Iterator[Case]:
    """Yield step 9 of 16 by other conventions; the regulariser is heavy, so that they show."""
    dialects = (
        ({"curve": "cosine", "first_step": 0}, "cosine from step 0"),
        ({"reduction": "mean"}, "averaged over the outputs too"),
        ({"arrive": "last"}, "b1 at the last step's number"),
        ({"edge": "strict", "grid": "narrow"}, "strict edge, narrow grid"),
        ({"first_step": 0, "arrive": "last"}, "from step 0, b1 at the last step's number"),
        ({"start": 8.0, "end": 1.5, "warm_up": 0.5}, "other ends, half of it warm-up"),
        ({"beta1": 0.75, "beta2": 0.9375, "eps": 0.0625}, "other constants of Adam"),
        ({"grid": "unsigned"}, "unsigned grid"),
        ({"reduction": "mean", "first_step": 0, "arrive": "last"}, "mean, from step 0, b1 at last"),
    )
    for fields, words in dialects:
        yield Case("adaround_step", "T8", f"{words}, a heavy regulariser", given,
                   {**ATTRS, **fields, "lam": 0.5}, EVERYTHING)  # fmt: skip


def square_cases(given: dict[str, Array]) -> Iterator[Case]:
    """Yield steps of a layer with as many outputs as inputs, about the end of the warm-up too."""
    square = {
        "w": np.array([[0.75, -1.25, 2.0], [-0.375, 0.125, -1.5], [1.5, -1.0, 0.25]]),
        "s": np.array([0.5, 0.25, 1.0]),
        "zero_point": np.array([0, 1, 3]),
        "x": given["x"],
        "target": dyadic(("step", "square target"), (5, 3), 6, 3),
        "alpha": np.array([[0.5, -0.75, 1.0], [1.25, -4.0, -0.25], [0.75, 0.25, -1.5]]),
        **{name: np.vstack([given[name], given[name][:1]]) for name in "mv"},
        "indices": given["indices"],
    }
    affine = {**ATTRS, "grid": "affine"}
    yield Case("adaround_step", "T8", "a square layer: steps belong to its rows",
               {**square, "t": np.asarray(9)}, affine, EVERYTHING)  # fmt: skip
    for t, words in ((3, "a step of the warm-up"), (4, "the first step after the warm-up")):
        for fields, which in (({"first_step": 0}, "from step 0"), ({"reduction": "mean"}, "mean")):
            yield Case("adaround_step", "T8", f"{which}: {words}, a square layer",
                       {**square, "t": np.asarray(t)}, {**affine, **fields},
                       EVERYTHING)  # fmt: skip


def trajectory() -> Iterator[Case]:
    """Yield a run of thirty steps, each from the golden's state rounded to float32."""
    layer = recorded_layer()
    attrs = {"grid": "affine", "total": STEPS, "warm_up": 0.25, "lr": 0.125}
    zero = np.zeros((3, 4))
    state = {"alpha": _start(layer), "m": zero, "v": zero}
    for t in range(1, STEPS + 1):
        batch = codes(("run", "indices", t), 3, 0, 7)
        given = {**layer, **state, "indices": batch, "t": np.asarray(t)}
        case = Case("adaround_step", "REAL", f"step {t} of a run of {STEPS}", given, attrs,
                    EVERYTHING, ("trajectory",))  # fmt: skip
        yield case
        after = _exact(STEP, case)
        state = {name: adam_state.rounded(after[f"{name}_next"]) for name in STATE}


def _start(layer: dict[str, Array]) -> Array:
    given = {name: layer[name] for name in ("w", "s")}
    return adam_state.rounded(
        _exact(WEIGHT_OPS[0], Case("adaround_init_alpha", "REAL", "", given))["alpha"]
    )


def _exact(op: Any, case: Case) -> dict[str, Any]:
    return run_twin(op, case, op.resolve(case.attrs), Ledger())
