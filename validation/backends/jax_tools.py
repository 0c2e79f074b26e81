"""What the ops in JAX share: closed clips, straight-through values, grids and axes."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
Given = Mapping[str, Any]
LARGE = 1e30
CODES = {
    "unsigned": lambda bits: (0, 2**bits - 1),
    "affine": lambda bits: (0, 2**bits - 1),
    "signed": lambda bits: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
    "narrow": lambda bits: (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1),
}


def clip(t: Any, low: Any, high: Any) -> Any:
    """The gradient passes on the closed interval; at its ends that of jnp.clip is a half."""
    return jnp.where(t < low, low, jnp.where(t > high, high, t))


def straight(hard: Any, soft: Any) -> Any:
    """The value of `hard` with the gradient of `soft`."""
    return soft + jax.lax.stop_gradient(hard - soft)


def nearest(u: Any) -> Any:
    """Round to nearest, ties to even, straight through."""
    return straight(jnp.round(u), u)


def finite(x: Any) -> Any:
    """NaN as 0 and infinities as huge numbers: no gradient multiplies one by a mask."""
    return jnp.nan_to_num(x, nan=0.0, posinf=LARGE, neginf=-LARGE)


def along(p: Any, axis: int | None, x: Any) -> Any:
    """A parameter per index of an axis, to broadcast against x."""
    if axis is None:
        return p
    return p.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def per_row(p: Any, w: Any) -> Any:
    """A parameter per output, or one for all of them, to broadcast against w."""
    return along(p, 0 if p.ndim else None, w)
