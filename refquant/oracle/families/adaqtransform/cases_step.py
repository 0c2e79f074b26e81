"""Inputs for `adaqt_step`: steps on their own, and two recorded runs on one layer."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.build import run_twin
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic
from refquant.oracle.exact.tracked import Ledger
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaqtransform.cases_layer import SMALL, at_edge, few_bits, real
from refquant.oracle.families.adaqtransform.ops_step import LEARNT, STEP

STEPS = 20
EVERYTHING = ("15.1", "15.2", "15.5", "5.1", "5.7", "D11", "P41")


def step_cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    for case, names in LEARNT.items():
        given = few_bits("1.1" if case == "adaqt" else case, live=True)
        given |= {"x": given["x"].T, "target": dyadic(("adaqt step", "target"), (5, 3), 5, 2)}
        params = {name: given[name] for name in names}
        means = {
            f"{mean}_{name}": np.abs(dyadic(("adaqt step", mean, name), p.shape, 6, 7)) + 2.0**-7
            for name, p in params.items()
            for mean in ("m", "v")
        }
        attrs = {"case": case, "total": 16, "lr_alpha": 0.0625, "lr": 0.03125, **SMALL}
        for t, state, batch, words in (
            (1, adam_state.zero_means(params), [3, 0, 1], "the first step"),
            (7, means, [2, 4, 2, 3], "a later step, a sample twice"),
        ):
            here = {**given, **state, "indices": np.array(batch), "t": np.asarray(t)}
            yield Case("adaqt_step", "T8", f"{case}: {words}", here, attrs, EVERYTHING)
        for words, option in (
            ("wider weights, signed inputs", {"n_w": -4, "p_w": 3, "n_x": -2, "p_x": 1}),
            ("unrounded mask, other constants of Adam",
             {"mask": "unrounded", "beta1": 0.75, "beta2": 0.9375, "eps": 0.0625}),
        ):  # fmt: skip
            yield Case("adaqt_step", "T8", f"{case}: {words}", here, {**attrs, **option},
                       EVERYTHING)  # fmt: skip
        yield Case("adaqt_step", "T8", f"{case}: a rate that carries steps past 0",
                   {**here, **adam_state.zero_means(params), "t": np.asarray(1)},
                   {**attrs, "lr": 4.0}, EVERYTHING)  # fmt: skip
        ends = at_edge("1.1" if case == "adaqt" else case)
        ends = {name: ends[name] for name in ("w", "alpha")}
        for edge in ("inclusive", "strict"):
            yield Case("adaqt_step", "T53", f"{case}: alpha at ln 11, {edge}",
                       {**here, **ends}, {**attrs, "edge": edge}, EVERYTHING)  # fmt: skip
    yield from trajectory("adaqt")
    yield from trajectory("2.2")


def recorded_layer() -> dict[str, Array]:
    """Two outputs, three inputs, six samples; targets of the layer before quantization."""
    w, x = real(("run", "w"), (2, 3), 24), np.abs(real(("run", "x"), (6, 3), 24))
    bias = np.array([0.25, -0.5])
    target = np.zeros((6, 2)) + bias
    for j in range(3):
        target += x[:, j, None] * w[None, :, j]
    s_w = np.array([0.55, 0.45]).astype(np.float32)
    return {"w": w, "s_w": s_w, "x": x, "target": target.astype(np.float32), "bias": bias}


def trajectory(case: str) -> Iterator[Case]:
    """Yield a run from the neutral transform, each step from the golden's state in float32."""
    layer = recorded_layer()
    attrs = {"case": case, "total": STEPS, "lr_alpha": 0.1, "lr": 0.02, **SMALL}
    start = {"alpha": real(("run", "alpha"), (2, 3), 24), "s_x": np.array(0.375),
             "xi": np.ones(2), "eta": np.zeros(2), "s_d": layer["s_w"]}  # fmt: skip
    if case == "adaqt":
        del start["s_d"]
    params = {name: (layer | start)[name] for name in LEARNT[case]}
    state = start | params | adam_state.zero_means(params)
    for t in range(1, STEPS + 1):
        batch = codes(("adaqt run", t), 4, 0, 5)
        given = {**layer, **state, "indices": batch, "t": np.asarray(t)}
        step = Case("adaqt_step", "REAL", f"{case}: step {t} of a run of {STEPS}", given, attrs,
                    EVERYTHING, ("trajectory",))  # fmt: skip
        yield step
        after = run_twin(STEP, step, STEP.resolve(attrs), Ledger())
        state = {**state, **adam_state.following(after, LEARNT[case])}
