"""Adam: gradient descent whose step is scaled, entry by entry, by recent gradients.

Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, arXiv:1412.6980, Algorithm 1;
methods.md 5.7.

    paper         here             shape    meaning
    theta         params[key]      any      what is learnt
    g             grads[key]       same     dL/dtheta
    m, v          state.m, .v      same     running means of g and g^2
    t             state.step       int      steps taken
    beta1^t       state.power1     float    running product, likewise power2
    alpha         rate             float    learning rate, one for all or one a key
    epsilon       hyper.eps        float    added outside the square root

    m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
    theta <- theta - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

The powers are kept as running products of Python floats: the C library's pow may differ in the
last bit from one system to the next, a multiplication may not.
Edge cases: eps = 0 makes the step blind to the scale of the loss (P59), and 0/0 = NaN for an entry
whose gradients have all been 0; NaN in a gradient stays in its entry, for good.
Differs from: PyTorch, which divides sqrt(v) by sqrt(1 - beta2^t) and the rate by 1 - beta1^t:
equal in exact arithmetic, a few ulp apart in floats. Not modelled: weight decay, AMSGrad.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refquant._checks import check_array, check_int, check_operand, complaint
from refquant._types import Array

Arrays = Mapping[Any, Array]


@dataclass(frozen=True)
class AdamHyper:
    """The constants of Adam; beta1 and beta2 in [0, 1), eps at least 0."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        """Refuse constants outside their ranges; store Python floats, which widen no array."""
        for name in ("beta1", "beta2", "eps"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0.0 <= value < 1.0:
                raise ValueError(complaint("AdamHyper", name, value, "a number in [0, 1)"))
        if not 0.0 <= self.eps < math.inf:
            raise ValueError(complaint("AdamHyper", "eps", self.eps, "a finite number from 0 on"))


DEFAULTS = AdamHyper()  # the paper's


class AdamState(NamedTuple):
    """What Adam remembers between steps; a value, never changed in place."""

    step: int
    m: Arrays
    v: Arrays
    power1: float = 1.0  # beta1 ** step
    power2: float = 1.0  # beta2 ** step


def adam_init(params: Arrays) -> AdamState:
    """Return the state before the first step: no steps taken, both means zero.

    Parameters
    ----------
    params : mapping of float32 or float64 arrays
        What will be learnt; any hashable keys.

    Returns
    -------
    AdamState
        With means of the shapes and dtypes of `params`.
    """
    for key, value in params.items():
        check_array("adam_init", f"params[{key!r}]", value)
    zeros = {key: np.zeros_like(value) for key, value in params.items()}
    return AdamState(0, zeros, dict(zeros))


def adam_resume(step: int, m: Arrays, v: Arrays, hyper: AdamHyper = DEFAULTS) -> AdamState:
    """Return the state after `step` steps from its recorded means.

    Parameters
    ----------
    step : int
        Steps taken, at least 0.
    m, v : mappings of arrays
        The recorded means.
    hyper : AdamHyper
        The constants of those steps; needed for the two running products.

    Returns
    -------
    AdamState
        With the bits of the state that took those steps.
    """
    check_int("adam_resume", "step", step, 0)
    power1 = power2 = 1.0
    for _ in range(step):
        power1, power2 = power1 * hyper.beta1, power2 * hyper.beta2
    return AdamState(step, dict(m), dict(v), power1, power2)


def adam_step(
    params: Arrays,
    grads: Arrays,
    state: AdamState,
    rates: float | Mapping[Any, float],
    hyper: AdamHyper = DEFAULTS,
) -> tuple[dict[Any, Array], AdamState]:
    """Return the parameters and the state after one step.

    Parameters
    ----------
    params : mapping of float32 or float64 arrays
        What is learnt.
    grads : mapping of arrays
        dL/dparams: the same keys, shapes and dtypes.
    state : AdamState
        From `adam_init` or the step before.
    rates : float or mapping of floats
        Learning rate, at least 0: one for all, or one for every key (more keys do no harm).
    hyper : AdamHyper
        The constants; those of the paper by default.

    Returns
    -------
    params : dict of arrays
        New arrays under the same keys, in the order of `params`.
    state : AdamState
        For the next step.

    Raises
    ------
    ValueError
        Keys or shapes that differ, a rate that is absent, negative or not finite.
    TypeError
        Arrays that are not float32 or float64, or unequal dtypes.
    """
    for argument, given in (("grads", grads), ("state.m", state.m), ("state.v", state.v)):
        _check_like(argument, given, params)
    power1, power2 = state.power1 * hyper.beta1, state.power2 * hyper.beta2
    b1, b2 = hyper.beta1, hyper.beta2
    m, v, moved = dict[Any, Array](), dict[Any, Array](), dict[Any, Array]()
    for key, value in params.items():  # asarray: arithmetic on arrays without axes gives scalars
        g = grads[key]
        m[key] = np.asarray(b1 * state.m[key] + (1.0 - b1) * g)
        v[key] = np.asarray(b2 * state.v[key] + (1.0 - b2) * (g * g))
        size = np.sqrt(v[key] / (1.0 - power2)) + hyper.eps
        moved[key] = np.asarray(value - _rate(rates, key) * (m[key] / (1.0 - power1)) / size)
    return moved, AdamState(state.step + 1, m, v, power1, power2)


def _rate(rates: float | Mapping[Any, float], key: Any) -> float:
    """Return the learning rate of one key as a Python float, which widens nothing."""
    if isinstance(rates, Mapping):
        if key not in rates:
            raise ValueError(complaint("adam_step", "rates", f"without {key!r}", "every key"))
        rates = rates[key]
    if not 0.0 <= rates < math.inf:
        expected = "a finite number from 0 on"
        raise ValueError(complaint("adam_step", f"rate of {key!r}", rates, expected))
    return float(rates)


def _check_like(argument: str, given: Arrays, params: Arrays) -> None:
    """Refuse a mapping whose keys, shapes or dtypes are not those of the parameters."""
    if given.keys() != params.keys():
        extra = sorted(map(repr, given.keys() ^ params.keys()))
        got = f"over other keys ({', '.join(extra[:4])})"
        raise ValueError(complaint("adam_step", argument, got, "the keys of params"))
    for key, value in params.items():
        check_array("adam_step", f"params[{key!r}]", value)
        check_operand("adam_step", f"{argument}[{key!r}]", given[key], value.shape, value.dtype)
