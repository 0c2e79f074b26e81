"""Inputs for a layer of AdaQTransform and for its gradients."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic
from refquant.oracle.families.adaqtransform.ops_layer import CASES, NEAREST

LN11 = 2.3978952727983707
SMALL = {"n_w": -2, "p_w": 1, "p_x": 3}
CLAUSES = {"1.2": ("D32",), "qat": ("D32",), "2.2": ("P40",), "2.3": ("P40",)}
Arrays = dict[str, Array]


def real(key: tuple[int | str, ...], shape: int | tuple[int, ...], point: int = 24) -> Array:
    """24-bit numbers of both signs below 2^(24 - point)."""
    return dyadic(("adaqt", *key), shape, 24, point)


def few_bits(case: str, live: bool) -> Arrays:
    """Three outputs, four inputs, five columns; levels beyond both ends, ties, a zero column.

    alpha is decided (h is 0 or 1, all is exact) or live.
    """
    u = codes(("adaqt", "u"), (3, 4), -14, 11) / 4.0
    x = codes(("adaqt", "x"), (4, 5), -3, 15) / 4.0
    x[:, 4] = 0.0
    s_w = np.array([0.5, 0.25, 1.0])
    given = {"w": s_w[:, None] * u, "s_w": s_w, "x": 0.5 * x, "s_x": np.array(0.5)}
    if case not in NEAREST:
        drawn = dyadic(("adaqt", "alpha"), (3, 4), 4, 3) + 0.0625
        given["alpha"] = drawn if live else np.where(drawn > 0, 4.0, -4.0)
    if case in ("2.1", "2.2", "2.3"):
        given["s_d"] = s_w * np.array([1.75, 0.75, 0.5])
    transform = {"xi": np.array([0.75, -0.5, 1.25]), "eta": np.array([0.25, -1.5, 0.125])}
    return given | transform | {"bias": np.array([-0.5, 2.0, 0.75])}


def any_bits(case: str) -> Arrays:
    """The same shapes with 24 bits and steps that are no powers of two."""
    given = few_bits(case, live=True)
    s_w = np.array([0.3, 0.11, 0.07]).astype(np.float32)
    given |= {"w": real(("w",), (3, 4), 25), "s_w": s_w, "s_x": np.array(np.float32(0.21))}
    given |= {"x": np.abs(real(("x",), (4, 5))), "xi": 1 + real(("xi",), 3, 25)}
    given |= {"eta": real(("eta",), 3), "bias": real(("bias",), 3)}
    if case not in NEAREST:
        given["alpha"] = real(("alpha",), (3, 4), 22)
    if "s_d" in given:
        given["s_d"] = (s_w * np.array([1.1, 0.95, 1.02])).astype(np.float32)
    return {k: v.astype(np.float32) for k, v in given.items()}


SHARED = {
    "pixel": "xi and eta per pixel",
    "layer": "one xi and eta for the layer",
    "mixed": "one xi for the layer, eta per pixel",
}


def shared(given: Arrays, kind: str) -> Arrays:
    """Another granularity of xi and eta, not the same one for both where `kind` is mixed."""
    pixel = {"xi": codes(("adaqt", "pixel"), (3, 5), -6, 6) / 4.0,
             "eta": dyadic(("adaqt", "pixel eta"), (3, 5), 3, 2)}  # fmt: skip
    layer = {"xi": np.array(-1.5), "eta": np.array(0.75)}
    mixed = {"xi": layer["xi"], "eta": pixel["eta"]}
    return given | {"pixel": pixel, "layer": layer, "mixed": mixed}[kind]


def wild(case: str, live: bool = False) -> Arrays:
    """Some weights and inputs that are not finite; alpha, if live, is 1/2 there."""
    given = few_bits(case, live)
    w, x = given["w"].copy(), given["x"].copy()
    w[0, 1:], w[1, 0] = [np.nan, np.inf, -np.inf], np.nan
    x[1, :3], x[3, 3] = [np.inf, np.nan, -np.inf], np.nan
    own = {"alpha": np.where(np.isfinite(w), given["alpha"], 0.5)} if live else {}
    return given | {"w": w, "x": x} | own


def without_bias(given: Arrays) -> Arrays:
    """The layer without its bias."""
    return {name: value for name, value in given.items() if name != "bias"}


def layer_cases() -> Iterator[Case]:
    """Yield the cases of both ops."""
    yield from forward_cases()
    yield from backward_cases()


def forward_cases() -> Iterator[Case]:
    """Every row of the table, hard and soft, all granularities."""
    op = "adaqt"
    for case in CASES:
        clauses = ("15.1", "D20", "D33", *CLAUSES.get(case, ()))
        attrs = {"case": case, **SMALL}
        yield Case(op, "T8", f"case {case}, alpha decided: exact", few_bits(case, False), attrs,
                   clauses)  # fmt: skip
    live = few_bits("1.1", True)
    yield Case(op, "T8", "case 1.1, alpha undecided", live, SMALL, ("15.1",))
    zero = live | {"alpha": np.where(live["alpha"] < -0.5, 0.0, live["alpha"])}
    for case in ("1.1", "2.3"):
        hard = few_bits(case, True) | {"alpha": zero["alpha"]}
        yield Case(op, "T8", f"case {case}, hard: alpha of 0 goes up", hard,
                   {"case": case, "hard": True, **SMALL}, ("15.4", "D20", "P40"))  # fmt: skip
    for kind, words in SHARED.items():
        yield Case(op, "T8", words, shared(few_bits("1.1", False), kind), SMALL, ("15.6", "D33"))
    neutral = few_bits("1.1", False) | {"xi": np.ones(3), "eta": np.zeros(3)}
    yield Case(op, "T8", "neutral transform: y is y0 and the bias", neutral, SMALL, ("P47",))
    yield Case(op, "T8", "neutral transform, no bias", without_bias(neutral), SMALL, ("P47",))
    grids = {"n_w": -3, "p_w": 3, "n_x": -4, "p_x": 3}
    yield Case(op, "T8", "narrow weights, signed inputs", few_bits("1.2", False),
               {"case": "1.2", **grids}, ("15.1", "D32"))  # fmt: skip
    for case in ("1.2", "2.3"):
        yield Case(op, "T8", f"case {case}, three of everything", equal(case),
                   {"case": case, **SMALL}, ("15.1",))  # fmt: skip
        wide = {"case": case, "n_w": -4, "p_w": 3, "n_x": -2, "p_x": 1}
        yield Case(op, "T8", f"case {case}, wider weights, signed inputs", few_bits(case, False),
                   wide, ("15.1",))  # fmt: skip
    for k, words in ((36, "a warp"), (131, "two panels of 64")):
        yield Case(op, "T8", f"case 1.2, {k} inputs (more than {words})", many(k),
                   {"case": "1.2", **SMALL}, ("15.1",))  # fmt: skip
    yield Case(op, "T24", "case 1.1, a hair from whole numbers and ties", beside(), SMALL,
               ("15.1",))  # fmt: skip
    for case in ("1.1", "1.2"):
        yield Case(op, "T8", f"case {case}, NaN and infinities", wild(case),
                   {"case": case, **SMALL}, ("1.4",))  # fmt: skip
    for case, deployed in (("1.1", False), ("2.3", True)):
        words = "hard: alpha above 0" if deployed else "alpha undecided"
        yield Case(op, "T8", f"case {case}, NaN and infinities, {words}", wild(case, live=True),
                   {"case": case, "hard": deployed, **SMALL}, ("1.4",))  # fmt: skip
    for case in ("1.1", "1.2", "2.3"):
        yield Case(op, "REAL", f"case {case}, any numbers", any_bits(case), {"case": case, **SMALL},
                   ("15.1", "15.4"))  # fmt: skip


def equal(case: str) -> Arrays:
    """Three of everything: outputs, inputs, columns."""
    given = few_bits(case, live=True)
    cut = {name: v[:3, :3] if v.ndim == 2 else v for name, v in given.items()}
    return cut | {"x": given["x"][:3, 1:4]}


def many(k: int = 36, columns: int = 3) -> Arrays:
    """Many inputs (36: more than a warp has threads) or columns, two outputs."""
    w, x = (
        codes(("adaqt", "many w"), (2, k), -7, 6),
        codes(("adaqt", "many x"), (k, columns), -1, 7),
    )
    s_w = np.array([0.5, 0.25])
    given = {"w": s_w[:, None] * w / 4.0, "s_w": s_w, "x": x / 4.0, "s_x": np.array(0.5)}
    transform = {"xi": np.array([0.75, -0.5]), "eta": np.array([0.25, -1.5])}
    return given | transform | {"bias": np.array([-0.5, 2.0])}


def beside() -> Arrays:
    """Weights and inputs a hair from whole numbers and ties."""
    hair = np.array([[1.0, -1.0, 1.0, -1.0]] * 3) * 2.0**-18
    given = few_bits("1.1", live=False)
    w = given["s_w"][:, None] * (np.array([0.0, -1.0, 1.0, -2.0]) - hair)
    x = 0.5 * (np.array([0.5, 1.5, 2.5, 1.0]) + hair[:1]).T * np.ones((4, 5))
    return given | {"w": w, "x": x}


def gradient() -> Array:
    """Of y: few bits, nowhere 0."""
    drawn = dyadic(("adaqt", "d_y"), (3, 5), 3, 1)
    return np.where(drawn == 0, 1.5, drawn)


def backward_cases() -> Iterator[Case]:
    """Every row of the table, both masks, all granularities, the ends of h."""
    op, d_y = "adaqt_backward", {"d_y": gradient()}
    for case in CASES:
        clauses = ("15.2", *CLAUSES.get(case, ()))
        attrs = {"case": case, **SMALL}
        yield Case(op, "T8",
                   f"case {case}, alpha undecided: levels beyond, at and between the ends",
                   few_bits(case, True) | d_y, attrs, clauses)  # fmt: skip
        if case in ("1.2", "1.1"):
            yield Case(op, "T8", f"case {case}, mask of the unrounded", few_bits(case, False) | d_y,
                       {"mask": "unrounded", **attrs}, ("15.2", "D2"))  # fmt: skip
        if case in ("tied", "2.1", "2.3"):
            yield Case(op, "T8", f"case {case}, alpha decided: its gradient is 0",
                       few_bits(case, False) | d_y, attrs, ("15.2",))  # fmt: skip
    for kind, words in SHARED.items():
        yield Case(op, "T8", words, shared(few_bits("1.1", False), kind) | d_y, SMALL, ("15.6",))
    yield Case(op, "T8", "no bias", without_bias(few_bits("1.1", True)) | d_y, SMALL, ("15.2",))
    for case in ("1.2", "2.3"):
        yield Case(op, "T8", f"case {case}, NaN and infinities", wild(case) | d_y,
                   {"case": case, **SMALL}, ("1.4",))  # fmt: skip
    yield Case(op, "T8", "case 2.3, NaN and infinities, alpha undecided",
               wild("2.3", live=True) | d_y, {"case": "2.3", **SMALL}, ("1.4",))  # fmt: skip
    for case in ("tied", "2.3"):
        given = few_bits(case, True)
        given["w"][:, 1:] = given["s_w"][:, None] * [1.0, 0.75, -2.0]  # of 1 the floor is the end
        yield Case(op, "T8", f"case {case}, mask of the unrounded: not of floor + h", given | d_y,
                   {"case": case, "mask": "unrounded", **SMALL}, ("15.2", "D2"))  # fmt: skip
    yield Case(op, "T8", "case 1.2, 36 inputs (more than a warp)",
               many() | {"d_y": gradient()[:2, :3]}, {"case": "1.2", **SMALL},
               ("15.2",))  # fmt: skip
    d_long = {"d_y": codes(("adaqt", "long d_y"), (2, 131), -3, 3) / 2.0}
    yield Case(op, "T8", "case 1.2, 131 columns (more than two panels of 64)",
               many(2, 131) | d_long, {"case": "1.2", **SMALL}, ("15.2",))  # fmt: skip
    yield from edge_cases(d_y)
    for case in ("1.2", "2.3"):
        yield Case(op, "T8", f"case {case}, three of everything",
                   equal(case) | {"d_y": gradient()[:, :3]}, {"case": case, **SMALL},
                   ("15.2",))  # fmt: skip
        wide = {"case": case, "n_w": -4, "p_w": 3, "n_x": -2, "p_x": 1}
        yield Case(op, "T8", f"case {case}, wider weights, signed inputs",
                   few_bits(case, True) | d_y, wide, ("15.2",))  # fmt: skip
    for case in ("1.1", "1.2", "tied", "2.1", "2.3"):
        given = any_bits(case) | {"d_y": real(("d_y",), (3, 5))}
        yield Case(op, "REAL", f"case {case}, any numbers", given, {"case": case, **SMALL},
                   ("15.2",))  # fmt: skip


def at_edge(case: str) -> Arrays:
    """alpha exactly where h is saturated, in double precision."""
    given = few_bits(case, True)
    ends = given["alpha"].copy()
    ends[:, 0], ends[:, 1] = LN11, -LN11
    inner = np.array([-0.25, -0.5, -0.75, 0.5]) * np.ones((3, 1))
    return given | {"alpha": ends, "w": given["s_w"][:, None] * inner}


def edge_cases(d_y: dict[str, Any]) -> Iterator[Case]:
    """Both sides of the clip of h."""
    given = at_edge("1.1")
    for edge in ("inclusive", "strict"):
        yield Case("adaqt_backward", "T53", f"alpha = ln 11, {edge}", given | d_y,
                   {"edge": edge, **SMALL}, ("D37",))  # fmt: skip
