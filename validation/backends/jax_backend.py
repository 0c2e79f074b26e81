"""JAX as a backend, on the CPU; gradients by its own `vjp`.

refquant verify validation.backends.jax_backend:Jax32
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refquant import oracle
from validation.backends import jax_layers, jax_outputs, jax_quantizers
from validation.backends.common import Arrays, only

FORWARD: dict[str, Callable[[Any, Arrays], Any]] = {
    **jax_quantizers.FORWARD,
    **jax_layers.FORWARD,
    **jax_outputs.FORWARD,
}
SCALED = ("s", "zero_point", "offset")
UNGIVEN: dict[str, Callable[[Arrays], Arrays]] = {  # their gradients need no value
    "conv2d_backward": lambda x: {"bias": jnp.zeros(len(x["w"]), x["w"].dtype)},
    "linear_backward": lambda x: {"bias": jnp.zeros(len(x["w"]), x["w"].dtype)},
    "bn_infer_backward": lambda x: {"beta": jnp.zeros_like(x["gamma"])},
    "qdrop_mix_backward": lambda x: {k: jnp.zeros_like(x["d_y"]) for k in ("x", "x_q")},
    "amixup_backward": lambda x: {k: jnp.zeros_like(x["d_y"]) for k in ("x", "x_q")},
}


class Jax:
    """What is short enough to write in one arithmetic."""

    profile = "any"

    def __init__(self, dtype: str) -> None:
        self.name, self.dtype = f"JAX {jax.__version__}, {dtype}", dtype

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Look the op up, forwards or backwards."""
        name = op.removesuffix("_backward")
        only(name in FORWARD, f"no {op}")
        x = {k: jnp.asarray(np.ascontiguousarray(v)) for k, v in inputs.items()}
        x |= {k: v.reshape(()) for k, v in x.items() if not np.ndim(inputs[k])}
        found = FORWARD[op](x, attrs) if name == op else gradients(FORWARD[name], op, x, attrs)
        return {k: np.asarray(v) for k, v in found.items()}


def gradients(forward: Callable[..., Arrays], op: str, x: Any, attrs: Arrays) -> Arrays:
    """What vjp gives for the inputs that the op differentiates by."""
    x = x | UNGIVEN.get(op, lambda x: {})(x)
    names = [output.name.removeprefix("d_") for output in oracle.ops()[op].outputs]
    start = {k: x.pop(k) for k in list(x) if k.startswith("d_")}

    def value(leaves: Arrays) -> Any:
        outputs = forward({**x, **leaves}, attrs)
        (wanted,) = (k.removeprefix("d_") for k in start) if start else outputs
        return outputs[wanted]

    y, pull = jax.vjp(value, {k: x[k] for k in names if k in x})
    (found,) = pull(next(iter(start.values()), jnp.ones_like(y)))
    scale = attrs.get("grad_scale", 1.0)
    return {f"d_{k}": v * scale if k in SCALED else v for k, v in found.items()}


Jax64, Jax32 = Jax("float64"), Jax("float32")
