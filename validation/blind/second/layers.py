"""Linear layers, batch norm and ReLU: right versions and wrong ones of a port."""

import numpy as np


def _f(inputs, *names):
    """Fetch inputs in float64."""
    return [np.asarray(inputs[k], np.float64) for k in names]


def linear(inputs, attrs, bug=""):
    """Multiply by a matrix and add a bias."""
    x, w = _f(inputs, "x", "w")
    if bug == "square_weight_transposed" and w.shape[0] == w.shape[1]:
        w = w.T
    if bug == "features_in_fours" and x.shape[1] > 4:
        kept = x.shape[1] // 4 * 4
        x, w = x[:, :kept], w[:, :kept]
    y = x @ w.T
    if bug == "float32_sum":
        products = (x[:, None, :] * w[None, :, :]).astype(np.float32)
        y = products.cumsum(axis=-1, dtype=np.float32)[..., -1].astype(np.float64)
    if inputs.get("bias") is not None:
        bias = np.asarray(inputs["bias"], np.float64)
        if bug == "bias_along_batch" and y.shape[0] == y.shape[1]:
            bias = bias[:, None]
        y = y + bias
    return {"y": y}


def linear_backward(inputs, attrs, bug=""):
    """Give the gradients of a linear layer."""
    d_y, x, w = _f(inputs, "d_y", "x", "w")
    d_x = d_y @ (w.T if bug == "square_weight_transposed" and w.shape[0] == w.shape[1] else w)
    d_w = d_y.T @ x
    if bug == "mean_over_batch":
        d_w = d_w / len(x)
    elif bug == "batch_in_tiles" and len(x) > 16:
        kept = len(x) // 16 * 16
        d_w = d_y[:kept].T @ x[:kept]
    d_bias = d_y.sum(axis=1 if bug == "bias_over_outputs" and d_y.shape[0] == d_y.shape[1] else 0)
    return {"d_x": d_x, "d_w": d_w, "d_bias": d_bias}


def _channel(v, x, bug=""):
    """Shape a channel's parameters so that they broadcast over x."""
    if bug == "channels_last_if_it_fits" and x.shape[-1] == v.size:
        return v
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _sd(var, attrs, bug):
    """Give the deviation of frozen statistics."""
    eps = 1e-5 if bug == "eps_ignored" else attrs["eps"]
    if bug == "eps_outside":
        return np.sqrt(var) + eps
    if bug == "eps_as_floor":
        return np.sqrt(np.maximum(var, eps))
    return np.sqrt(var + eps)


def bn_infer(inputs, attrs, bug=""):
    """Normalise every channel with frozen statistics."""
    x, gamma, beta, mean, var = _f(inputs, "x", "gamma", "beta", "mean", "var")
    sd = _sd(var, attrs, bug)
    if bug == "float32_shift":
        scale = (gamma / sd).astype(np.float32)
        shift = beta.astype(np.float32) - mean.astype(np.float32) * scale
        y = _channel(scale, x) * x.astype(np.float32) + _channel(shift, x)
        return {"y": y.astype(np.float64)}
    gamma, beta, mean, sd = (_channel(v, x, bug) for v in (gamma, beta, mean, sd))
    return {"y": gamma * (x - mean) / sd + beta}


def bn_infer_backward(inputs, attrs, bug=""):
    """Give the gradients of a batch norm whose statistics are constants."""
    d_y, x, gamma, mean, var = _f(inputs, "d_y", "x", "gamma", "mean", "var")
    sd = _sd(var, attrs, bug)
    d_x = d_y * _channel(gamma, x, bug) / _channel(sd, x, bug)
    rows = np.moveaxis(d_y, 1, 0).reshape(x.shape[1], x.shape[0], -1)
    values = np.moveaxis(x, 1, 0).reshape(rows.shape)
    if bug == "two_map_axes" and x.ndim > 4:
        extent = x.shape[2] * x.shape[3]
        rows, values = rows[..., :extent], values[..., :extent]
    centred = (values - mean[:, None, None]) / sd[:, None, None]
    if bug == "gamma_without_eps":
        with np.errstate(divide="ignore", invalid="ignore"):
            centred = (values - mean[:, None, None]) / np.sqrt(var)[:, None, None]
    d_gamma = (rows * centred).sum(axis=(1, 2))
    if bug == "float32_moments":
        first = (rows * values).astype(np.float32).sum(axis=(1, 2))
        second = rows.astype(np.float32).sum(axis=(1, 2))
        d_gamma = (first - mean.astype(np.float32) * second).astype(np.float64) / sd
    return {"d_x": d_x, "d_gamma": d_gamma, "d_beta": rows.sum(axis=(1, 2))}


