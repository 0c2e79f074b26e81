"""Inputs for AQuant's quantizer and its gradients."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic
from refquant.oracle.families.aquant.cases_border import FUSES, real

EXACT = {"bound": "clip"}
Arrays = dict[str, Array]


def few_bits(shape: tuple[int, int, int, int], degree: int = 2) -> Arrays:
    """Quarters of a step from below n to above p, a padded row, and borders of few bits."""
    n, c, k, windows = shape
    key = f"layer {shape}"
    u = codes((key, "u"), (n, c * k, windows), -6, 19) / 4.0
    u[:, 0] = 0.0
    names = ("b0", "b1", "b2")[: degree + 1]
    size = {"b0": 2, "b1": 3, "b2": 5}
    b = {name: dyadic((key, name), (c, k), 2, size[name]) for name in names}
    return {"x": 0.5 * u, "s": np.array(0.5), **b}


def any_bits(shape: tuple[int, int, int, int], key: str = "") -> Arrays:
    """Inputs of 24 bits around the range of a 2-bit grid with the step 0.3."""
    n, c, k, windows = shape
    x = np.abs(real((f"real {key}", "x"), (n, c * k, windows), 2.0)) - 0.25
    b = {f"b{i}": real((f"real {key}", "b", i), (c, k), 1.0 / (2 << i)) for i in range(3)}
    return {"x": x.astype(np.float32), "s": np.array(np.float32(0.3)), **b}


def weights(c: int, k: int) -> Arrays:
    """Fusion weights of both signs, some that carry the mean out of [0, 1]."""
    return {"fusion": codes(("fusion", c, k), (c, k), -1, 5) / 2.0}


def real_weights(c: int, k: int) -> Arrays:
    """Fusion weights around 1."""
    near = 1 + real(("fusion real", c, k), (c, k), 0.5)
    return {"fusion": near.astype(np.float32)}


def quant_cases() -> Iterator[Case]:
    """Yield the cases of both ops."""
    for fuse in FUSES:
        yield from order_cases(fuse)
    yield from edge_cases()
    yield from grid_cases()
    yield from schedule_cases()
    yield from real_cases()
    yield from backward_cases()


def order_cases(fuse: str) -> Iterator[Case]:
    """One order of bound and fusion, on few bits."""
    shared = {} if fuse == "none" else weights(2, 4)
    yield Case("aquant_quant", "T8", f"fuse {fuse}, four taps: quarters from below n to above p",
               few_bits((1, 2, 4, 3)) | shared, {"fuse": fuse, **EXACT},
               ("13.3", "D16", "D23", "P70"))  # fmt: skip
    if fuse != "none":
        yield Case("aquant_quant", "T8", f"fuse {fuse}, no weights: all are 1, two taps",
                   few_bits((2, 3, 2, 2), 1), {"fuse": fuse, **EXACT}, ("13.3", "D38"))  # fmt: skip


def constant(border: float, u: Array, s: float = 0.5) -> Arrays:
    """One channel, one tap, the same border for all of a row of u; bound clip."""
    b = np.array([[border - 0.5]])
    return {"x": s * u[None, None, :], "s": np.array(s), "b0": b, "b1": 0 * b}


def edge_cases() -> Iterator[Case]:
    """Ties, borders 0 and 1, the first border of all, special values, fractions near a border."""
    u = np.arange(-6, 19) / 4.0
    for border in (0.0, 1.0, 0.25):
        yield Case("aquant_quant", "T8", f"border {border} at every quarter", constant(border, u),
                   EXACT, ("13.3", "D1", "P08", "P70"))  # fmt: skip
    start = {name: np.zeros((1, 2)) for name in ("b0", "b1", "b2")}
    ties = np.arange(-2, 7) / 2.0
    x = np.stack([ties, ties[::-1]])[None]
    yield Case("aquant_quant", "T8", "the first border, 1/2: ties go down",
               {"x": x, "s": np.array(1.0), **start, "fusion": np.ones((1, 2))}, {},
               ("D1", "D16"))  # fmt: skip
    x = np.array([[[np.nan, 1.25, -0.0, np.inf], [0.75, np.inf, -np.inf, 1.5],
                   [-0.25, np.nan, 100.0, -np.inf]]])  # fmt: skip
    b = {"b0": np.array([[0.0, 0.25, -0.25]]), "b1": np.array([[0.125, 0.25, 0.0625]])}
    for fuse in ("none", "bound_fuse", "fuse_bound"):
        yield Case("aquant_quant", "T8", f"NaN, infinities and -0.0, fuse {fuse}",
                   {"x": x, "s": np.array(0.5), **b}, {"fuse": fuse, "n": -2, "p": 1, **EXACT},
                   ("1.4", "P08"))  # fmt: skip
    near = np.array([-0.5 + 2.0**-25, -0.5 - 2.0**-24, 0.5 + 2.0**-24, -(2.0**-30)])
    yield Case("aquant_quant", "T24", "fractions that single precision rounds to the border",
               constant(0.5, near, 1.0), {"n": -2, "p": 1, **EXACT}, ("1.4", "D1"))  # fmt: skip
    near = np.array([-0.5 + 2.0**-54, -0.5 - 2.0**-53, 0.5 + 2.0**-53])
    yield Case("aquant_quant", "T53", "fractions that double precision rounds to the border",
               constant(0.5, near, 1.0), {"n": -2, "p": 1, **EXACT}, ("1.4", "D1"))  # fmt: skip


def grid_cases() -> Iterator[Case]:
    """Zero points, signed and narrow grids, large and small steps, one tap."""
    for n, p in ((-4, 3), (-1, 2), (-3, 3), (0, 15)):
        yield Case("aquant_quant", "T8", f"levels {n} to {p}", few_bits((1, 1, 4, 4)),
                   {"n": n, "p": p, **EXACT}, ("D25", "13.3"))  # fmt: skip
    given = few_bits((2, 3, 1, 1), 1)
    yield Case("aquant_quant", "T8", "a fully connected layer, linear border", given, EXACT,
               ("13.3", "D16"))  # fmt: skip
    equal = few_bits((2, 2, 2, 2)) | weights(2, 2)
    for fuse in ("bound_fuse", "fuse_bound"):
        yield Case("aquant_quant", "T8", f"fuse {fuse}, all sizes equal", equal,
                   {"fuse": fuse, **EXACT}, ("13.3", "D16"))  # fmt: skip
    for words, option in (("", {}), (", fuse fuse_bound", {"fuse": "fuse_bound"})):
        yield Case("aquant_quant", "T8", f"36 taps (more than a warp){words}",
                   few_bits((1, 1, 36, 1)), EXACT | option, ("13.3", "D16"))  # fmt: skip
    for exponent in (-100, 60):
        scaled = {"x": np.ldexp(given["x"], exponent), "s": np.ldexp(given["s"], exponent)}
        yield Case("aquant_quant", "T8", f"everything times 2^{exponent}: the same levels",
                   given | scaled, EXACT, ("13.3",))  # fmt: skip


def schedule_cases() -> Iterator[Case]:
    """The weight of the rounding: 0, between, with values beyond both ends."""
    for a in (0.0, 0.5, 0.25):
        yield Case("aquant_quant", "T8", f"a = {a}: mixed, then clipped",
                   few_bits((1, 2, 2, 4)) | weights(2, 2), {"a": a, **EXACT},
                   ("13.3", "P69"))  # fmt: skip


def real_cases() -> Iterator[Case]:
    """Sigmoids, a step that is no power of two, three taps."""
    kinds: tuple[dict[str, Any], ...] = ({}, {"scale": "inner"}, {"kappa": 1.75}, EXACT)
    for i, kind in enumerate(kinds):
        given = any_bits((1, 2, 3, 4), str(i)) | real_weights(2, 3)
        name = ", ".join(f"{key} {value}" for key, value in kind.items()) or "outer sigmoid"
        yield Case("aquant_quant", "REAL", f"{name}, three taps", given, kind,
                   ("13.3", "D16", "D38"))  # fmt: skip
    for fuse in ("none", "fuse_bound", "centred"):
        yield Case("aquant_quant", "REAL", f"fuse {fuse}, outer sigmoid, a = 0.6: mixed, no code",
                   any_bits((1, 2, 2, 3), fuse), {"fuse": fuse, "a": 0.6},
                   ("D16", "P69"))  # fmt: skip
        yield Case("aquant_quant", "REAL", f"fuse {fuse}, inner sigmoid, kappa 1.75, a = 0.6",
                   any_bits((1, 2, 2, 1), f"inner {fuse}"),
                   {"fuse": fuse, "a": 0.6, "scale": "inner", "kappa": 1.75},
                   ("D16",))  # fmt: skip


def backward_cases() -> Iterator[Case]:
    """Every order, mask, gate and option on few bits; sigmoids on any bits."""
    options: tuple[dict[str, Any], ...] = (
        {},
        {"gate": "support"},
        {"mask": "unrounded"},
        {"detach_border_input": True},
        {"border_mask": "open"},
        {"a": 0.5, "grad_scale": 0.25},
        {"a": 0.5, "gate": "support", "mask": "unrounded", "n": -1, "p": 2},
    )
    clauses = {"gate": "D17", "mask": "D2", "detach_border_input": "D39", "grad_scale": "C21",
               "border_mask": "D16"}  # fmt: skip
    for fuse in FUSES:
        shape = (2, 2, 4, 2)
        shared = {} if fuse == "none" else weights(2, 4)
        given = few_bits(shape) | shared | {"d_x_hat": gradient((2, 8, 2))}
        for i, option in enumerate(options):
            if i in (2, 6) and fuse in ("fuse_bound", "centred"):
                continue
            name = ", ".join(f"{key} {value}" for key, value in option.items()) or "all defaults"
            own = tuple(clauses[key] for key in option if key in clauses)
            yield Case("aquant_quant_backward", "T8", f"fuse {fuse}: {name}", given,
                       {"fuse": fuse, **EXACT, **option}, ("13.4", "D23", "P08", *own))  # fmt: skip
    yield from special_backward_cases()


def gradient(shape: tuple[int, ...]) -> Array:
    """Of x_hat: few bits, nowhere 0."""
    drawn = dyadic(("d_x_hat", *shape), shape, 2, 1)
    return np.where(drawn == 0, 2.0, drawn)


def special_backward_cases() -> Iterator[Case]:
    """Special values, one tap, other grids, and sigmoids."""
    x = np.array([[[np.nan, 1.25, -0.0, np.inf], [0.75, np.inf, -np.inf, 1.5]]])
    b = {"b0": np.array([[0.0, 0.25]]), "b1": np.array([[0.125, 0.25]])}
    for fuse in ("none", "bound_fuse"):
        given = {"x": x, "s": np.array(0.5), **b, "d_x_hat": gradient((1, 2, 4))}
        yield Case("aquant_quant_backward", "T8", f"NaN, infinities and -0.0, fuse {fuse}", given,
                   {"fuse": fuse, "n": -2, "p": 1, **EXACT}, ("13.4", "C21"))  # fmt: skip
    given = few_bits((1, 1, 2, 131)) | weights(1, 2) | {"d_x_hat": gradient((1, 2, 131))}
    yield Case("aquant_quant_backward", "T8", "131 windows (more than two panels of 64)", given,
               {"fuse": "fuse_bound", **EXACT}, ("13.4", "P08"))  # fmt: skip
    half = np.array([[0.5, 0.5], [-0.5, -0.5]])
    ends = {"x": dyadic(("ends",), (2, 4, 2), 4, 3), "s": np.array(0.5), "b0": half, "b1": 0 * half}
    yield Case("aquant_quant_backward", "T8", "fused borders of exactly 1 and 0",
               ends | {"d_x_hat": gradient((2, 4, 2))}, {"n": -2, "p": 1, **EXACT},
               ("13.4", "D16"))  # fmt: skip
    given = few_bits((3, 3, 1, 2), 1) | {"d_x_hat": gradient((3, 3, 2))}
    for option in ({"grad_scale": 0.125}, {"detach_border_input": True, "gate": "support"}):
        yield Case("aquant_quant_backward", "T8", f"one tap, linear, {next(iter(option))}",
                   given, EXACT | option, ("13.4", "C21", "D39"))  # fmt: skip
    equal = few_bits((2, 2, 2, 2)) | weights(2, 2) | {"d_x_hat": gradient((2, 4, 2))}
    for fuse in ("bound_fuse", "fuse_bound", "centred"):
        yield Case("aquant_quant_backward", "T8", f"fuse {fuse}, all sizes equal", equal,
                   {"fuse": fuse, **EXACT}, ("13.4", "D23"))  # fmt: skip
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"scale": "inner", "gate": "support"},
        {"fuse": "fuse_bound", "a": 0.6},
        {"fuse": "centred", "border_mask": "open"},
        {"fuse": "none", "mask": "unrounded"},
        {"fuse": "none", "a": 0.3, "bound": "clip"},
        {"kappa": 1.25},
        {"fuse": "centred", "kappa": 1.25, "scale": "inner", "n": -2, "p": 1},
    )
    for i, kind in enumerate(kinds):
        given = any_bits((2, 2, 3, 2), f"back {i}") | {"d_x_hat": real(("back", i), (2, 6, 2), 1.0)}
        given |= {} if kind.get("fuse") == "none" else real_weights(2, 3)
        name = ", ".join(f"{key} {value}" for key, value in kind.items()) or "as the paper"
        yield Case("aquant_quant_backward", "REAL", name, given, kind, ("13.4", "D16"))
    given = any_bits((2, 2, 2, 2), "other") | weights(2, 2)
    given |= {"d_x_hat": real(("back", "other"), (2, 4, 2), 1.0)}
    yield Case("aquant_quant_backward", "REAL", "no dialect as the paper has it", given,
               {"fuse": "centred", "scale": "inner", "kappa": 1.25, "border_mask": "open",
                "gate": "support", "mask": "unrounded", "detach_border_input": True,
                "a": 0.6, "grad_scale": 0.25}, ("13.4", "D16", "D17", "D2", "D39"))  # fmt: skip
