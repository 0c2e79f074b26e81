"""Descriptions of the schedules and of Adam."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant.optim.adam import AdamHyper, adam_resume, adam_step
from refquant.optim.schedules import BetaSchedule, beta_schedule, cosine_lr
from refquant.oracle.exact import adam as adam_twin
from refquant.oracle.exact import schedules as twin
from refquant.oracle.families.adaround import plain_schedule as plain
from refquant.oracle.nested import each, flat
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor

Numbers = dict[str, Any]
T = Tensor("t", "int", "(steps,)", "step numbers")
TOTAL = Attr("total", 20000, "number of steps")
ANNEALING = (
    TOTAL,
    Attr("start", 20.0, "exponent b0, held during the warm-up"),
    Attr("end", 2.0, "exponent b1, reached at the end"),
    Attr("warm_up", 0.2, "share of the steps before the exponent falls, in [0, 1)"),
    Attr("curve", "linear", "how it falls", ("linear", "cosine"), dialect=True),
    Attr("first_step", 1, "number of the first step", (0, 1), dialect=True),
    Attr(
        "arrive",
        "total",
        "the step number that reaches b1: the number of steps, or the last step's",
        ("total", "last"),
        dialect=True,
    ),
)
AFTER = Attr(
    "after",
    "refuse",
    "what a step number beyond the last gives: an error (no case does), b1, or the curve going on",
    ("refuse", "hold", "continue"),
    dialect=True,
)
LR = Attr("lr", 0.001, "learning rate")
MOMENTS = (
    Attr("beta1", 0.9, "decay of the mean of the gradients, in [0, 1)"),
    Attr("beta2", 0.999, "decay of the mean of their squares, in [0, 1)"),
    Attr("eps", 1e-8, "added to the square root"),
)


def schedule_of(attrs: Attrs) -> BetaSchedule:
    """Return the dialect of a beta schedule as the library takes it."""
    names = ("start", "end", "warm_up", "curve", "first_step", "arrive")
    return BetaSchedule(**{name: attrs[name] for name in names}, after=attrs.get("after", "refuse"))


def exact_beta(t: int, attrs: Numbers) -> tuple[Any, bool]:
    """Return (beta, on) of the twin."""
    last = attrs["total"] - 1 + attrs["first_step"]
    how = attrs["total"] if attrs["arrive"] == "total" else last, attrs.get("after", "refuse")
    ends = attrs["start"], attrs["end"]
    total, curve, warm_up = (attrs[name] for name in ("total", "curve", "warm_up"))
    beta, on = twin.beta_schedule(t, total, curve, ends, warm_up, how)
    return beta, bool(on)


def _beta(inputs: Inputs, attrs: Attrs) -> Arrays:
    schedule = schedule_of(attrs)
    found = [beta_schedule(int(t), attrs["total"], schedule) for t in inputs["t"]]
    return {"beta": np.array([f.beta for f in found]), "on": np.array([f.on for f in found])}


def _beta_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    found = [exact_beta(t, attrs) for t in numbers["t"]]
    return {"beta": [beta for beta, _ in found], "on": [on for _, on in found]}


def _cosine_lr(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"rate": np.array([cosine_lr(int(t), attrs["total"], attrs["lr"]) for t in inputs["t"]])}


def _cosine_lr_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"rate": [twin.cosine_lr(t, attrs["total"], attrs["lr"]) for t in numbers["t"]]}


def hyper_of(attrs: Attrs) -> AdamHyper:
    """Return the constants of Adam as the library takes them."""
    return AdamHyper(attrs["beta1"], attrs["beta2"], attrs["eps"])


def _adam(inputs: Inputs, attrs: Attrs) -> Arrays:
    hyper = hyper_of(attrs)
    state = adam_resume(int(inputs["t"]) - 1, {0: inputs["m"]}, {0: inputs["v"]}, hyper)
    moved, after = adam_step({0: inputs["x"]}, {0: inputs["d_x"]}, state, attrs["lr"], hyper)
    return {"x_next": moved[0], "m_next": after.m[0], "v_next": after.v[0]}


def exact_adam(lists: tuple[Any, Any, Any, Any], t: int, attrs: Numbers) -> tuple[Any, Any, Any]:
    """Return (x, m, v) of the twin from (x, d_x, m, v), nested lists of one shape."""
    x, d_x, m, v = (flat(part) for part in lists)
    constants = attrs["beta1"], attrs["beta2"], attrs["eps"]
    moved, (m, v) = adam_twin.adam_step(x, d_x, (m, v), t, attrs["lr"], constants)
    x, m, v = (_refilled(lists[0], iter(part)) for part in (moved, m, v))
    return x, m, v


def _refilled(shape: Any, numbers: Iterator[Any]) -> Any:
    return each(shape, lambda _: next(numbers))


def _adam_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    lists = tuple(numbers[name] for name in ("x", "d_x", "m", "v"))
    x, m, v = exact_adam(lists, numbers["t"], attrs)
    return {"x_next": x, "m_next": m, "v_next": v}


OPS = (
    Op(
        name="beta_schedule",
        says="The exponent of the rounding regulariser at a step, and whether it is on.",
        formula="t < warm_up T: b0, off;  else on, with rel = (t - warm_up T) / (E - warm_up T)\n"
        "linear: b1 + (b0 - b1) (1 - rel);  cosine: b1 + (b0 - b1) (1 + cos(pi rel)) / 2\n"
        "E, where b1 is reached: T, or (arrive last) the last step, first_step + T - 1\n"
        "t > E: rel stays 1 (after hold), or goes on above 1 (continue)\n"
        "E <= warm_up T: rel = 1, also then\n"
        "warm_up T is not rounded to a whole number, and t = warm_up T is on",
        inputs=(T,),
        outputs=(
            Tensor("beta", "float", "(steps,)", "exponents"),
            Tensor("on", "bool", "(steps,)", "whether the regulariser counts"),
        ),
        attrs=(*ANNEALING, AFTER),
        clauses=("5.5", "D9", "P24"),
        reference=_beta,
        twin=_beta_twin,
        plain=plain.BETA,
    ),
    Op(
        name="cosine_lr",
        says="A learning rate that falls to 0 along half a cosine, without restart.",
        formula="rate = lr (1 + cos(pi t / T)) / 2,  t = 0 .. T - 1",
        inputs=(T,),
        outputs=(Tensor("rate", "float", "(steps,)", "learning rates"),),
        attrs=(TOTAL, LR),
        clauses=("5.7",),
        reference=_cosine_lr,
        twin=_cosine_lr_twin,
        plain=plain.COSINE_LR,
    ),
    Op(
        name="adam_step",
        says="One step of Adam.",
        formula="m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
        "x <- x - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)",
        inputs=(
            Tensor("x", "float", "any", "what is learnt"),
            Tensor("d_x", "float", "like x", "dL/dx"),
            Tensor("m", "float", "like x", "running mean of the gradients"),
            Tensor("v", "float", "like x", "running mean of their squares, not below 0"),
            Tensor("t", "int", "()", "number of this step, from 1 on"),
        ),
        outputs=(
            Tensor("x_next", "float", "like x", "x after the step"),
            Tensor("m_next", "float", "like x", "m after the step"),
            Tensor("v_next", "float", "like x", "v after the step"),
        ),
        attrs=(LR, *MOMENTS),
        clauses=("5.7", "P59"),
        reference=_adam,
        twin=_adam_twin,
        plain=plain.ADAM,
    ),
)
