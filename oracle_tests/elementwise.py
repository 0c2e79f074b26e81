"""Which outputs are elementwise, and the magnitude of the terms at which their ulps are counted.

ELEMENTWISE   {op: {output: terms}}: of one number of each input, at most four ulp. Where terms
              cancel, an ulp is that of their magnitudes: no float arithmetic is nearer.
UNROUNDED     of these, those that no float arithmetic rounds, which is why no golden has a bound:
              {op: {output: where its numbers come from}}
CHAINS        elementwise too, of two or three such numbers in a row: eight roundings, which are
              four ulp at the low end of a binade
COMPOSED      all the others, and what their bounds grow with
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Terms = Callable[[Mapping[str, Any], Mapping[str, Any], Any], Any]  # inputs, attrs, golden


def itself(x: Any, attrs: Any, y: Any) -> Any:
    """Nothing cancels."""
    return 0.0


def along(p: Any, axis: int | None, x: Any) -> Any:
    """A parameter beside x."""
    return p if axis is None else p.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def at_least(size: float) -> Terms:
    """A constant of the formula, or its largest value."""
    return lambda x, attrs, y: size


def offset(x: Any, attrs: Any, y: Any) -> Any:
    """|s q| + |o|."""
    o = along(x["offset"], attrs["axis"], x["x"])
    return np.abs(y - o) + np.abs(o)


def slope(x: Any, attrs: Any, y: Any) -> Any:
    """|d| 1.2, times s where there is one: sigma and 1 - sigma, from a tanh, are off as 1 is."""
    d = x.get("d_h", x.get("d_w_hat"))
    s = along(x["s"], 0 if x["s"].ndim else None, d) if "s" in x else 1.0
    return 1.2 * np.abs(d) * s


def steepness(x: Any, attrs: Any, y: Any) -> Any:
    """|d_e| kappa: sigma and 1 - sigma, as above."""
    return np.abs(x["d_e"]) * attrs["kappa"]


def level(x: Any, attrs: Any, y: Any) -> Any:
    """s (|floor(w / s)| + 1.2 + 0.1): h is a difference of these."""
    s = along(x["s"], 0 if x["s"].ndim else None, x["w"])
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(s * (np.abs(np.floor(x["w"] / s)) + 1.3))


def exponent(x: Any, attrs: Any, y: Any) -> Any:
    """|b1| + |b0 - b1| (1 + rel): 1 - rel, or 1 + cos, cancels."""
    end = attrs["total"] if attrs["arrive"] == "total" else attrs["total"] - 1
    end += attrs["first_step"] if attrs["arrive"] == "last" else 0
    begin = attrs["warm_up"] * attrs["total"]
    rel = np.abs(x["t"] - begin) / max(end - begin, 1)
    return abs(attrs["end"]) + abs(attrs["start"] - attrs["end"]) * (1 + rel * np.pi)


def changed_norm(x: Any, attrs: Any, y: Any) -> Any:
    """|beta| + |beta0| + |bias - mean| (|gamma| + |gamma0|) / sd, and for eta and xi alike."""
    shift = np.abs(x.get("beta", x.get("eta"))) + np.abs(x["beta0"])
    gamma = np.abs(x["gamma"] if "gamma" in x else x["xi"] * x["gamma0"])
    from_mean = np.abs(x.get("bias", np.zeros(1))) + np.abs(x["mean"])
    return shift + from_mean * (gamma + np.abs(x["gamma0"])) / x["sd"]


def distance(x: Any, attrs: Any, y: Any) -> Any:
    """|low| and |high| over the threshold, or 1."""
    return np.maximum(1.0, (np.abs(x["low"]) + np.abs(x["high"])) / attrs["threshold"])


def difference(x: Any, attrs: Any, y: Any) -> Any:
    """The slope at the error, times |z| + |t| in its place."""
    error = np.abs(x["z"] - x["t"])
    terms = np.abs(y) * (np.abs(x["z"]) + np.abs(x["t"]))
    return np.where(error > 0, terms, 0) / np.where(error > 0, error, 1)


def border(x: Any, attrs: Any, y: Any) -> Any:
    """1/2 and both quotients, whose divisor w + d_w cancels; 1/2 alone where it is 0."""
    whole, parts = np.abs(x["w"] + x["d_w"]), np.abs(x["w"]) + np.abs(x["d_w"])
    above = np.abs(x["d_w"] * x["x_prime"]) + np.abs(x["w"] * x["e"])
    return 0.5 + np.where(whole > 0, above * parts, 0) / np.where(whole > 0, whole * whole, 1)


def mixed(x: Any, attrs: Any, y: Any) -> Any:
    """|share x| + |(1 - share) x_q|."""
    return np.abs(x["share"] * x["x"]) + np.abs((1 - x["share"]) * x["x_q"])


def polynomial(x: Any, attrs: Any, y: Any) -> Any:
    """|b2 u^2| + |b1 u| + |b0|."""
    b0, b1, b2 = (np.abs(x.get(n, 0 * x["b0"]))[None, :, :, None] for n in ("b0", "b1", "b2"))
    return b2 * x["u"] ** 2 + b1 * np.abs(x["u"]) + b0


def normalised(x: Any, attrs: Any, y: Any) -> Any:
    """|gamma / sd| (|x| + |mean|) + |beta|: x - mean cancels, and so does the sum with beta."""
    gamma, beta, mean, var = (
        x[name].reshape(-1, *[1] * (x["x"].ndim - 2)) for name in ("gamma", "beta", "mean", "var")
    )
    scale = np.abs(gamma) / np.sqrt(var + attrs["eps"])
    return scale * (np.abs(x["x"]) + np.abs(mean)) + np.abs(beta)


def folded_bias(x: Any, attrs: Any, y: Any) -> Any:
    """|gamma / sd| (|b| + |mean|) + |beta|."""
    scale = np.abs(x["gamma"]) / np.sqrt(x["var"] + attrs["eps"])
    bias = np.abs(x.get("bias", np.zeros(1)))
    return scale * (bias + np.abs(x["mean"])) + np.abs(x["beta"])


ELEMENTWISE: dict[str, dict[str, Terms]] = {
    "round": {"y": itself},
    "border_round": {"y": itself},
    "fake_quant": {"y": itself},
    "fake_quant_backward": {"d_x": itself},
    "lsqplus_int": {"y": itself},
    "lsqplus_int_backward": {"d_x": itself},
    "lsqplus_real": {"y": offset},
    "lsqplus_real_backward": {"d_x": itself},
    "adaquant_quant": {"y": itself},
    "adaquant_quant_backward": {"d_x": itself},
    "logsqrt2_quant": {"y": itself},
    "range_to_qparams": {"s": itself},
    "bn_fold": {"w_folded": itself},
    "relu": {"y": itself},
    "relu_backward": {"d_x": itself},
    "relu6": {"y": itself},
    "relu6_backward": {"d_x": itself},
    "global_average_pool_backward": {"d_x": itself},
    "rect_sigmoid": {"h": at_least(1.2)},
    "cosine_lr": {"rate": at_least(1.0)},
    "beta_schedule": {"beta": exponent},
    "fisher_diag_backward": {"d_z": difference},
    "border_eq7": {"border": border},
    "border_poly": {"p": polynomial},
    "border_bound": {"e": at_least(4.0)},  # kappa times a sigmoid
    "round_schedule": {"a": at_least(1.0)},
    "qdrop_mix": {"y": itself},
    "qdrop_mix_backward": {"d_x": itself, "d_x_q": itself},
    "amixup": {"y": mixed},
    "amixup_backward": {"d_x": itself, "d_x_q": itself},
    "adaqt_fold": {"st": itself, "bt": itself},
    "bn_to_xieta": {"xi": itself, "eta": changed_norm},
    "xieta_to_bn": {"gamma": itself, "beta": changed_norm},
    "cle_scale": {"scale": itself},
    "osplus_shift_scale": {"shift": itself, "scale": distance},
}
WHOLE = ()  # levels: whole numbers, of which float32 holds what the inputs make
UNROUNDED: dict[str, dict[str, tuple[str | float, ...]]] = {
    "round": {"y": WHOLE},
    "border_round": {"y": WHOLE},
    "relu": {"y": ("x", 0.0)},
    "relu_backward": {"d_x": ("d_y", 0.0)},
    "relu6": {"y": ("x", 0.0, 6.0)},
    "relu6_backward": {"d_x": ("d_y", 0.0)},
    "qdrop_mix": {"y": ("x", "x_q")},
    "qdrop_mix_backward": {"d_x": ("d_y", 0.0), "d_x_q": ("d_y", 0.0)},
}
CHAINS: dict[str, dict[str, Terms]] = {
    "bn_infer": {"y": normalised},
    "bn_infer_backward": {"d_x": itself},
    "bn_fold": {"bias_folded": folded_bias},
    "rect_sigmoid_backward": {"d_alpha": slope},
    "adaround_weight": {"w_hat": level},
    "adaround_weight_backward": {"d_alpha": slope},
    "border_bound_backward": {"d_p": steepness},
}
# What the bounds of all other float outputs grow with; ops in full but for the outputs above.
COMPOSED = {
    "the length of a sum, or of a product": (
        "fake_quant_backward lsqplus_int_backward lsqplus_real_backward adaquant_quant_backward"
        " ema_observer avg_observer mse_search lloyd_scale lsq_init lsqplus_init kl_scale_amct"
        " kl_scale_trt col2im conv2d conv2d_backward linear linear_backward bn_infer_backward"
        " average_pool average_pool_backward global_average_pool round_reg lp_rec_loss fisher_diag"
        " fisher_full fisher_full_backward kl_logits kl_logits_backward qubo_build qubo_energy"
        " qubo_exact qubo_1flip gram_loss bit_alloc_exact border_shared_closed border_fuse"
        " border_fuse_backward aquant_quant aquant_quant_backward adaqt adaqt_backward adaqt_ols"
        " a_rounding squant_weight bias_correct asoftmax asoftmax_backward repq_reparam"
    ),
    "a power or logarithm of a number that is rounded": (
        "round_reg_backward adaround_init_alpha lp_rec_loss_backward smoothquant_scale"
    ),
    "t: 1 - beta^t, and beta itself": "adam_step",
    "all of these, in a step of learning": "adaround_step aquant_step adaqt_step qdrop_step",
    "nothing: chosen from the inputs, rounded once": (
        "minmax_observer percentile_range im2col max_pool max_pool_backward"
    ),
}
