"""Wrong versions of im2col, col2im and the convolution, as vector code goes wrong."""

import numpy as np

BLOCK = 4
LANES = 8


def _taps(shape, attrs, kernel):
    """Return the rows (k_h, 1, h_o, 1) and columns (1, k_w, 1, w_o) the windows read."""
    (s_h, s_w), (d_h, d_w) = attrs["stride"], attrs["dilation"]
    top, left, bottom, right = attrs["padding"]
    h_o = (shape[2] + top + bottom - d_h * (kernel[0] - 1) - 1) // s_h + 1
    w_o = (shape[3] + left + right - d_w * (kernel[1] - 1) - 1) // s_w + 1
    rows = np.arange(kernel[0])[:, None] * d_h + np.arange(h_o) * s_h - top
    columns = np.arange(kernel[1])[:, None] * d_w + np.arange(w_o) * s_w - left
    return rows[:, None, :, None], columns[None, :, None, :]


def _unfold(x, attrs, kernel, bug=""):
    """Return the patches as (n, c, k_h, k_w, h_o, w_o)."""
    rows, columns = _taps(x.shape, attrs, kernel)
    n, c, h, w = x.shape
    flat = rows * w + columns
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    if bug == "flat_bounds":
        inside = (flat >= 0) & (flat < h * w)
    elif bug == "undilated_interior":
        start = columns[:, :1]
        interior = (start >= 0) & (start + kernel[1] <= w)
        inside |= interior & (rows >= 0) & (flat < h * w)
    values = x.reshape(n, c, -1)[:, :, np.clip(flat, 0, h * w - 1)]
    return np.where(inside, values, 0.0)


def _fold(patches, shape, attrs, bug=""):
    """Add patches (n, c, k_h, k_w, h_o, w_o) back to where they were read."""
    n, c, h, w = shape
    rows, columns = _taps(shape, attrs, patches.shape[2:4])
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    if bug == "clamped_index":
        rows, columns = np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1)
        inside = np.ones(inside.shape, bool)
    flat = (rows * w + columns)[inside]
    x = np.zeros((n, c, h * w))
    if bug == "stored":
        x[:, :, flat] = patches[:, :, inside]
    else:
        np.add.at(x, (slice(None), slice(None), flat), patches[:, :, inside])
    return x.reshape(n, c, h, w)


def im2col(inputs, attrs, bug=""):
    """Unfold a map into the matrix of the patches under a sliding window."""
    x = np.asarray(inputs["x"], np.float64)
    patches = _unfold(x, attrs, attrs["kernel"], bug)
    n, c, k_h, k_w, h_o, w_o = patches.shape
    return {"patches": patches.reshape(n, c * k_h * k_w, h_o * w_o)}


def col2im(inputs, attrs, bug=""):
    """Add every patch back to where it was read."""
    patches = np.asarray(inputs["patches"], np.float64)
    n, c, _, _ = shape = tuple(attrs["x_shape"])
    rows, columns = _taps(shape, attrs, attrs["kernel"])
    parts = (n, c, *attrs["kernel"], rows.shape[2], columns.shape[3])
    return {"x": _fold(patches.reshape(parts), shape, attrs, bug)}


def _fast_taps(attrs, kernel, bug):
    """Return the dilation that the kernel chosen for these attributes works with."""
    if bug == "winograd" and tuple(kernel) == (3, 3) and tuple(attrs["stride"]) == (1, 1):
        return [1, 1]
    return attrs["dilation"]


