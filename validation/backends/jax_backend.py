"""JAX as a backend, on the CPU; gradients by its own `vjp`.

refquant verify validation.backends.jax_backend:Jax32
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from validation.backends.common import Arrays, only

jax.config.update("jax_enable_x64", True)
ROUND = {"rint": jnp.round, "floor": jnp.floor, "ceil": jnp.ceil}


class Jax:
    """Rounding, clips, layers, losses and Adam's neighbours."""

    def __init__(self, dtype: str) -> None:
        self.name, self.dtype = f"JAX {jax.__version__}, {dtype}", dtype
        self.profile = {"edge": "inclusive"}

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Look the op up, forwards or backwards."""
        name = op.removesuffix("_backward")
        only(name in FORWARD, f"no {op}")
        x = {k: jnp.asarray(np.ascontiguousarray(v)) for k, v in inputs.items()}
        x |= {k: v.reshape(()) for k, v in x.items() if not np.ndim(inputs[k])}
        if name == op:
            return {k: np.asarray(v) for k, v in FORWARD[op](x, attrs).items()}
        output, wanted = BACKWARD[op]
        if "bias" in wanted:
            x["bias"] = jnp.zeros(x["w"].shape[0], x["w"].dtype)
        leaves = {k: x[k] for k in wanted}
        y, pull = jax.vjp(lambda given: FORWARD[name]({**x, **given}, attrs)[output], leaves)
        (found,) = pull(x.get(f"d_{output}", jnp.ones_like(y)))
        return {f"d_{k}": np.asarray(v) for k, v in found.items()}


def round_(x: Arrays, a: Arrays) -> Arrays:
    """jnp.round goes to even."""
    only(a["mode"] in ROUND, f"no {a['mode']}")
    return {"y": ROUND[a["mode"]](x["x"])}


def conv2d(x: Arrays, a: Arrays) -> Arrays:
    """lax.conv_general_dilated takes asymmetric padding as it is."""
    top, left, bottom, right = a["padding"]
    y = lax.conv_general_dilated(
        x["x"], x["w"], a["stride"], [(top, bottom), (left, right)],
        rhs_dilation=a["dilation"], feature_group_count=a["groups"],
    )  # fmt: skip
    return {"y": y + x["bias"][:, None, None] if "bias" in x else y}


def linear(x: Arrays, a: Arrays) -> Arrays:
    """x w^T + bias."""
    y = x["x"] @ x["w"].T
    return {"y": y + x["bias"] if "bias" in x else y}


def rect_sigmoid(x: Arrays, a: Arrays) -> Arrays:
    """The stretched sigmoid; where() keeps the closed interval that jnp.clip halves."""
    t = jax.nn.sigmoid(x["alpha"]) * 1.2 - 0.1
    return {"h": jnp.where(t < 0, 0.0, jnp.where(t > 1, 1.0, t))}


def lp_rec_loss(x: Arrays, a: Arrays) -> Arrays:
    """The mean over all axes but the channels' of |z - t|^p."""
    only(a["p"] == 2, "p = 2")
    square = (x["z"] - x["t"]) ** 2
    axis = square.ndim - 1 if a["channel_axis"] == -1 else a["channel_axis"]
    return {"loss": square.mean() * (square.shape[axis] if a["reduction"] == "channels" else 1)}


def kl_logits(x: Arrays, a: Arrays) -> Arrays:
    """From log_softmax."""
    log_z, log_t = (jax.nn.log_softmax(x[k] / a["temperature"]) for k in ("z", "t"))
    return {"loss": (jnp.exp(log_t) * (log_t - log_z)).sum(-1).mean()}


FORWARD: dict[str, Callable[[Arrays, Arrays], Any]] = {
    "round": round_,
    "conv2d": conv2d,
    "linear": linear,
    "rect_sigmoid": rect_sigmoid,
    "relu": lambda x, a: {"y": jax.nn.relu(x["x"])},
    "relu6": lambda x, a: {"y": jax.nn.relu6(x["x"])},
    "global_average_pool": lambda x, a: {"y": x["x"].mean((2, 3), keepdims=True)},
    "lp_rec_loss": lp_rec_loss,
    "kl_logits": kl_logits,
}
BACKWARD = {
    "conv2d_backward": ("y", ("x", "w", "bias")),
    "linear_backward": ("y", ("x", "w", "bias")),
    "rect_sigmoid_backward": ("h", ("alpha",)),
    "relu_backward": ("y", ("x",)),
    "relu6_backward": ("y", ("x",)),
    "global_average_pool_backward": ("y", ("x",)),
    "lp_rec_loss_backward": ("loss", ("z",)),
    "kl_logits_backward": ("loss", ("z",)),
}
Jax64, Jax32 = Jax("float64"), Jax("float32")
