"""ReLU6 and pooling as ported to a tensor framework, each op with its plausible mistakes."""

import numpy as np


def relu6(inputs, attrs, bug=""):
    """Clip to 0 .. 6; NaN stays NaN."""
    x = np.asarray(inputs["x"], np.float64)
    if bug == "number_minimum":
        return {"y": np.fmin(np.fmax(x, 0.0), 6.0)}
    if bug == "difference_of_relus":
        with np.errstate(invalid="ignore"):
            return {"y": np.maximum(x, 0.0) - np.maximum(x - 6.0, 0.0)}
    return {"y": np.minimum(np.maximum(x, 0.0), 6.0)}


def relu6_backward(inputs, attrs, bug=""):
    """Pass the gradient strictly between 0 and 6."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    if bug == "clamp_mask":
        return {"d_x": np.where((x >= 0) & (x <= 6), d_y, 0.0)}
    if bug == "mask_multiplies":
        with np.errstate(invalid="ignore"):
            return {"d_x": d_y * ((x > 0) & (x < 6))}
    if bug == "mask_of_clipped":
        return {"d_x": np.where((x <= 0) | (x >= 6), 0.0, d_y)}
    return {"d_x": np.where((x > 0) & (x < 6), d_y, 0.0)}


def axis_taps(out, kernel, stride, low, dilation):
    """Positions on the map of every tap of every window along one axis: (out, kernel)."""
    return np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - low


def out_size(size, kernel, stride, low, high, dilation):
    """Number of windows along one axis."""
    return (size + low + high - dilation * (kernel - 1) - 1) // stride + 1


def window_taps(shape, attrs):
    """Rows (h_o, k_h) and columns (w_o, k_w) of the taps of every window."""
    (k_h, k_w), (s_h, s_w), (d_h, d_w) = attrs["kernel"], attrs["stride"], attrs["dilation"]
    top, left, bottom, right = attrs["padding"]
    h_o = out_size(shape[2], k_h, s_h, top, bottom, d_h)
    w_o = out_size(shape[3], k_w, s_w, left, right, d_w)
    return axis_taps(h_o, k_h, s_h, top, d_h), axis_taps(w_o, k_w, s_w, left, d_w)


def inside(rows, cols, shape):
    """Whether the taps lie on the map: (h_o, w_o, taps)."""
    row_in = (rows >= 0) & (rows < shape[2])
    col_in = (cols >= 0) & (cols < shape[3])
    mask = row_in[:, None, :, None] & col_in[None, :, None, :]
    return mask.reshape(len(rows), len(cols), -1)


def flat_index(rows, cols, shape):
    """Index h w of the taps, moved onto the map: (h_o, w_o, taps)."""
    rows, cols = np.clip(rows, 0, shape[2] - 1), np.clip(cols, 0, shape[3] - 1)
    index = rows[:, None, :, None] * shape[3] + cols[None, :, None, :]
    return index.reshape(len(rows), len(cols), -1)


def gather(x, rows, cols):
    """Values under the taps: (n, c, h_o, w_o, taps)."""
    return x.reshape(*x.shape[:2], -1)[:, :, flat_index(rows, cols, x.shape)]


def scatter(values, index, mask, shape):
    """Add values (n, c, h_o, w_o, taps) to the map where the mask is set."""
    out = np.zeros((shape[0], shape[1], shape[2] * shape[3]))
    n, c = np.ogrid[: shape[0], : shape[1]]
    n, c = n[..., None, None, None], c[..., None, None, None]
    np.add.at(out, (n, c, index), np.where(mask, values, 0.0))
    return out.reshape(shape)


def max_pool(inputs, attrs, bug=""):
    """The largest value under every window; padding never wins."""
    x = np.asarray(inputs["x"], np.float64)
    if bug == "pairs_by_axis":
        top, bottom, left, right = attrs["padding"]
        attrs = {**attrs, "padding": [top, left, bottom, right]}
    if bug == "dense_window":
        extent = [d * (k - 1) + 1 for k, d in zip(attrs["kernel"], attrs["dilation"], strict=True)]
        attrs = {**attrs, "kernel": extent, "dilation": [1, 1]}
    rows, cols = window_taps(x.shape, attrs)
    fill = {"pads_zero": 0.0, "pads_lowest": -3.4028234663852886e38}.get(bug, -np.inf)
    taps = np.where(inside(rows, cols, x.shape), gather(x, rows, cols), fill)
    return {"y": taps.max(axis=-1)}


def max_pool_backward(inputs, attrs, bug=""):
    """Send every gradient to the first maximum of its window."""
    x = np.asarray(inputs["x"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    rows, cols = window_taps(x.shape, attrs)
    mask, index = inside(rows, cols, x.shape), flat_index(rows, cols, x.shape)
    taps = np.where(mask, gather(x, rows, cols), -np.inf)
    hits = (taps == taps.max(axis=-1, keepdims=True)) & mask
    if bug == "all_maxima":
        return {"d_x": scatter(hits * d_y[..., None], index, mask, x.shape)}
    if bug == "padding_first":
        first = taps.argmax(axis=-1)
    elif bug == "total_order":
        bits = np.ascontiguousarray(taps).view(np.int64)
        key = bits ^ ((bits >> 63) & np.int64(2**63 - 1))
        first = np.where(mask, key, np.iinfo(np.int64).min).argmax(axis=-1)
    else:
        first = hits.argmax(axis=-1)
    chosen = (np.arange(mask.shape[-1]) == first[..., None]) & mask
    if bug == "overwrites":
        d_x = np.zeros((x.shape[0], x.shape[1], x.shape[2] * x.shape[3]))
        where = np.nonzero(chosen)
        d_x[where[0], where[1], index[where[2:]]] = d_y[where[:4]]
        return {"d_x": d_x.reshape(x.shape)}
    return {"d_x": scatter(np.where(chosen, d_y[..., None], 0.0), index, mask, x.shape)}


def extent_counts(taps, size, stride, low, kernel):
    """Taps on the map along one axis, from the ends of an undilated window."""
    start = np.arange(len(taps)) * stride - low
    return np.minimum(start + kernel, size) - np.maximum(start, 0)


def divisors(shape, attrs, bug=""):
    """What every window divides by: (h_o, w_o)."""
    rows, cols = window_taps(shape, attrs)
    (k_h, k_w), (s_h, s_w) = attrs["kernel"], attrs["stride"]
    top, left, bottom, right = attrs["padding"]
    if attrs["count_include_pad"] or bug == "full_divisor":
        return np.full((len(rows), len(cols)), float(k_h * k_w))
    if bug == "count_undilated":
        row_count = extent_counts(rows, shape[2], s_h, top, k_h)
        col_count = extent_counts(cols, shape[3], s_w, left, k_w)
    elif bug == "uneven_pad_first":
        even_h, even_w = min(top, bottom), min(left, right)
        row_in = (rows >= even_h - top) & (rows < shape[2] + bottom - even_h)
        col_in = (cols >= even_w - left) & (cols < shape[3] + right - even_w)
        row_count, col_count = row_in.sum(axis=1), col_in.sum(axis=1)
    else:
        row_count = ((rows >= 0) & (rows < shape[2])).sum(axis=1)
        col_count = ((cols >= 0) & (cols < shape[3])).sum(axis=1)
    return np.maximum(row_count[:, None] * col_count, 1).astype(np.float64)


def summed_area(x, attrs):
    """Sums of undilated windows as four corners of a table of running sums."""
    top, left, bottom, right = attrs["padding"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    with np.errstate(invalid="ignore"):
        table = padded.cumsum(axis=2).cumsum(axis=3)
        table = np.pad(table, ((0, 0), (0, 0), (1, 0), (1, 0)))
        rows, cols = window_taps(x.shape, attrs)
        r_0, c_0 = (rows[:, :1] + top), (cols[:, 0] + left)
        r_1, c_1 = r_0 + attrs["kernel"][0], c_0 + attrs["kernel"][1]
        far = table[:, :, r_1, c_1] - table[:, :, r_0, c_1]
        return far - table[:, :, r_1, c_0] + table[:, :, r_0, c_0]


def average_pool(inputs, attrs, bug=""):
    """The mean under every window."""
    x = np.asarray(inputs["x"], np.float64)
    rows, cols = window_taps(x.shape, attrs)
    if bug == "summed_area" and list(attrs["dilation"]) == [1, 1]:
        total = summed_area(x, attrs)
    else:
        with np.errstate(invalid="ignore"):
            taps = np.where(inside(rows, cols, x.shape), gather(x, rows, cols), 0.0)
            total = taps.sum(axis=-1)
    return {"y": total / divisors(x.shape, attrs, bug)}


def average_pool_backward(inputs, attrs, bug=""):
    """Spread every gradient evenly over its window."""
    shape = np.shape(inputs["x"])
    share = np.asarray(inputs["d_y"], np.float64) / divisors(shape, attrs, bug)
    (k_h, k_w), (s_h, s_w), (d_h, d_w) = attrs["kernel"], attrs["stride"], attrs["dilation"]
    top, left, bottom, right = attrs["padding"]
    if bug == "dilation_dropped":
        d_h, d_w = 1, 1
    if bug == "crops_far_side":
        top, left = bottom, right
    rows = axis_taps(share.shape[2], k_h, s_h, top, d_h)
    cols = axis_taps(share.shape[3], k_w, s_w, left, d_w)
    mask, index = inside(rows, cols, shape), flat_index(rows, cols, shape)
    return {"d_x": scatter(share[..., None], index, mask, shape)}


def global_average_pool(inputs, attrs, bug=""):
    """The mean of every channel of every sample."""
    x = np.asarray(inputs["x"], np.float64)
    n, c, h, w = x.shape
    flat = x.reshape(n, c, h * w)
    with np.errstate(invalid="ignore"):
        if bug == "channels_last":
            y = x.reshape(n, h * w, c).mean(axis=1)
        elif bug == "mean_of_blocks":
            blocks = [flat[..., i : i + 8].mean(axis=-1) for i in range(0, h * w, 8)]
            y = np.mean(blocks, axis=0)
        else:
            y = flat.sum(axis=-1) / (h * w)
    return {"y": y.reshape(n, c, 1, 1)}


def global_average_pool_backward(inputs, attrs, bug=""):
    """Spread every gradient evenly over its channel."""
    n, c, h, w = np.shape(inputs["x"])
    d_y = np.asarray(inputs["d_y"], np.float64).reshape(n, c, 1, 1)
    size = w * w if bug == "square_maps" else h * w
    return {"d_x": np.broadcast_to(d_y / size, (n, c, h, w)).copy()}


OPS = {
    "relu6": relu6,
    "relu6_backward": relu6_backward,
    "max_pool": max_pool,
    "max_pool_backward": max_pool_backward,
    "average_pool": average_pool,
    "average_pool_backward": average_pool_backward,
    "global_average_pool": global_average_pool,
    "global_average_pool_backward": global_average_pool_backward,
}
BUGS = [
    ("relu6", "number_minimum", "lowers to fmin and fmax, which turn NaN into 0"),
    ("relu6", "difference_of_relus", "relu(x) - relu(x - 6): 0 for huge x, NaN for infinity"),
    ("relu6_backward", "clamp_mask", "passes the gradient at x = 0 and x = 6, as clamp does"),
    ("relu6_backward", "mask_multiplies", "infinite d_y times a mask of 0 gives NaN"),
    ("relu6_backward", "mask_of_clipped", "masks what is outside, so that NaN passes"),
    ("max_pool", "pads_zero", "pads with 0, which beats negative values at the border"),
    ("max_pool", "pads_lowest", "pads with the lowest float32, which beats -inf and below"),
    ("max_pool", "pairs_by_axis", "reads the padding as top, bottom, left, right"),
    ("max_pool", "dense_window", "takes the whole extent of a dilated window, holes included"),
    ("max_pool_backward", "all_maxima", "sends the gradient to all elements equal to the maximum"),
    ("max_pool_backward", "padding_first", "loses the gradient to padding where all taps are -inf"),
    ("max_pool_backward", "total_order", "puts 0.0 before an earlier -0.0"),
    ("max_pool_backward", "overwrites", "keeps only the last window's gradient at shared maxima"),
    ("average_pool", "count_undilated", "counts the taps on the map as if there were no dilation"),
    ("average_pool", "summed_area", "running sums: an infinity makes windows after it NaN"),
    ("average_pool", "uneven_pad_first", "pads the uneven rest beforehand, which then counts"),
    ("average_pool_backward", "full_divisor", "always divides by all taps"),
    ("average_pool_backward", "dilation_dropped", "spreads over a window without dilation"),
    ("average_pool_backward", "crops_far_side", "crops bottom and right in place of top and left"),
    ("global_average_pool", "channels_last", "reads the buffer as (n, h, w, c)"),
    ("global_average_pool", "mean_of_blocks", "weighs a short last block like the full ones"),
    ("global_average_pool_backward", "square_maps", "divides by w^2"),
]
