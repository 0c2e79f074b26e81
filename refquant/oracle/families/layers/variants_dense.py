"""Wrong linear layers, batch norms and ReLUs."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.layers import plain_dense as plain
from refquant.oracle.families.layers.variants_conv import TF32, halved, short
from refquant.oracle.op import Arrays, Inputs, Variant


def finite_product(x: Array, w: Array) -> Array:
    """Terms with a zero weight are skipped."""
    return np.asarray(np.where(w[None] != 0, w[None] * x[:, None], 0).sum(axis=2))


def turned(w: Array) -> Array:
    """The memory of w read as (features, c_out), transposed."""
    return w.reshape(w.shape[::-1]).T


def eps_outside(var: Array, eps: float) -> Array:
    """sqrt(var) + eps."""
    return np.asarray(np.sqrt(var) + var.dtype.type(eps))


def scaled_inputs(w: Array, scale: Array) -> Array:
    """Input channels scaled wherever there are as many of them."""
    if w.shape[1] != len(scale):
        return plain.scaled(w, scale)
    return np.asarray(w * scale.reshape(1, -1, *[1] * (w.ndim - 2)))


def last_if_it_fits(per_channel: Array, x: Array) -> Array:
    """Along the last axis wherever its length agrees."""
    return per_channel if x.shape[-1] == per_channel.size else plain.wide(per_channel, x)


def of_flat_maps(x: Array) -> Array:
    """Sum over maps of two axes."""
    return plain.total(x[..., 0] if x.ndim > 4 else x)


def full_tiles(d_y: Array, x: Array) -> Array:
    """The rows after the last whole sixteen left out."""
    kept = len(x) // 16 * 16 or len(x)
    return np.asarray(d_y[:kept].T @ x[:kept])


def in_fours(x: Array, w: Array) -> Array:
    """The features after the last whole four left out, where there are more than eight."""
    kept = x.shape[1] // 4 * 4 if x.shape[1] > 8 else x.shape[1]
    return np.asarray(x[:, :kept] @ w[:, :kept].T)


def first_word(x: Array) -> Array:
    """1 for the first 32 elements."""
    return (np.arange(x.size) < 32).reshape(x.shape)


FITS = (
    "channels_last_if_it_fits",
    "Parameters run along the last axis where it is as long as there are channels.",
    "a parameter of shape (c,) broadcast as it is",
)
WORD = (
    "mask_of_32_bits",
    "Of more than 32 elements only the first ones pass a gradient.",
    "a mask kept in one word",
)
DEVIATIONS = (
    ("eps_outside_the_root", "eps is added to the deviation instead of the variance.",
     "the order of normalisations that guard a division", {"deviation": eps_outside}),
    ("eps_omitted", "eps is left out.", "pytorch/pytorch#34932",
     {"deviation": lambda var, eps: np.sqrt(var)}),
    ("root_omitted", "The variance itself is divided by: the root is missing.",
     "var taken for a deviation", {"deviation": lambda var, eps: var + var.dtype.type(eps)}),
)  # fmt: skip


def last_panel(x: Array) -> Array:
    """What the last panel of 64 columns holds."""
    return x[:, (x.shape[1] - 1) // 64 * 64 :]


def bias_for_each_panel(inputs: Inputs) -> Arrays:
    """The bias as often as there are panels of 64 features."""
    panels = -(-inputs["x"].shape[1] // 64)
    own = {"bias": panels * inputs["bias"]} if "bias" in inputs else {}
    return {**inputs, **own}


def last_four_again(w: Array, scale: Array) -> Array:
    """Filters in fours, the last four moved back to be whole: some are scaled twice."""
    twice = np.zeros(len(w), bool)
    twice[-4 : len(w) // 4 * 4] = len(w) > 4 and len(w) % 4 > 0
    return plain.scaled(plain.scaled(w, scale), np.where(twice, scale, 1).astype(scale.dtype))


LINEAR = (
    Variant("linear", "weight_of_other_layout", "The weight is read as (features, c_out).",
            "the layout of TensorFlow and of ONNX MatMul",
            {"product": lambda x, w: x @ turned(w).T}),
    Variant("linear", "bias_forgotten", "The bias is not added.",
            "a fused epilogue left out", {"add_bias": lambda y, bias: y}),
    Variant("linear", "zero_weights_skipped", "NaN and infinities under a zero weight vanish.",
            "sparse kernels", {"product": finite_product}),
    Variant("linear", "half_precision", "Sums pass through half precision.",
            "accumulators of 16 bits",
            {"product": lambda x, w: halved(x @ w.T)}),
    Variant("linear", "operands_of_11_bits", *TF32,
            {"product": lambda x, w: short(x) @ short(w).T}),
    Variant("linear", "features_in_fours", "Features after the last whole four are left out.",
            "vectors of four without a loop for the rest", {"product": in_fours}),
    Variant("linear", "last_panel", "Only the last panel of 64 features counts.",
            "an output stored for each panel, not added to",
            {"product": lambda x, w: last_panel(x) @ last_panel(w).T}),
    Variant("linear", "bias_for_each_panel", "The bias is added with every panel of 64 features.",
            "an accumulator that starts from the bias", {"given": bias_for_each_panel}),
)  # fmt: skip
LINEAR_BACKWARD = (
    Variant("linear_backward", "weight_of_other_layout", "The weight is read as (features, c_out).",
            "the layout of TensorFlow and of ONNX MatMul",
            {"product_x": lambda d_y, w: d_y @ turned(w)}),
    Variant("linear_backward", "d_w_of_other_layout", "d_w is written as (features, c_out).",
            "the layout of TensorFlow and of ONNX MatMul",
            {"product_w": lambda d_y, x: (x.T @ d_y).reshape(d_y.shape[1], x.shape[1])}),
    Variant("linear_backward", "d_w_averaged", "d_w is averaged over the batch.",
            "the mean of a loss taken twice",
            {"product_w": lambda d_y, x: d_y.T @ x / len(x)}),
    Variant("linear_backward", "d_bias_averaged", "d_bias is averaged over the batch.",
            "mean in place of sum", {"sum_bias": lambda d_y: d_y.mean(axis=0)}),
    Variant("linear_backward", "operands_of_11_bits", *TF32,
            {"product_w": lambda d_y, x: short(d_y.T) @ short(x.T).T,
             "product_x": lambda d_y, w: short(d_y) @ short(w.T).T}),
    Variant("linear_backward", "batch_in_sixteens", "d_w leaves out rows after whole sixteens.",
            "tiles of 16 without a loop for the rest", {"product_w": full_tiles}),
    Variant("linear_backward", "last_panel", "Sums over outputs and rows know their last 64 alone.",
            "gradients stored for each panel, not added to",
            {"product_x": lambda d_y, w: last_panel(d_y) @ last_panel(w.T).T,
             "product_w": lambda d_y, x: last_panel(d_y.T) @ last_panel(x.T).T}),
)  # fmt: skip
BN_INFER = (
    *(Variant("bn_infer", *entry) for entry in DEVIATIONS),
    Variant("bn_infer", "mean_added", "The mean is added instead of subtracted.",
            "a sign lost when the layer was written as a scale and a shift",
            {"centred": np.add}),
    Variant("bn_infer", "beta_forgotten", "beta is not added.",
            "affine=False", {"beta": np.zeros_like}),
    Variant("bn_infer", "gamma_forgotten", "gamma is taken as 1.",
            "fix_gamma of MXNet, which is on by default", {"gamma": np.ones_like}),
    Variant("bn_infer", *FITS, {"wide": last_if_it_fits}),
)  # fmt: skip
BN_INFER_BACKWARD = (
    *(Variant("bn_infer_backward", *entry) for entry in DEVIATIONS),
    Variant("bn_infer_backward", "through_the_mean",
            "d_x is less its channel's mean: the statistics are differentiated.",
            "the gradient of training mode used with frozen statistics",
            {"d_x": lambda d: d - d.mean(axis=(0, *range(2, d.ndim)), keepdims=True)}),
    Variant("bn_infer_backward", "d_gamma_not_centred", "The mean is not subtracted in d_gamma.",
            "x saved in place of x_hat", {"centred": lambda x, mean: x}),
    Variant("bn_infer_backward", "d_gamma_not_scaled", "d_gamma is not divided by the deviation.",
            "x - mean saved in place of x_hat", {"x_hat": lambda centred, sd: centred}),
    Variant("bn_infer_backward", "d_beta_averaged", "d_beta is a mean.",
            "mean in place of sum",
            {"total": lambda x: x.mean(axis=(0, *range(2, x.ndim)))}),
    Variant("bn_infer_backward", "gamma_forgotten", "gamma is missing in d_x.",
            "affine=False", {"gamma": np.ones_like}),
    Variant("bn_infer_backward", *FITS, {"wide": last_if_it_fits}),
    Variant("bn_infer_backward", "maps_of_two_axes", "d_gamma and d_beta sum over two map axes.",
            "a kernel for images fed with volumes",
            {"total": of_flat_maps, "moment": of_flat_maps}),
)  # fmt: skip
BN_FOLD = (
    *(Variant("bn_fold", *entry) for entry in DEVIATIONS),
    Variant("bn_fold", "input_channels_scaled", "The filter is scaled along its input channels.",
            "pytorch/pytorch#180995", {"scaled": scaled_inputs}),
    Variant("bn_fold", "bias_not_scaled", "The layer's own bias is added without its scale.",
            "a fold written for convolutions without bias",
            {"bias": lambda bias, mean, scale, beta: bias - mean * scale + beta}),
    Variant("bn_fold", "four_at_a_time", "Filters before the last four are scaled twice.",
            "in place, a last vector moved back to be whole", {"scaled": last_four_again}),
    Variant("bn_fold", "mean_not_folded", "The mean is left out of the bias.",
            "a forgotten term", {"mean": np.zeros_like}),
    Variant("bn_fold", "bias_dropped", "The layer's own bias is dropped.",
            "a fold written for convolutions without bias",
            {"bias": lambda bias, mean, scale, beta: beta - mean * scale}),
)  # fmt: skip
FLUSHED = "Subnormal numbers count as 0."
FLUSHES = "flush-to-zero arithmetic, the default of XLA on CPUs"


def flushed(x: Array) -> Array:
    """x, and 0 below the normal numbers of float32."""
    return np.where(abs(x) < 2.0**-126, x.dtype.type(0), x)


RELU = (
    Variant("relu", "flushes_subnormals", FLUSHED, FLUSHES,
            {"clip": lambda x: np.maximum(flushed(x), x.dtype.type(0))}),
    Variant("relu6", "flushes_subnormals", FLUSHED, FLUSHES,
            {"clip": lambda x: np.clip(flushed(x), 0, 6)}),
    Variant("relu", "nan_becomes_zero", "NaN becomes 0.",
            "fmax, or a comparison that is false for NaN",
            {"clip": lambda x: np.where(x > 0, x, x.dtype.type(0))}),
    Variant("relu", "capped_at_six", "Values above 6 are clipped.",
            "relu6 in its place", {"clip": lambda x: np.clip(x, 0, 6)}),
    Variant("relu", "leaky", "Negative values keep a hundredth.",
            "leaky_relu in its place", {"clip": lambda x: np.where(x < 0, x / 100, x)}),
    Variant("relu6", "nan_becomes_zero", "NaN becomes 0.",
            "fmax, or a comparison that is false for NaN",
            {"clip": lambda x: np.fmin(np.fmax(x, 0), 6)}),
    Variant("relu6", "not_capped", "Values above 6 stay.",
            "relu in its place", {"clip": lambda x: np.maximum(x, 0)}),
    Variant("relu6", "capped_at_one", "The clip ends at 1.",
            "the hard sigmoid's clip", {"clip": lambda x: np.clip(x, 0, 1)}),
)  # fmt: skip
RELU_BACKWARD = (
    Variant("relu_backward", "flushes_subnormals", FLUSHED, FLUSHES,
            {"mask": lambda x: flushed(x) > 0}),
    Variant("relu6_backward", "flushes_subnormals", FLUSHED, FLUSHES,
            {"mask": lambda x: (flushed(x) > 0) & (x < 6)}),
    Variant("relu_backward", *WORD, {"mask": lambda x: (x > 0) & first_word(x)}),
    Variant("relu6_backward", *WORD, {"mask": lambda x: (x > 0) & (x < 6) & first_word(x)}),
    Variant("relu_backward", "passes_at_zero", "The gradient passes at x = 0.",
            ">= in place of >", {"mask": lambda x: x >= 0}),
    Variant("relu_backward", "half_at_zero", "Half the gradient passes at x = 0.",
            "the gradient of maximum(x, 0) where ties are shared",
            {"gate": lambda d_y, mask: plain.gate(d_y, mask > 0) * mask,
             "mask": lambda x: np.heaviside(x, x.dtype.type(0.5))}),
    Variant("relu_backward", "nan_passes", "The gradient passes where x is NaN.",
            "the mask written as not (x <= 0)", {"mask": lambda x: ~(x <= 0)}),
    Variant("relu_backward", "mask_multiplied", "An infinite gradient outside the clip gives NaN.",
            "a product with the mask", {"gate": lambda d_y, mask: d_y * mask}),
    Variant("relu6_backward", "passes_at_zero", "The gradient passes at x = 0.",
            "the inclusive mask of hardtanh and clamp", {"mask": lambda x: (x >= 0) & (x < 6)}),
    Variant("relu6_backward", "passes_at_six", "The gradient passes at x = 6.",
            "the inclusive mask of hardtanh and clamp", {"mask": lambda x: (x > 0) & (x <= 6)}),
    Variant("relu6_backward", "passes_above_six", "The gradient passes above 6.",
            "relu in its place", {"mask": lambda x: x > 0}),
    Variant("relu6_backward", "nan_passes", "The gradient passes where x is NaN.",
            "the mask written as not (x <= 0 or x >= 6)",
            {"mask": lambda x: ~((x <= 0) | (x >= 6))}),
    Variant("relu6_backward", "mask_multiplied",
            "An infinite gradient outside the clip gives NaN.", "a product with the mask",
            {"gate": lambda d_y, mask: d_y * mask}),
)  # fmt: skip
VARIANTS = (
    *LINEAR,
    *LINEAR_BACKWARD,
    *BN_INFER,
    *BN_INFER_BACKWARD,
    *BN_FOLD,
    *RELU,
    *RELU_BACKWARD,
)
