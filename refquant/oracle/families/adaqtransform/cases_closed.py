"""Inputs for folding, fits, batch norms and bias correction."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, dyadic
from refquant.oracle.families.adaqtransform.cases_layer import real, without_bias

Arrays = dict[str, Array]


def closed_cases() -> Iterator[Case]:
    """Yield the cases of the five ops."""
    yield from fold_cases()
    yield from ols_cases()
    yield from norm_cases()
    yield from bias_cases()


def fold_cases() -> Iterator[Case]:
    """Both signs of xi, with and without a bias."""
    few = {
        "xi": np.array([1.0, 0.75, -0.5, 0.0]),
        "eta": np.array([0.0, 0.25, -1.5, 2.0]),
        "s_w": np.array([0.5, 0.25, 0.125, 2.0]),
        "s_x": np.array(0.375),
        "bias": np.array([0.5, -0.75, 1.0, 0.25]),
    }
    yield Case("adaqt_fold", "T8", "both signs of xi", few, {}, ("15.3", "P42", "D33"))
    yield Case("adaqt_fold", "T8", "no bias", without_bias(few), {}, ("15.3", "D33"))
    drawn = {name: real(("fold", name), 6) for name in ("xi", "eta", "bias")}
    drawn |= {"s_w": np.abs(real(("fold", "s_w"), 6, 27)), "s_x": np.array(np.float32(0.037))}
    yield Case("adaqt_fold", "REAL", "any numbers", drawn, {}, ("P42",))


def ols_cases() -> Iterator[Case]:
    """Spread products, constant ones, exact fits, one element; all granularities."""
    y0 = codes(("ols", "y0"), (2, 3, 4), -8, 8) / 4.0
    y0[:, 2] = 0.75  # a channel that does not vary
    noise = dyadic(("ols", "noise"), (2, 3, 4), 3, 4)
    slopes = np.array([0.75, -1.5, 2.0])[None, :, None]
    few = {"y": slopes * y0 + noise + 0.5, "y0": y0, "bias": np.array([0.25, -0.5, 1.0])}
    for kind in ("channel", "layer"):
        attrs = {} if kind == "channel" else {"granularity": kind}
        clauses = ("15.3", "P44", "C5") if attrs else ("15.3", "P44", "C5", "C20")
        yield Case("adaqt_ols", "T8", f"a fit per {kind}; one channel does not vary", few, attrs,
                   (*clauses, "15.6"))  # fmt: skip
    four = {name: np.concatenate([v, v[::-1] * 0.5]) for name, v in few.items() if v.ndim == 3}
    yield Case("adaqt_ols", "T8", "a fit per pixel, no bias", four, {"granularity": "pixel"},
               ("15.6", "C20"))  # fmt: skip
    exact = np.array([[[1.0, -1.0, 1.0, -1.0], [2.0, 0.0, 0.0, 2.0]]])
    scale = np.array([0.5, -1.25])[None, :, None]
    yield Case("adaqt_ols", "T8", "an exact fit",
               {"y": scale * exact + 0.25, "y0": exact, "bias": np.array([1.0, -0.5])}, {},
               ("15.3", "P44"))  # fmt: skip
    far = y0 + 2.0**40  # E[x^2] - E[x]^2 has no correct digit
    equal = {"y": (slopes * y0 + noise)[:, :, :], "y0": far, "bias": few["bias"]}
    yield Case("adaqt_ols", "T53", "a mean that hides the deviations", equal, {}, ("15.3", "P44"))
    as_many = {name: few[name][:, :, :3] for name in ("y", "y0")} | {"bias": few["bias"]}
    yield Case("adaqt_ols", "T8", "as many positions as channels", as_many, {}, ("15.3", "C5"))
    long = {name: np.concatenate([v, 2 * v, v[..., ::-1]], axis=2) for name, v in few.items()
            if v.ndim == 3}  # fmt: skip
    yield Case("adaqt_ols", "T8", "24 products a channel, 72 a layer, no bias", long,
               {"granularity": "layer"}, ("15.6", "C5"))  # fmt: skip
    many = {name: dyadic(("ols", "many", name), (131, 1, 1), 4, 2) for name in ("y", "y0")}
    yield Case("adaqt_ols", "T8", "131 samples (more than two panels of 64)", many, {},
               ("15.3", "C5"))  # fmt: skip
    tiny = {name: v * 2.0**-20 for name, v in few.items()}
    yield Case("adaqt_ols", "T24", "products of a millionth", tiny, {}, ("15.3", "C20"))
    one = {"y": np.array([[[1.5], [0.25]]]), "y0": np.array([[[0.5], [3.0]]])}
    yield Case("adaqt_ols", "T8", "one element a channel: no variance", one, {}, ("C20",))
    drawn = {name: real(("ols", name), (3, 2, 5), 22) for name in ("y", "y0")}
    for kind in ("channel", "layer"):
        yield Case("adaqt_ols", "REAL", f"any numbers, per {kind}",
                   drawn | {"bias": real(("ols", "bias"), 2)}, {"granularity": kind},
                   ("15.3", "C5"))  # fmt: skip


def norm_cases() -> Iterator[Case]:
    """Both maps, with and without the layer's bias, both signs of gamma."""
    few = {
        "gamma0": np.array([1.0, -0.5, 2.0, 0.25]),
        "beta0": np.array([0.5, 1.0, -0.25, 0.0]),
        "mean": np.array([0.25, -1.5, 2.0, 0.5]),
        "sd": np.array([0.5, 1.0, 0.25, 2.0]),
        "bias": np.array([1.0, 0.5, -0.75, 0.25]),
    }
    pairs = {
        "bn_to_xieta": {"gamma": np.array([0.75, -1.5, 2.0, -0.5]),
                        "beta": np.array([1.5, 0.25, -0.25, 3.0])},
        "xieta_to_bn": {"xi": np.array([0.75, -1.5, 1.0, 2.0]),
                        "eta": np.array([0.5, -0.25, 0.0, 1.25])},
    }  # fmt: skip
    for op, pair in pairs.items():
        given = few | pair
        clauses = ("15.3", "D19", "P43")
        yield Case(op, "T8", "a layer with a bias", given, {}, clauses)
        yield Case(op, "T8", "a layer without a bias", without_bias(given), {}, clauses)
        drawn = {name: real((op, name), 5) for name in given}
        drawn |= {name: 0.5 + np.abs(real((op, name), 5, 25)) for name in ("gamma0", "sd")}
        yield Case(op, "REAL", "any numbers", {k: v.astype(np.float32) for k, v in drawn.items()},
                   {}, ("P43",))  # fmt: skip


