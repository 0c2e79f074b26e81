"""What the ops in JAX share: closed clips and straight-through values."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from validation.backends.common import LARGE

jax.config.update("jax_enable_x64", True)
Given = Mapping[str, Any]


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
