"""Inputs for the losses."""

from collections.abc import Iterator

import numpy as np

from refquant._types import Array
from refquant.oracle.case import Case
from refquant.oracle.draw import dyadic

SMALL, MAPS, TOKENS = (2, 3, 4), (2, 3, 4, 5), (2, 5, 3)
LARGE = (("T24", 2.0**13), ("T53", 2.0**40))  # squares of which float32 and float64 round


def drawn(
    key: str, shape: tuple[int, ...], bits: int = 4, point: int = 2, equal: int = 2
) -> dict[str, Array]:
    """Output, target and weights; `equal` entries of z are those of t."""
    z, t, g = (dyadic(("losses", key, name), shape, bits, point) for name in "ztg")
    z.ravel()[:equal] = t.ravel()[:equal]
    return {"z": z, "t": t, "g": g}


def without_g(arrays: dict[str, Array]) -> dict[str, Array]:
    """Output and target."""
    return {name: arrays[name] for name in "zt"}


def cancelling(base: float) -> dict[str, Array]:
    """Outputs of this magnitude, whose errors are below 2^-5."""
    near = drawn("near", (3, 2), 4, 10)
    far = np.array([[base, -base], [base / 2, base], [-base, base / 4]])
    return {"z": far + near["z"], "t": far + near["t"]}


def cases() -> Iterator[Case]:
    """Yield the cases of the family, each for a loss and for its gradient."""
    for case in (*_lp(), *_fisher(), *_kl()):
        yield case
        clauses = tuple({"P52": "P88"}.get(clause, clause) for clause in case.clauses)
        yield Case(f"{case.op}_backward", case.tier, case.purpose, case.inputs, case.attrs, clauses)
    yield from _mean()


def _lp() -> Iterator[Case]:
    small = without_g(drawn("small", SMALL))
    for reduction in ("channels", "mean"):
        yield Case("lp_rec_loss", "T8", f"squares, reduction {reduction}; some errors are 0", small,
                   {"reduction": reduction}, ("5.1", "P52"))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "p = 1: the sign, 0 where the error is 0", small, {"p": 1.0},
               ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "p = 3: an odd power of the magnitude", small, {"p": 3.0},
               ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "maps: summed over channels, averaged over all else",
               without_g(drawn("maps", MAPS)), {}, ("5.1", "P52"))  # fmt: skip
    yield Case("lp_rec_loss", "T11", "tokens, channels last", without_g(drawn("tokens", TOKENS, 6)),
               {"channel_axis": -1}, ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "one element",
               {"z": np.array([[1.5]]), "t": np.array([[-2.0]])},
               {}, ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "134 errors of two channels (more than two panels of 64)",
               without_g(drawn("long", (1, 2, 67), 3)), {}, ("5.1",))  # fmt: skip
    special = {
        "z": np.array([[np.inf, 1.0], [2.0, np.nan]]),
        "t": np.array([[0.0, 1.0], [-1.0, 3.0]]),
    }
    for tier, base in LARGE:
        yield Case("lp_rec_loss", tier, f"small errors of outputs of {base:g}", cancelling(base),
                   {}, ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "T8", "an infinity and a NaN are passed on", special, {}, ("5.1",))
    for p in (2.4, 2.0):
        yield Case("lp_rec_loss", "REAL", f"any numbers, p = {p}",
                   without_g(drawn("real", SMALL, 24, 22, 0)), {"p": p},
                   ("5.1", "P52"))  # fmt: skip


def _mean() -> Iterator[Case]:
    """The mean over everything: what its case of squares leaves open."""
    mean = {"reduction": "mean"}
    for tier, base in LARGE:
        yield Case("lp_rec_loss", tier, f"mean: small errors of outputs of {base:g}",
                   cancelling(base), mean, ("5.1",))  # fmt: skip
    yield Case("lp_rec_loss", "REAL", "mean: any numbers, p = 2.4",
               without_g(drawn("mean", (2, 3), 24, 22, 0)), {"p": 2.4, **mean},
               ("5.1", "P52"))  # fmt: skip
    yield Case("lp_rec_loss_backward", "T8", "mean: the sign of the error at p = 1, 0 at 0",
               without_g(drawn("mean sign", (2, 3))), {"p": 1.0, **mean}, ("5.1",))  # fmt: skip


