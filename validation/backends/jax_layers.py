"""Layers and losses in JAX, forwards."""

import jax
import jax.numpy as jnp
from jax import lax

from validation.backends.jax_tools import Given


def conv2d(x: Given, a: Given) -> Given:
    """lax.conv_general_dilated takes asymmetric padding as it is."""
    top, left, bottom, right = a["padding"]
    y = lax.conv_general_dilated(
        x["x"], x["w"], a["stride"], [(top, bottom), (left, right)],
        rhs_dilation=a["dilation"], feature_group_count=a["groups"],
    )  # fmt: skip
    return {"y": y + x["bias"][:, None, None] if "bias" in x else y}


def linear(x: Given, a: Given) -> Given:
    """x w^T + bias."""
    y = x["x"] @ x["w"].T
    return {"y": y + x["bias"] if "bias" in x else y}


def bn_infer(x: Given, a: Given) -> Given:
    """gamma (x - mean) / sd + beta."""
    shape = (-1,) + (1,) * (x["x"].ndim - 2)
    gamma, beta, mean, var = (x[k].reshape(shape) for k in ("gamma", "beta", "mean", "var"))
    return {"y": gamma * (x["x"] - mean) / jnp.sqrt(var + a["eps"]) + beta}


def bn_fold(x: Given, a: Given) -> Given:
    """Into the filter and the bias before it."""
    scale = x["gamma"] / jnp.sqrt(x["var"] + a["eps"])
    w = x["w"] * scale.reshape((-1,) + (1,) * (x["w"].ndim - 1))
    return {"w_folded": w, "bias_folded": x["beta"] + (x.get("bias", 0.0) - x["mean"]) * scale}


def shared(x: jax.Array, a: Given) -> jax.Array:
    """Sum over the channels, mean over everything else."""
    return x.sum(a["channel_axis"]).mean()


def lp_rec_loss(x: Given, a: Given) -> Given:
    """|z - t|^p, whose derivative JAX has at 0 too if p is a whole number."""
    d = x["z"] - x["t"]
    away = jnp.abs(jnp.where(d == 0, 1.0, d)) ** a["p"]
    powers = jnp.where(d == 0, 0.0, away)
    return {"loss": shared(powers, a) if a["reduction"] == "channels" else powers.mean()}


def fisher_full(x: Given, a: Given) -> Given:
    """A matrix of rank one for each sample."""
    weighted = (jnp.abs(x["z"] - x["t"]) * x["g"]).reshape(len(x["z"]), -1)
    return {"loss": (weighted * weighted.sum(1, keepdims=True)).mean() / 100}


def kl_logits(x: Given, a: Given) -> Given:
    """From log_softmax."""
    log_z, log_t = (jax.nn.log_softmax(x[k] / a["temperature"]) for k in ("z", "t"))
    return {"loss": (jnp.exp(log_t) * (log_t - log_z)).sum(-1).mean()}


FORWARD = {
    "conv2d": conv2d,
    "linear": linear,
    "bn_infer": bn_infer,
    "bn_fold": bn_fold,
    "relu": lambda x, a: {"y": jax.nn.relu(x["x"])},
    "relu6": lambda x, a: {"y": jax.nn.relu6(x["x"])},
    "global_average_pool": lambda x, a: {"y": x["x"].mean((2, 3), keepdims=True)},
    "lp_rec_loss": lp_rec_loss,
    "fisher_diag": lambda x, a: {"loss": shared((x["z"] - x["t"]) ** 2 * x["g"] ** 2, a)},
    "fisher_full": fisher_full,
    "kl_logits": kl_logits,
}
