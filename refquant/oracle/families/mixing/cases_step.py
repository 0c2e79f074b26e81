"""Inputs for `qdrop_step`: steps on their own, and a recorded run with its masks."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.build import run_twin
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic, single
from refquant.oracle.exact.tracked import Ledger
from refquant.oracle.families import adam_state
from refquant.oracle.families.adaround.cases_step import LN11, products
from refquant.oracle.families.mixing.ops_step import STATE, STEP

Arrays = dict[str, Array]
STEPS = 20
FEW = {"bits": 3, "act_bits": 2, "total": 16, "warm_up": 0.25, "lr_alpha": 0.0625,
       "lr_s": 0.03125}  # fmt: skip
EVERYTHING = ("10.1", "10.2", "6.2", "2.1", "5.1", "5.5", "5.7", "D26", "P30")


def mask(*key: int | str, shape: tuple[int, int]) -> Array:
    """A drawn mask, half of it kept."""
    return np.asarray(codes(("qdrop step", *key), shape, 0, 1) > 0)


def few_bits() -> Arrays:
    """Two outputs, three inputs, five samples: clipped, saturated and live weights and inputs."""
    x = dyadic(("qdrop step", "x"), (5, 3), 5, 3)
    given = {
        "w": np.array([[0.75, -1.25, 2.0], [-0.375, 0.125, -1.5]]),
        "s": np.array([0.5, 0.25]),
        "zero_point": np.array([0, 0]),
        "x": x,
        "x_q": np.rint(4 * x) / 4 + 0.125,
        "target": dyadic(("qdrop step", "target"), (5, 2), 6, 3),
        "indices": np.array([4, 1, 1, 2]),
        "mask_input": mask("input", shape=(4, 3)),
        "mask_element": mask("element", shape=(4, 3)),
        "alpha": np.array([[0.5, -0.75, 1.25], [1.5, -4.0, -0.25]]),
        "s_x": np.array(0.5),
        "z_x": np.array(1),
        "t": np.asarray(9),
    }
    params = {name: given[name] for name in STATE}
    means = {f"{mean}_{name}": np.abs(dyadic(("qdrop step", mean, name), p.shape, 6, 7)) + 2.0**-7
             for name, p in params.items() for mean in ("m", "v")}  # fmt: skip
    return given | means


def step_cases() -> Iterator[Case]:
    """Yield the cases of the op."""
    given = few_bits()
    kept, start = given["mask_element"], {name: given[name] for name in STATE}
    begin = given | adam_state.zero_means(start) | {"t": np.asarray(1)}
    alone = {"mask_input": ~given["mask_input"], "mask_element": ~kept}
    square = {"w": np.array([[0.75, -1.25, 2.0], [-0.375, 0.125, -1.5], [1.5, -1.0, 0.25]]),
              "s": np.array([0.5, 0.25, 1.0]), "zero_point": np.array([0, 1, 3]),
              "target": dyadic(("qdrop step", "square"), (5, 3), 6, 3),
              **{name: np.vstack([given[name], given[name][:1]])
                 for name in ("alpha", "m_alpha", "v_alpha")}}  # fmt: skip
    signed = {"act_grid": "signed", "act_bits": 3}
    beyond = dict.fromkeys(("x", "x_q"), np.where(given["x"] > 0, 1.125, -0.625))
    for words, change, attrs in (
        ("the first step, in the warm-up: masks that differ for one sample drawn twice", begin, {}),
        ("after the warm-up: the penalty moves alpha, and the rate of s_x has fallen", {},
         {"lam": 0.5}),
        ("the other half of both masks", alone, {}),
        ("every element quantized: plain joint learning", {"mask_element": kept | ~kept}, {}),
        ("no element quantized: s_x has no gradient and moves by its old means alone",
         {"mask_element": kept & ~kept}, {}),
        ("every input from the quantized layers", {"mask_input": kept | ~kept}, {}),
        ("inputs of both signs on a signed grid without a zero point", {"z_x": np.array(0)},
         signed),
        ("inputs a quarter step beyond the ends, mask of the unrounded, a gradient scale", beyond,
         {"mask": "unrounded", "grad_scale": 0.25}),
        ("narrow inputs, some at the code that is not used", {"z_x": np.array(0)},
         {"act_grid": "narrow", "act_bits": 3}),
        ("unsigned weights and inputs: what is negative is clipped", {"z_x": np.array(0)},
         {"grid": "unsigned", "act_grid": "unsigned"}),
        ("the last step, beta = b1: the rate of s_x is nearly 0", {"t": np.asarray(16)},
         {"lr_s": 4.0, "lam": 0.5}),
        ("a square layer: steps belong to rows of weights, masks to samples", square,
         {"grid": "affine"}),
        ("a narrow grid of weights, other ends of beta, other constants of Adam", {},
         {"grid": "narrow", "start": 8.0, "end": 1.5, "warm_up": 0.5, "lam": 0.5, "beta1": 0.75,
          "beta2": 0.9375, "eps": 0.0625}),
    ):  # fmt: skip
        yield Case("qdrop_step", "T8", words, given | change, FEW | attrs, EVERYTHING)
    edges = given | {"alpha": np.array([[LN11, -LN11, 1.0]] * 2)}
    for edge, passes in (("inclusive", "passes"), ("strict", "is blocked")):
        yield Case("qdrop_step", "T53", f"alpha at ln 11 itself, where the gradient {passes}",
                   edges, FEW | {"edge": edge}, EVERYTHING)  # fmt: skip
    yield from trajectory()


def recorded_layer() -> Arrays:
    """Three outputs, four inputs, eight samples; targets of the layer before quantization."""
    w, x = dyadic(("qdrop run", "w"), (3, 4), 24, 24), dyadic(("qdrop run", "x"), (8, 4), 12, 11)
    return {"w": w, "s": single([0.1, 0.15, 0.07]), "zero_point": np.array([8, 7, 9]),
            "x": x, "x_q": np.rint(x * 4.0) / 4.0, "target": single(products(x, w)),
            "z_x": np.array(8)}  # fmt: skip


def trajectory() -> Iterator[Case]:
    """Yield a run of twenty steps, each from the golden's state, with its indices and masks."""
    layer = recorded_layer()
    params = {"alpha": dyadic(("qdrop run", "alpha"), (3, 4), 24, 23), "s_x": single(0.31)}
    state = params | adam_state.zero_means(params)
    attrs = {"grid": "affine", "total": STEPS, "warm_up": 0.25, "lr_alpha": 0.125, "lr_s": 0.02}
    for t in range(1, STEPS + 1):
        drawn = {f"mask_{at}": mask("run", at, t, shape=(3, 4)) for at in ("input", "element")}
        given = {**layer, **state, **drawn, "t": np.asarray(t),
                 "indices": codes(("qdrop run", "indices", t), 3, 0, 7)}  # fmt: skip
        step = Case("qdrop_step", "REAL", f"step {t} of a run of {STEPS}, its masks recorded",
                    given, attrs, EVERYTHING, ("trajectory",))  # fmt: skip
        yield step
        after = run_twin(STEP, step, STEP.resolve(attrs), Ledger())
        state = {**state, **adam_state.following(after, tuple(STATE))}