def bn_fold(inputs, attrs, bug=""):
    """Fold a batch norm into the convolution or linear layer before it."""
    w, gamma, beta, mean, var = _f(inputs, "w", "gamma", "beta", "mean", "var")
    factor = gamma / _sd(var, attrs, bug)
    if bug == "dead_channel_kept":
        factor = np.where(var == 0, gamma, factor)
    shape = (-1,) + (1,) * (w.ndim - 1)
    if bug == "input_channels_scaled" and w.ndim > 1 and w.shape[1] == w.shape[0]:
        shape = (1, -1) + (1,) * (w.ndim - 2)
    if inputs.get("bias") is None:
        shifted = beta if bug == "mean_needs_bias" else beta - factor * mean
    else:
        bias = np.asarray(inputs["bias"], np.float64)
        shifted = beta + factor * (bias - mean)
        if bug == "bias_not_scaled":
            shifted = beta + bias - factor * mean
    return {"w_folded": w * factor.reshape(shape), "bias_folded": shifted}


def relu(inputs, attrs, bug=""):
    """Clip, element by element; NaN stays NaN."""
    (x,) = _f(inputs, "x")
    with np.errstate(invalid="ignore"):
        y = np.maximum(x, 0.0)
        if bug == "nan_lost":
            y = np.fmax(x, 0.0)
        elif bug == "multiplies_by_mask":
            y = x * (x > 0)
        elif bug == "six":
            y = np.minimum(y, 6.0)
        elif bug == "flushes_subnormals":
            y = np.where(y < np.finfo(np.float32).tiny, 0.0, y)
    return {"y": np.asarray(y)}


def relu_backward(inputs, attrs, bug=""):
    """Pass the gradient where x > 0."""
    d_y, x = _f(inputs, "d_y", "x")
    mask = x > 0
    if bug == "closed_at_zero":
        mask = x >= 0
    elif bug == "nan_passes":
        mask = ~(x <= 0)
    elif bug == "mask_of_half":
        with np.errstate(over="ignore"):
            mask = x.astype(np.float16) > 0
    with np.errstate(invalid="ignore"):
        d_x = d_y * mask if bug == "multiplies_by_mask" else np.where(mask, d_y, 0.0)
    return {"d_x": np.asarray(d_x)}


OPS = {
    "linear": linear,
    "linear_backward": linear_backward,
    "bn_infer": bn_infer,
    "bn_infer_backward": bn_infer_backward,
    "bn_fold": bn_fold,
    "relu": relu,
    "relu_backward": relu_backward,
}
BUGS = [
    ("linear", "square_weight_transposed", "a square weight is used transposed"),
    ("linear", "features_in_fours", "features after the last whole four are left out"),
    ("linear", "float32_sum", "products are added up in float32, one by one"),
    ("linear", "bias_along_batch", "bias broadcasts along the batch where n = c_out"),
    ("linear_backward", "square_weight_transposed", "d_x uses a square weight transposed"),
    ("linear_backward", "mean_over_batch", "d_w is a mean over the batch"),
    ("linear_backward", "batch_in_tiles", "d_w leaves out what follows the last whole 16 rows"),
    ("linear_backward", "bias_over_outputs", "d_bias sums over outputs where n = c_out"),
    ("bn_infer", "eps_outside", "eps is added to the deviation, not to the variance"),
    ("bn_infer", "eps_ignored", "eps is 1e-5 whatever was asked for"),
    ("bn_infer", "eps_as_floor", "the variance is bounded by eps from below"),
    ("bn_infer", "float32_shift", "scale x + shift in float32 cancels for large means"),
    ("bn_infer", "channels_last_if_it_fits", "parameters go along the last axis if sizes agree"),
    ("bn_infer_backward", "eps_ignored", "eps is 1e-5 whatever was asked for"),
    ("bn_infer_backward", "gamma_without_eps", "d_gamma divides by sqrt(var)"),
    ("bn_infer_backward", "two_map_axes", "sums know two axes of a map, not three"),
    ("bn_infer_backward", "float32_moments", "d_gamma from float32 sums that cancel"),
    ("bn_infer_backward", "channels_last_if_it_fits", "gamma and sd go along the last axis in d_x"),
    ("bn_fold", "mean_needs_bias", "without a bias the mean is forgotten"),
    ("bn_fold", "bias_not_scaled", "the bias is added without gamma / sd"),
    ("bn_fold", "input_channels_scaled", "w is scaled along axis 1 where sizes agree"),
    ("bn_fold", "dead_channel_kept", "where var = 0 nothing is divided"),
    ("bn_fold", "eps_ignored", "eps is 1e-5 whatever was asked for"),
    ("relu", "nan_lost", "NaN gives 0"),
    ("relu", "multiplies_by_mask", "x times a mask makes -infinity NaN"),
    ("relu", "six", "values above 6 are clipped"),
    ("relu", "flushes_subnormals", "values below float32's smallest normal give 0"),
    ("relu_backward", "closed_at_zero", "the gradient passes at 0"),
    ("relu_backward", "nan_passes", "the gradient passes where x is NaN"),
    ("relu_backward", "mask_of_half", "x is saved in half precision, where small x are 0"),
    ("relu_backward", "multiplies_by_mask", "an infinite d_y gives NaN outside"),
]
