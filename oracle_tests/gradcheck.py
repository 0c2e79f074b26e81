"""Central differences: the second opinion on every analytic gradient of the library.

For f: array -> float and its claimed gradient d_x at x,

    (f(x + h v) - f(x - h v)) / (2 h)  ==  sum(v * d_x)      up to rtol, atol

along every unit vector v when x is small, else along some unit vectors spread over x and some
dense random directions (a dense direction sees every entry at once, a unit vector names the
entry that is wrong). The directions are the same on every run.

The check says nothing on a kink, where the two-sided slope is the mean of the one-sided ones:
keep x away from kinks (by more than eps times max(1, |x|)) and test kinks by value. It also
cannot see a value and its gradient being wrong together: pair it with a value test.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from refquant._types import Array

SMALL = 128  # up to this many entries each one is perturbed on its own
ENTRIES, DIRECTIONS = 32, 6  # probes of a larger array


def check_gradient(
    f: Callable[[Array], float],
    x: Array,
    d_x: Array,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    eps: float = 1e-6,
    name: str = "",
) -> None:
    """Raise AssertionError unless `d_x` is the gradient of `f` at `x`.

    Parameters
    ----------
    f : callable
        Maps an array shaped like `x` to a float.
    x : float64 array
        The point. It is never mutated; `f` gets its own copies.
    d_x : float64 array
        The analytic gradient, same shape as `x`.
    rtol, atol : float
        Accepted: |analytic - numeric| <= atol + rtol * max(|analytic|, |numeric|).
    eps : float
        Step, relative to max(1, |x|).
    name : str
        What the failure message calls the function.
    """
    name = name or getattr(f, "__name__", "f")
    if x.dtype != np.float64 or d_x.dtype != np.float64:
        raise AssertionError(f"{name}: float64 needed, got x {x.dtype} and d_x {d_x.dtype}")
    if d_x.shape != x.shape:
        raise AssertionError(f"{name}: gradient has shape {d_x.shape}, x has {x.shape}")
    failures = []
    probes = 0
    for label, direction, step in _probes(x, eps):
        probes += 1
        numeric = _slope(f, x, direction, step)
        analytic = float((direction * d_x).sum())
        allowed = atol + rtol * max(abs(analytic), abs(numeric))
        if not abs(analytic - numeric) <= allowed:  # so that NaN fails
            error = abs(analytic - numeric)
            failures.append(
                f"  {label}: analytic {analytic!r}, numeric {numeric!r}, "
                f"difference {error:.3g}, allowed {allowed:.3g}"
            )
    if failures:
        head = f"{name}: gradient differs from central differences at {len(failures)} of {probes}"
        raise AssertionError("\n".join([f"{head} probes (shape {x.shape})", *failures[:8]]))


def check_gradients(
    value: Callable[[dict[Any, Array]], float],
    state: dict[Any, Array],
    grads: Mapping[Any, Array],
    name: str,
) -> None:
    """`check_gradient` of a function of several arrays by every one of them, none of them all 0."""
    for key, d_value in grads.items():
        assert np.any(d_value != 0.0), f"{name} {key}"
        check_gradient(
            lambda v, key=key: value({**state, key: np.asarray(v)}),
            state[key],
            np.asarray(d_value),
            rtol=2e-6,
            name=f"{name} {key}",
        )


def _probes(x: Array, eps: float) -> Iterator[tuple[str, Array, float]]:
    """(label, direction, step) of every line along which the slope is compared."""
    spread = np.unique(np.linspace(0, x.size - 1, min(x.size, ENTRIES)).round().astype(int))
    for flat in range(x.size) if x.size <= SMALL else spread:
        index = tuple(int(i) for i in np.unravel_index(flat, x.shape))
        unit = np.zeros(x.shape)
        unit[index] = 1.0
        yield f"index {index}", unit, eps * max(1.0, abs(float(x[index])))
    if x.size > SMALL:
        rng = np.random.default_rng(20240229)
        for number in range(DIRECTIONS):
            direction = rng.standard_normal(x.shape)
            direction /= np.sqrt((direction * direction).sum())
            yield f"random direction {number}", direction, eps * max(1.0, float(np.abs(x).max()))


def _slope(f: Callable[[Array], float], x: Array, direction: Array, step: float) -> float:
    """The central difference of f along `direction`, a vector of length one."""
    up, down = x + step * direction, x - step * direction
    # The step really taken differs from the one asked for by the rounding of x + step.
    taken = float(((up - down) * direction).sum())
    return (_value(f, up) - _value(f, down)) / taken


def _value(f: Callable[[Array], float], x: Array) -> float:
    """f(x), which must be one number."""
    value = np.asarray(f(x))
    if value.size != 1:
        raise AssertionError(f"f must return one number, got shape {value.shape}")
    return float(value.reshape(()))
