"""Inputs for the border's own ops."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic

FUSES = ("none", "bound_fuse", "fuse_bound", "centred")
BOUNDS: tuple[dict[str, Any], ...] = (
    {},
    {"scale": "inner"},
    {"bound": "clip"},
)
LN_7_3 = 0.8472978603872036  # where the outer sigmoid with kappa = 2.5 meets 0 and 1


def table(rows: list[tuple[float, ...]], names: str) -> dict[str, Array]:
    """Columns of a table by name."""
    return dict(zip(names.split(), np.array(rows).T, strict=True))


def real(key: tuple[int | str, ...], shape: int | tuple[int, ...], size: float) -> Array:
    """24-bit numbers of both signs below `size`, a power of two."""
    return dyadic(key, shape, 24, 25 - math.frexp(size)[1])


def border_cases() -> Iterator[Case]:
    """Yield the cases of all seven ops."""
    yield from eq7_cases()
    yield from closed_cases()
    yield from poly_cases()
    yield from bound_cases()
    yield from double_cases()
    yield from fuse_cases()
    yield from fuse_backward_cases()


def eq7_cases() -> Iterator[Case]:
    """Slopes of both signs and 0, borders inside and at both clips, no error at all."""
    products = table(
        [
            (1.0, 0.0, 3.25, 0.0),  # no error: 1/2
            (0.75, 0.25, 0.5, 0.25),
            (0.75, 0.25, 0.5, -0.25),
            (-1.5, 0.5, 0.75, 0.125),
            (0.5, -0.25, 0.375, 0.25),
            (1.0, 1.0, 2.0, 0.0),  # above 1
            (1.0, -0.5, 1.5, 0.0),  # below 0
            (-2.0, 1.0, 0.25, -0.125),
            (0.5, -0.5, 1.75, 0.25),  # slope 0
            (0.0, 0.5, 0.25, 3.0),
            (0.0, 0.0, 1.0, 1.0),
        ],
        "w d_w x_prime e",
    )
    tiny = {name: v * 2.0**-24 if name != "x_prime" else v for name, v in products.items()}
    yield Case("border_eq7", "T24", "slopes of a ten-millionth", tiny, {}, ("13.2", "P09", "C11"))
    drawn = {
        "w": real(("eq7", "w"), 24, 1.0),
        "d_w": real(("eq7", "d_w"), 24, 0.25),
        "x_prime": np.abs(real(("eq7", "x"), 24, 4.0)),
        "e": real(("eq7", "e"), 24, 0.5),
    }
    for clipped in (True, False):
        attrs = {} if clipped else {"clipped": False}
        ends = "clipped" if clipped else "as it comes"
        clauses = ("13.2", "P09", "C11")
        yield Case("border_eq7", "T8", f"slopes of powers of two and 0, {ends}", products, attrs,
                   clauses)  # fmt: skip
        yield Case("border_eq7", "REAL", f"any product, {ends}", drawn, attrs, ("13.2",))


def closed_cases() -> Iterator[Case]:
    """Groups, taps, dead positions, with noise and without; every extent another number."""
    noise = {f"e{i}": dyadic(("closed", "e", i), (4, 2), 3, 4) for i in range(3)}
    hat = np.array([
        [1.0, 2.0, -1.0, 0.0], [1.0, 0.0, 1.0, 0.0],
        [0.0, -1.0, 2.0, 0.5], [-2.0, 1.0, 0.0, -0.5],
    ])  # fmt: skip
    w = hat + dyadic(("closed", "d_w"), (4, 4), 2, 4)
    shape = {"taps": 2, "groups": 2}
    yield Case("border_shared_closed", "T8", "two groups, a dead position, noise of degree 2",
               {"w": w, "w_hat": hat, **noise}, shape, ("13.2", "P15", "C1"))  # fmt: skip
    yield Case("border_shared_closed", "T8", "constant noise alone",
               {"w": w, "w_hat": hat, "e0": noise["e0"]}, shape, ("13.2",))  # fmt: skip
    hat = codes(("closed", "hat"), (5, 6), -3, 3) / 4.0
    w = hat + dyadic(("closed", "w"), (5, 6), 3, 6)
    yield Case("border_shared_closed", "T8", "no noise, three taps, sums that divide nothing",
               {"w": w, "w_hat": hat}, {"taps": 3}, ("13.2", "C1"))  # fmt: skip
    hat = codes(("closed", "many"), (36, 2), -2, 2) / 2.0
    w = hat + dyadic(("closed", "many w"), (36, 2), 2, 4)
    yield Case("border_shared_closed", "T8", "36 outputs (sums longer than a warp)",
               {"w": w, "w_hat": hat}, {"taps": 1}, ("13.2", "C1"))  # fmt: skip
    step = 0.3125
    w = real(("closed", "real"), (6, 6), 1.0)
    hat = np.float32(step) * np.rint(w / step)
    noise = {f"e{i}": real(("closed", "real e", i), (6, 3), 0.25) for i in range(3)}
    yield Case("border_shared_closed", "REAL", "three groups of any weights, noise of degree 2",
               {"w": w, "w_hat": hat, **noise}, {"taps": 3, "groups": 3},
               ("13.2", "P15"))  # fmt: skip


def poly_cases() -> Iterator[Case]:
    """Quadratic and linear; the square, the order of the axes."""
    u = dyadic(("poly", "u"), (2, 2, 3, 4), 4, 1)
    b = {f"b{i}": dyadic(("poly", "b", i), (2, 3), 3, 3) for i in range(3)}
    small = {"u": u[:1, :, :, :2], **b}
    yield Case("border_poly", "T8", "quadratic, every axis of another length", small, {},
               ("13.3", "C1"))  # fmt: skip
    linear = {"u": u, "b0": b["b0"], "b1": b["b1"]}
    yield Case("border_poly", "T8", "linear: b2 left out", linear, {}, ("13.3", "C1"))
    square = {f"b{i}": dyadic(("poly", "square b", i), (2, 2), 3, 3) for i in range(3)}
    yield Case("border_poly", "T8", "as many channels as taps", {"u": u[:1, :, :2, :1], **square},
               {}, ("13.3", "C1"))  # fmt: skip
    drawn = {f"b{i}": real(("poly", "real", i), (3, 2), 0.5) for i in range(3)}
    yield Case("border_poly", "REAL", "quadratic with any coefficients",
               {"u": real(("poly", "real u"), (2, 3, 2, 5), 4.0), **drawn}, {},
               ("13.3",))  # fmt: skip


def bound_cases() -> Iterator[Case]:
    """Both sides of every saturation, its ends, far beyond, and two kappas."""
    p = np.array([0.0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 2.0, -2.0, 64.0, -64.0, 1000.0])
    p = np.append(p, [-1000.0, 0.50390625, -0.50390625])
    near = np.float32(LN_7_3) + np.array([-1.0, 1.0]) * 2.0**-12
    drawn = np.concatenate([near, -near, real(("bound", "p"), 20, 2.0)])
    d_e = dyadic(("bound", "d_e"), p.size, 3, 1)
    d_e = np.where(d_e == 0, 1.5, d_e)
    d_real = real(("bound", "d_e real"), drawn.size, 1.0)
    for kind in BOUNDS:
        name = kind.get("scale", kind.get("bound", "outer"))
        shown = name if "bound" in kind else f"{name} sigmoid"
        clauses = ("D23",) if "bound" in kind else ("D16", "P68")
        for kappa in (2.5, 0.75, 4.0):
            attrs = kind if kappa == 2.5 else {**kind, "kappa": kappa}
            if kappa != 2.5 and "bound" in kind:
                continue
            says = f"{shown}, kappa {kappa}: at both saturations, inside and beyond"
            yield Case("border_bound", "T8", says, {"p": p}, attrs, ("13.3", *clauses))
            for mask in ("closed", "open") if name != "inner" else ("closed",):
                own = attrs if mask == "closed" else {**attrs, "border_mask": mask}
                yield Case("border_bound_backward", "T8", f"{says}, {mask} mask",
                           {"p": p, "d_e": d_e}, own, ("13.4", *clauses))  # fmt: skip
        yield Case("border_bound", "REAL", f"{shown}, any P", {"p": drawn}, kind,
                   ("13.3", *clauses))  # fmt: skip
        yield Case("border_bound_backward", "REAL", f"{shown}, any P", {"p": drawn, "d_e": d_real},
                   kind, ("13.4", *clauses))  # fmt: skip


def double_cases() -> Iterator[Case]:
    """Borders beside 0 and 1, which float32 rounds to them: what is clipped has a gradient."""
    beside = np.array([0.5 + 2.0**-40, 0.5 - 2.0**-40, 2.0**-40 - 0.5, -0.5 - 2.0**-40])
    given = {"p": beside, "d_e": np.array([1.5, -2.0, 0.75, -1.25])}
    yield Case("border_bound", "T53", "clip: a trillionth beside both ends", {"p": beside},
               {"bound": "clip"}, ("13.3", "D23"))  # fmt: skip
    yield Case("border_bound_backward", "T53", "clip: a trillionth beside both ends", given,
               {"bound": "clip"}, ("13.4", "D23"))  # fmt: skip


def blocks(key: str, shape: tuple[int, int, int, int]) -> tuple[Array, Array]:
    """(p, fusion weights) of few bits, of which some bounds and some means saturate."""
    p = dyadic((key, "p"), shape, 3, 3)
    p[0, 0, :, 0], p[0, 1, :, 0] = 0.5, -0.5  # E and their mean at the ends
    return p, codes((key, "fusion"), shape[1:3], -1, 6) / 2.0


def fuse_cases() -> Iterator[Case]:
    """Every order with every bound; weights that clip the mean; one tap."""
    p, weights = blocks("fuse", (2, 2, 4, 2))
    one = {"p": p[:, :, :1]}
    fusion = (1 + real(("fuse", "real weights"), (2, 3), 0.5)).astype(np.float32)
    drawn = {"p": real(("fuse", "real"), (2, 2, 3, 4), 1.0), "fusion": fusion}
    for order in FUSES:
        attrs = {"fuse": order, "bound": "clip"}
        given = {"p": p} if order == "none" else {"p": p, "fusion": weights}
        clauses = ("13.3", "D16") if order == "none" else ("13.3", "D16", "P71")
        yield Case("border_fuse", "T8", f"fuse {order}, four taps: borders at both ends and beyond",
                   given, attrs, clauses)  # fmt: skip
        yield Case("border_fuse", "T8", f"fuse {order}, one tap (nothing to fuse)", one, attrs,
                   ("P67",))  # fmt: skip
        real_given = {"p": drawn["p"]} if order == "none" else drawn
        for kind in ({}, {"scale": "inner"}):
            yield Case("border_fuse", "REAL", f"fuse {order}, {kind.get('scale', 'outer')} sigmoid",
                       real_given, {"fuse": order, **kind}, clauses)  # fmt: skip
    yield Case("border_fuse", "T8", "no weights: all are 1", {"p": p}, {"bound": "clip"}, ("13.3",))
    given = square("fuse")
    for order in FUSES[1:]:
        yield Case("border_fuse", "T8", f"fuse {order}, all sizes equal, far beyond both ends",
                   given, {"fuse": order, "bound": "clip"}, ("13.3", "P71"))  # fmt: skip
        yield Case("border_fuse", "T8", f"fuse {order}, 36 taps (more than a warp)", many("fuse"),
                   {"fuse": order, "bound": "clip"}, ("13.3", "P71"))  # fmt: skip
        yield Case("border_fuse", "REAL", f"fuse {order}, kappa 1.25", drawn,
                   {"fuse": order, "kappa": 1.25}, ("13.3", "D16"))  # fmt: skip


def many(key: str) -> dict[str, Array]:
    """36 taps of small borders: more than a warp has threads."""
    p = codes((key, "many"), (1, 2, 36, 1), -3, 3) / 8.0
    return {"p": p, "fusion": codes((key, "many fusion"), (2, 36), 1, 4) / 2.0}


def square(key: str) -> dict[str, Array]:
    """All sizes 2; weights that carry means above 1 in one channel, below 0 in the other."""
    p = dyadic((key, "square"), (2, 2, 2, 2), 3, 4)
    return {"p": p, "fusion": np.array([[3.5, 1.5], [-2.0, 0.5]])}


def fuse_backward_cases() -> Iterator[Case]:
    """Every order and mask; means at their ends, outside and inside."""
    p, weights = blocks("fuse", (2, 2, 4, 2))
    fusion = (1 + real(("fuse", "real weights"), (2, 3), 0.5)).astype(np.float32)
    drawn = {"p": real(("fuse", "real"), (2, 2, 3, 4), 1.0), "fusion": fusion}
    for order, mask in itertools.product(FUSES, ("closed", "open")):
        taps = 4 if order == "none" else 1
        d_border = dyadic(("fuse", "d"), (2, 2, taps, 2), 3, 1)
        given = {"p": p, "d_border": d_border}
        given |= {} if order == "none" else {"fusion": weights}
        attrs = {"fuse": order, "bound": "clip", "border_mask": mask}
        clauses = ("13.4", "D16") if order == "none" else ("13.4", "D16", "P71")
        yield Case("border_fuse_backward", "T8", f"fuse {order}, {mask} mask, clip", given, attrs,
                   clauses)  # fmt: skip
        d_border = real(("fuse", "real d"), (2, 2, 3 if order == "none" else 1, 4), 1.0)
        given = {"p": drawn["p"], "d_border": d_border}
        given |= {} if order == "none" else {"fusion": drawn["fusion"]}
        attrs = {"fuse": order, "border_mask": mask}
        yield Case("border_fuse_backward", "REAL", f"fuse {order}, {mask} mask, sigmoid", given,
                   attrs, ("13.4", "D16"))  # fmt: skip
    for order in ("bound_fuse", "fuse_bound"):
        given = {"p": p[:, :, :1], "d_border": dyadic(("fuse", "one"), (2, 2, 1, 2), 3, 1)}
        yield Case("border_fuse_backward", "T8", f"fuse {order}, one tap (nothing to fuse)", given,
                   {"fuse": order, "bound": "clip"}, ("P67",))  # fmt: skip
    given = square("fuse") | {"d_border": dyadic(("fuse", "square"), (2, 2, 1, 2), 3, 1) + 0.25}
    for order, mask in itertools.product(FUSES[1:], ("closed", "open")):
        attrs = {"fuse": order, "bound": "clip", "border_mask": mask}
        yield Case("border_fuse_backward", "T8", f"fuse {order}, {mask} mask, all sizes equal",
                   given, attrs, ("13.4", "P71"))  # fmt: skip
    for order in FUSES[1:]:
        given = many("fuse") | {"d_border": np.array([1.5, -2.25]).reshape(1, 2, 1, 1)}
        yield Case("border_fuse_backward", "T8", f"fuse {order}, 36 taps (more than a warp)", given,
                   {"fuse": order, "bound": "clip"}, ("13.4", "P71"))  # fmt: skip
        d_border = real(("fuse", "kappa d"), (2, 2, 1, 4), 1.0)
        yield Case("border_fuse_backward", "REAL", f"fuse {order}, kappa 1.25",
                   drawn | {"d_border": d_border}, {"fuse": order, "kappa": 1.25},
                   ("13.4", "D16"))  # fmt: skip
    long = {"p": codes(("fuse", "long"), (1, 1, 2, 131), -3, 3) / 8.0,
            "fusion": np.array([[1.5, 0.5]]),
            "d_border": dyadic(("fuse", "long d"), (1, 1, 1, 131), 3, 1)}  # fmt: skip
    yield Case("border_fuse_backward", "T8", "131 windows (more than two panels of 64)", long,
               {"bound": "clip"}, ("13.4", "P71"))  # fmt: skip
    given = {"p": drawn["p"], "d_border": real(("fuse", "real d"), (2, 2, 1, 4), 1.0)}
    yield Case("border_fuse_backward", "REAL", "inner sigmoid, no weights: all are 1", given,
               {"scale": "inner"}, ("13.4", "D16"))  # fmt: skip