def _fisher() -> Iterator[Case]:
    for op in ("fisher_diag", "fisher_full"):
        own = ("P87",) if op == "fisher_diag" else ()
        small = drawn("fisher", SMALL)
        yield Case(op, "T8", "weights of both signs and 0; some errors are 0", small, {},
                   ("5.2", "C14"))  # fmt: skip
        agreeing = drawn("agreeing", (3, 2, 3), 3, 1)
        yield Case(op, "T8", "as many positions as samples", agreeing, {}, ("5.2",))
        maps = "averaged over all but channels" if own else "one sum for each sample"
        yield Case(op, "T8", f"maps: {maps}", drawn("fisher maps", MAPS, 3, 1), {}, ("5.2",))
        long = drawn("fisher long", (1, 2, 67), 2, 1)
        yield Case(op, "T8", "134 errors of a sample (more than two panels of 64)", long, {},
                   ("5.2",))  # fmt: skip
        plain = ": the plain squared error" if own else ""
        ones = {**drawn("ones", SMALL), "g": np.ones(SMALL)}
        yield Case(op, "T8", f"all weights 1{plain}", ones, {}, ("5.2", "C14", *own))
        shape = "tokens, channels last" if own else "rows of three"
        yield Case(op, "T8", f"{shape}, all weights 2 (g is not g^2)",
                   {**drawn("two", TOKENS), "g": np.full(TOKENS, 2.0)},
                   {"channel_axis": -1} if own else {}, ("5.2", "C14", *own))  # fmt: skip
        yield Case(op, "REAL", "any numbers", drawn("fisher real", SMALL, 24, 22, 0), {}, ("5.2",))


def _kl() -> Iterator[Case]:
    small = without_g(drawn("logits", (2, 3), 5, 3, 0))
    for temperature in (1.0, 4.0, 3.0):
        yield Case("kl_logits", "T8", f"two samples, three classes, T = {temperature}", small,
                   {"temperature": temperature}, ("5.3",))  # fmt: skip
    shifted = {"z": np.array([[1.0, 3.0, -2.0, 0.5]]), "t": np.array([[4.0, 6.0, 1.0, 3.5]])}
    yield Case(
        "kl_logits", "T8", "logits that differ by a constant: 0", shifted, {}, ("5.3", "P86")
    )
    large = {"z": np.array([[8192.0, 8190.5, 8191.0], [-8192.0, -8192.5, -8190.0]]),
             "t": np.array([[8191.0, 8192.0, 8190.0], [-8190.5, -8192.0, -8191.0]])}  # fmt: skip
    yield Case("kl_logits", "T24", "logits whose exp overflows and underflows", large,
               {"temperature": 0.5}, ("5.3",))  # fmt: skip
    far = {"z": np.array([[0.0, 1.0, -800.0], [2.0, -1000.0, 0.5], [-900.0, 0.0, 1.0]]),
           "t": np.array([[1.0, 0.0, -900.0], [0.0, 1.0, -1.0], [0.5, -750.0, 0.0]])}  # fmt: skip
    yield Case("kl_logits", "T11", "classes whose probability underflows", far, {}, ("5.3", "P86"))
    yield Case("kl_logits", "T8", "35 classes (three more than a warp has threads)",
               without_g(drawn("classes", (2, 35), 4, 2, 0)), {}, ("5.3",))  # fmt: skip
    yield Case("kl_logits", "T8", "131 classes (more than two panels of 64)",
               without_g(drawn("many classes", (1, 131), 4, 2, 0)), {}, ("5.3",))  # fmt: skip
    yield Case("kl_logits", "REAL", "any logits, five classes",
               without_g(drawn("real logits", (3, 5), 24, 22, 0)), {"temperature": 4.0},
               ("5.3", "P86"))  # fmt: skip
