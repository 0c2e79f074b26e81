"""Inputs for linear layers, batch norm and ReLU."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import codes, double, dyadic, subject
from refquant.oracle.families.layers.cases_conv import COARSE, uneven
from refquant.oracle.op import Arrays

SPECIAL = np.array([np.nan, np.inf, -np.inf])
EXACT_EPS = 0.0625
# sd = 2, 1/2, 1/4, 1: exact under the eps above; the third channel is constant
EXACT_VAR = np.array([3.9375, 0.1875, 0.0, 0.9375])
THIRDS = np.array([8.9375, 35.9375, 0.5, 0.0])  # sd = 3, 6, 3/4, 1/4
NINE = "nine channels (no multiple of 2, 4 or 8)"
NINE_VARS = np.append(EXACT_VAR, [*EXACT_VAR[::-1], 15.9375])


def cases() -> Iterator[Case]:
    """Yield the cases of the nine operations."""
    yield from linear_cases()
    yield from norm_cases()
    yield from fold_cases()
    yield from clip_cases()


def linear_cases() -> Iterator[Case]:
    """Yield the cases of `linear` and `linear_backward`."""
    for purpose, tier, sizes in (
        ("batch, features and outputs unequal", "T8", (3, 5, 4)),
        ("one sample (its axis must stay)", "T11", (1, 2, 3)),
        ("a square weight (transposed it has the same shape)", "T11", (2, 3, 3)),
        ("all sizes equal (any two axes can be exchanged)", "T11", (3, 3, 3)),
        ("sums that are rounded", "REAL", (4, 7, 3)),
    ):
        (n, features, c_out), key = sizes, subject(purpose)
        bits = {"T8": (8, 8), "T11": (11, 9), "REAL": (24, 24)}[tier]
        x = dyadic(("linear", "x", key), (n, features), bits[0], bits[0] - 3)
        w = dyadic(("linear", "w", key), (c_out, features), bits[1], bits[1] - 1)
        d_y = dyadic(("linear", "d_y", key), (n, c_out), bits[1], bits[1] - 2)
        bias = dyadic(("linear", "bias", key), c_out, bits[1], bits[1] - 4)
        yield Case("linear", tier, purpose, {"x": x, "w": w, "bias": bias}, {}, ("4.1", "P03"))
        yield Case("linear_backward", tier, purpose, {"d_y": d_y, "x": x, "w": w}, {}, ("4.1",))
    x = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0], [-1.0, 4.0, 0.5]])
    x[0, 1], x[1, 2], x[2, 0] = SPECIAL
    w = np.array([[1.0, 0.0, 2.0], [0.5, -1.0, 0.0]])
    yield Case(
        "linear", "T8", "NaN and infinities under zero weights, no bias", {"x": x, "w": w}, {},
        ("4.1",),
    )  # fmt: skip
    words = "19 rows, 18 features and 17 outputs, operands of more than 11 bits"
    inputs = uneven(words, (19, 18), (17, 18))
    d_y = dyadic(("linear", "d_y", words), (19, 17), COARSE, 1)
    yield Case("linear", "T24", words, inputs, {}, ("4.1", "P03"))
    yield Case("linear_backward", "T24", words, {"d_y": d_y, **inputs}, {}, ("4.1",))
    yield from panel_cases()


def panel_cases() -> Iterator[Case]:
    """Sums over two panels of 64 and three more, of everything that is summed over."""
    for summed, (n, features, c_out) in (
        ("features", (2, 131, 3)), ("outputs", (2, 3, 131)), ("rows", (131, 3, 2)),
    ):  # fmt: skip
        x, w, d_y, bias = (
            dyadic(("panels", name, summed), shape, 6, 3)
            for name, shape in (("x", (n, features)), ("w", (c_out, features)),
                                ("d_y", (n, c_out)), ("bias", c_out))
        )  # fmt: skip
        words = f"131 {summed} (more than two panels of 64)"
        if summed == "features":
            inputs = {"x": x, "w": w, "bias": bias}
            yield Case("linear", "T8", words, inputs, {}, ("4.1", "P03"))
        else:
            inputs = {"d_y": d_y, "x": x, "w": w}
            yield Case("linear_backward", "T8", words, inputs, {}, ("4.1",))


def norms(key: str, bits: int, channels: int = 4) -> Arrays:
    """gamma, beta and mean of the channels, both signs, one gamma 0."""
    gamma, beta, mean = (
        dyadic(("bn", key, name), channels, bits, bits - 2) for name in ("gamma", "beta", "mean")
    )
    gamma[1] = 0.0
    return {"gamma": gamma, "beta": beta, "mean": mean}


def real_var() -> Array:
    """Variances of 24 bits: ordinary, small beside eps, 0, and large."""
    var = np.abs(dyadic(("bn", "var"), 4, 24, 22))
    var[1:] = var[1] * 2.0**-20, 0.0, var[3] * 2.0**10
    return var


NORMS = (
    ("deviations that are powers of two", "T8", EXACT_VAR, EXACT_EPS),
    ("deviations that are not, under the root exact", "T11", THIRDS, EXACT_EPS),
    ("the default eps beside small and zero variances", "REAL", real_var(), 1e-5),
    ("the eps of TensorFlow", "REAL", real_var()[::-1], 1e-3),
    ("maps of three axes, as long as there are channels", "T8", EXACT_VAR, EXACT_EPS),
)


def norm_cases() -> Iterator[Case]:
    """Yield the cases of `bn_infer` and `bn_infer_backward`."""
    for number, (purpose, tier, var, eps) in enumerate(NORMS):
        bits = {"T8": 8, "T11": 8, "REAL": 24}[tier]
        shape = ((2, 4, 3), (1, 4, 2, 3), (2, 4, 3), (1, 4, 2, 3), (1, 4, 2, 1, 4))[number]
        x = dyadic(("bn", "x", purpose), shape, bits, bits - 3)
        d_y = dyadic(("bn", "d_y", purpose), shape, bits, bits - 1)
        own = norms(purpose, bits)
        attrs = {"eps": eps}
        if number == 0:
            own["gamma"] = np.array([1.5, 0.0, -0.75, 2.0])
        yield Case("bn_infer", tier, purpose, {"x": x, **own, "var": var}, attrs, ("4.2",))
        operands = {"d_y": d_y, "x": x, "gamma": own["gamma"], "mean": own["mean"], "var": var}
        yield Case("bn_infer_backward", tier, purpose, operands, attrs, ("4.2",))
    x = np.array([[-1.0, 2.0, 0.0, 1.0], [*SPECIAL, 3.0]])
    own = {**norms("special", 8), "var": EXACT_VAR}
    yield Case(
        "bn_infer", "T8", "NaN and infinities, two axes", {"x": x, **own}, {"eps": EXACT_EPS},
        ("4.2",),
    )  # fmt: skip
    x, own = dyadic(("bn", "x", NINE), (2, 9, 3), 8, 5), {**norms(NINE, 8, 9), "var": NINE_VARS}
    yield Case("bn_infer", "T8", NINE, {"x": x, **own}, {"eps": EXACT_EPS}, ("4.2",))
    del own["beta"]
    yield Case("bn_infer_backward", "T8", NINE, {"d_y": x[::-1], "x": x, **own},
               {"eps": EXACT_EPS}, ("4.2",))  # fmt: skip


def fold_cases() -> Iterator[Case]:
    """Yield the cases of `bn_fold`."""
    shapes = ((4, 3, 1, 2), (4, 4), (4, 1, 2, 1), (4, 2))
    for number, (purpose, tier, var, eps) in enumerate(NORMS[:4]):
        bits = 24 if tier == "REAL" else 8
        w = dyadic(("fold", "w", purpose), shapes[number], bits, bits - 1)
        inputs = {"w": w, **norms(f"fold {purpose}", bits), "var": var}
        if number % 2 == 0:
            inputs["bias"] = dyadic(("fold", "bias", purpose), 4, bits, bits - 2)
        yield Case("bn_fold", tier, purpose, inputs, {"eps": eps}, ("4.2", "P04"))
    inputs = {"w": dyadic(("fold", "w", NINE), (9, 2), 8, 7), **norms(NINE, 8, 9), "var": NINE_VARS}
    yield Case("bn_fold", "T8", NINE, inputs, {"eps": EXACT_EPS}, ("4.2", "P04"))


def clip_cases() -> Iterator[Case]:
    """Yield the cases of `relu`, `relu6` and their gradients: both ends, beside them, special."""
    near = np.array([-6.0, -1.0, -(2.0**-130), -0.0, 0.0, 2.0**-130, 1.0])
    upper = np.array([5.9375, 6.0, 6.0625, 7.0, 100.0, *SPECIAL])
    x = np.append(near, upper)
    d_y = np.append(dyadic(("relu", "d_y"), x.size - 1, 8, 4), 1.0)
    d_y[d_y == 0] = 1.0
    wide = dyadic(("relu", "x"), (3, 5), 24, 20)
    for name in ("relu", "relu6"):
        ends = "0" if name == "relu" else "0 and 6"
        words = f"at {ends} and beside, zeros of both signs, NaN, infinities"
        yield Case(name, "T8", words, {"x": x}, {}, ("4.3", "C23"))
        yield Case(name, "T24", "any values", {"x": wide}, {}, ("4.3", "C23"))
        fine = double(("relu",), (2, 4), 51)
        yield Case(name, "T53", "values that single precision rounds", {"x": fine}, {}, ("4.3",))
        backward = f"{name}_backward"
        beside = np.array([2.0**-200, -(2.0**-200), 6 - 2.0**-40, 6 + 2.0**-40])
        yield Case(backward, "T53", f"on either side of {ends}, by less than single precision",
                   {"d_y": double(("relu", "d_y"), 4, 51), "x": beside}, {}, ("4.3",))  # fmt: skip
        yield Case(backward, "T8", words, {"d_y": d_y, "x": x}, {}, ("4.3",))
        yield Case(
            backward, "T8", "infinite and NaN gradients outside the clip",
            {"d_y": SPECIAL, "x": np.array([-1.0, -2.0, 0.0])}, {}, ("4.3",),
        )  # fmt: skip
        many = codes((backward, "x"), 35, -2, 9) - 0.5
        yield Case(backward, "T8", "more elements than a mask of 32 bits has",
                   {"d_y": np.arange(1.0, 36.0), "x": many}, {}, ("4.3",))  # fmt: skip