def bias_cases() -> Iterator[Case]:
    """Errors that cancel and that do not."""
    y = codes(("bias", "y"), (2, 3, 4), -16, 16) / 8.0
    few = {"y": y, "y_hat": y + codes(("bias", "error"), (2, 3, 4), -3, 5) / 8.0,
           "bias": np.array([0.5, -1.25, 0.0])}  # fmt: skip
    yield Case("bias_correct", "T8", "eight errors a channel", few, {}, ("8", "15.3", "P50"))
    cube = {"y": y[:, :2, :2], "y_hat": few["y_hat"][:, :2, 1:3], "bias": few["bias"][:2]}
    yield Case("bias_correct", "T8", "two of everything (any two axes can be exchanged)", cube, {},
               ("8",))  # fmt: skip
    long = {"y": np.concatenate([y] * 5, axis=2)[:, :2, :18], "bias": few["bias"][:2]}
    error = codes(("bias", "long"), (2, 2, 18), -3, 5) / 8.0
    yield Case("bias_correct", "T8", "36 errors a channel (more than a warp)",
               long | {"y_hat": long["y"] + error}, {}, ("8", "P50"))  # fmt: skip
    many = {
        name: codes(("bias", "many", name), (131, 1, 1), -9, 9) / 8.0 for name in ("y", "y_hat")
    }
    yield Case("bias_correct", "T8", "131 samples (more than two panels of 64)",
               many | {"bias": few["bias"][:1]}, {}, ("8", "P50"))  # fmt: skip
    drawn = {name: real(("bias", name), (3, 2, 5)) for name in ("y", "y_hat")}
    yield Case("bias_correct", "REAL", "fifteen errors a channel",
               drawn | {"bias": real(("bias",), 2)}, {}, ("8", "15.3", "P50"))  # fmt: skip