def _grouped(patches, groups):
    """Return patches as (n, groups, rows of a group, windows)."""
    n, c, k_h, k_w, h_o, w_o = patches.shape
    return patches.reshape(n, groups, c // groups * k_h * k_w, h_o * w_o)


def conv2d(inputs, attrs, bug=""):
    """Convolve (correlate), in groups."""
    x = np.asarray(inputs["x"], np.float64)
    w = np.asarray(inputs["w"], np.float64)
    groups, kernel = attrs["groups"], w.shape[2:]
    c_out, share = w.shape[:2]
    patches = _unfold(x, attrs, kernel)
    h_o, w_o = patches.shape[4:]
    near = _unfold(x, {**attrs, "dilation": _fast_taps(attrs, kernel, bug)}, kernel)
    patches = near[..., :h_o, :w_o]
    if bug == "channel_blocks" and share > BLOCK:
        w = w.copy()
        w[:, share - share % BLOCK :] = 0
    if bug == "depthwise" and share == 1:
        patches = patches[:, np.arange(c_out) % groups]
        y = np.einsum("oij,noijpq->nopq", w[:, 0], patches)
    else:
        columns = _grouped(patches, groups)
        w = w.reshape(groups, c_out // groups, -1)
        y = np.einsum("gok,ngkl->ngol", w, columns).reshape(len(x), c_out, h_o, w_o)
    if inputs.get("bias") is not None:
        bias = np.asarray(inputs["bias"], np.float64)
        if bug == "group_bias":
            bias = bias[np.arange(c_out) % (c_out // groups)]
        y = y + bias[:, None, None]
    return {"y": y}


def conv2d_backward(inputs, attrs, bug=""):
    """Pass gradients through a convolution."""
    x = np.asarray(inputs["x"], np.float64)
    w = np.asarray(inputs["w"], np.float64)
    d_y = np.asarray(inputs["d_y"], np.float64)
    groups, c_out = attrs["groups"], w.shape[0]
    patches = _unfold(x, attrs, w.shape[2:])
    columns = _grouped(patches, groups)
    if bug == "first_group":
        columns = np.repeat(columns[:, :1], groups, axis=1)
    grads = d_y.reshape(len(x), groups, c_out // groups, -1)
    matrix = w.reshape(groups, c_out // groups, -1)
    d_w = np.einsum("ngol,ngkl->ngok", grads, columns)
    d_w = (d_w[-1] if bug == "last_image" else d_w.sum(0)).reshape(w.shape)
    d_patches = np.einsum("gok,ngol->ngkl", matrix, grads).reshape(patches.shape)
    fold = attrs
    if bug == "far_padding":
        top, left, bottom, right = attrs["padding"]
        fold = {**attrs, "padding": [bottom, right, top, left]}
    d_x = _fold(d_patches, x.shape, fold)
    flat = d_y.reshape(len(x), c_out, -1)
    if bug == "bias_tail" and flat.shape[2] > LANES:
        flat = flat[:, :, : flat.shape[2] // LANES * LANES]
    return {"d_x": d_x, "d_w": d_w, "d_bias": flat.sum((0, 2))}


OPS = {
    "im2col": im2col,
    "col2im": col2im,
    "conv2d": conv2d,
    "conv2d_backward": conv2d_backward,
}

BUGS = [
    ("im2col", "flat_bounds", "checks the flat index alone: over the side lies the next row"),
    ("im2col", "undilated_interior", "columns that need no check found by k_w without dilation"),
    ("col2im", "stored", "scatters without adding: of overlapping patches the last one is left"),
    ("col2im", "clamped_index", "clamps the index into the map: padding falls on the border"),
    ("conv2d", "winograd", "sends 3 x 3 kernels of stride 1 to Winograd's form, without dilation"),
    ("conv2d", "channel_blocks", "takes channels by four and drops the rest after the first four"),
    ("conv2d", "depthwise", "takes groups of one channel for multiplier 1: o reads o mod groups"),
    ("conv2d", "group_bias", "indexes the bias within the group: all groups have the first one's"),
    ("conv2d_backward", "first_group", "does not advance the patches from group to group in d_w"),
    ("conv2d_backward", "last_image", "stores the product of each image in d_w, never adds"),
    ("conv2d_backward", "far_padding", "pads the transposed convolution at the wrong ends"),
    ("conv2d_backward", "bias_tail", "sums d_bias over whole vectors of windows, without the rest"),
]
