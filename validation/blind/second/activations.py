"""ReLU6 and global average pooling, each with wrong versions that an engineer could write."""

import numpy as np


def relu6(inputs, attrs, bug=""):
    """Clip to [0, 6] element by element; NaN stays NaN."""
    x = np.asarray(inputs["x"], float)
    if bug == "nan_to_zero":
        return {"y": np.fmin(np.fmax(x, 0.0), 6.0)}
    if bug == "nan_to_six":
        return {"y": np.where(x < 6.0, np.where(x > 0.0, x, 0.0), 6.0)}
    if bug == "mask_multiply":
        with np.errstate(invalid="ignore"):
            return {"y": np.minimum(x * (x > 0.0), 6.0)}
    y = np.minimum(np.maximum(x, 0.0), 6.0)
    if bug == "tail_unclipped":
        flat, source = y.reshape(-1).copy(), x.reshape(-1)
        tail = flat.size // 4 * 4
        flat[tail:] = np.maximum(source[tail:], 0.0)
        y = flat.reshape(x.shape)
    return {"y": y}


def relu6_backward(inputs, attrs, bug=""):
    """Pass the gradient strictly inside the clip."""
    x, d_y = np.asarray(inputs["x"], float), np.asarray(inputs["d_y"], float)
    inside = (x > 0.0) & (x < 6.0)
    if bug == "closed_at_zero":
        inside = (x >= 0.0) & (x < 6.0)
    elif bug == "closed_at_six":
        inside = (x > 0.0) & (x <= 6.0)
    elif bug == "nan_passes":
        inside = ~((x <= 0.0) | (x >= 6.0))
    elif bug == "mask_multiply":
        with np.errstate(invalid="ignore"):
            return {"d_x": d_y * inside}
    elif bug == "last_word_lost":
        flat = inside.reshape(-1).copy()
        if flat.size > 32:
            flat[flat.size // 32 * 32 :] = False
        inside = flat.reshape(x.shape)
    return {"d_x": np.where(inside, d_y, 0.0)}


def global_average_pool(inputs, attrs, bug=""):
    """The mean of every channel of every sample."""
    x = np.asarray(inputs["x"], float)
    n, c, h, w = x.shape
    flat, count = x.reshape(n, c, h * w), h * w
    if bug == "rows_squared":
        count = h * h
    elif bug == "last_warp_lost" and h * w > 32:
        flat = flat[..., : h * w // 32 * 32]
    elif bug == "running_mean":
        mean = np.zeros((n, c))
        with np.errstate(invalid="ignore"):
            for k in range(h * w):
                mean = mean + (flat[..., k] - mean) / (k + 1)
        return {"y": mean.reshape(n, c, 1, 1)}
    elif bug == "float32_sum":
        total = np.zeros((n, c), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(h * w):
                total = total + flat[..., k].astype(np.float32)
        return {"y": (total.astype(float) / count).reshape(n, c, 1, 1)}
    with np.errstate(invalid="ignore", over="ignore"):
        return {"y": (flat.sum(axis=-1) / count).reshape(n, c, 1, 1)}


def global_average_pool_backward(inputs, attrs, bug=""):
    """Spread every gradient evenly over its channel."""
    x, d_y = np.asarray(inputs["x"], float), np.asarray(inputs["d_y"], float)
    n, c, h, w = x.shape
    share = d_y.reshape(n, c, 1, 1) / (h * w)
    if bug == "rows_squared":
        share = d_y.reshape(n, c, 1, 1) / (h * h)
    elif bug == "reciprocal_16_bits":
        share = d_y.reshape(n, c, 1, 1) * (np.rint(65536 / (h * w)) / 65536)
    elif bug == "batch_channel_order":
        share = d_y.reshape(c, n, 1, 1).transpose(1, 0, 2, 3) / (h * w)
    d_x = np.broadcast_to(share, x.shape).copy()
    if bug == "tail_unwritten":
        d_x.reshape(n, c, h * w)[..., h * w // 4 * 4 :] = 0.0
    return {"d_x": d_x}


OPS = {
    "relu6": relu6,
    "relu6_backward": relu6_backward,
    "global_average_pool": global_average_pool,
    "global_average_pool_backward": global_average_pool_backward,
}

BUGS = [
    ("relu6", "nan_to_zero", "fmin and fmax drop NaN, which becomes 0"),
    ("relu6", "nan_to_six", "nested selects send NaN to the upper end, 6"),
    ("relu6", "mask_multiply", "x times the mask x > 0 turns -inf into NaN"),
    ("relu6", "tail_unclipped", "the scalar tail after blocks of four lacks the upper clip"),
    ("relu6_backward", "closed_at_zero", "the gradient passes at x = 0, pruned zeros included"),
    ("relu6_backward", "closed_at_six", "the gradient passes at x = 6"),
    ("relu6_backward", "nan_passes", "the mask is written as not outside, so NaN passes"),
    ("relu6_backward", "mask_multiply", "d_y times the mask: infinite d_y gives NaN outside"),
    (
        "relu6_backward",
        "last_word_lost",
        "a mask of 32-bit words loses the partial last word of more than 32 elements",
    ),
    ("global_average_pool", "rows_squared", "divides by h h, right for square maps only"),
    (
        "global_average_pool",
        "last_warp_lost",
        "maps of more than 32 pixels lose the pixels beyond the last full warp of 32",
    ),
    (
        "global_average_pool",
        "running_mean",
        "an incremental mean turns an infinity that others follow into NaN",
    ),
    ("global_average_pool", "float32_sum", "sums in float32, which cancellation and size expose"),
    ("global_average_pool_backward", "rows_squared", "divides by h h, right for square maps only"),
    (
        "global_average_pool_backward",
        "reciprocal_16_bits",
        "multiplies by 1 / (h w) rounded to 16 fractional bits, exact for powers of two",
    ),
    (
        "global_average_pool_backward",
        "batch_channel_order",
        "reads d_y as (c, n), right where n or c is 1",
    ),
    (
        "global_average_pool_backward",
        "tail_unwritten",
        "stores four pixels at once; the rest of a channel stays 0",
    ),
]
