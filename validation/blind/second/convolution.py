"""Convolution by patches: right versions and wrong ones of a port."""

import numpy as np


def _geometry(attrs, kernel, size, bug):
    """Give strides, padding, dilations and the size of the output."""
    stride, dilation = list(attrs["stride"]), list(attrs["dilation"])
    pad = list(attrs["padding"])
    if bug == "padding_in_pairs":
        pad = [pad[0], pad[2], pad[1], pad[3]]
    elif bug == "symmetric_padding":
        pad = [pad[0], pad[1], pad[0], pad[1]]
    out = []
    for k in range(2):
        room = size[k] + pad[k] + pad[k + 2] - dilation[k] * (kernel[k] - 1) - 1
        out.append(-(-room // stride[k]) + 1 if bug == "ceil_mode" else room // stride[k] + 1)
    if bug == "stride_of_rows":
        stride = [stride[0], stride[0]]
    elif bug == "dilation_of_rows":
        dilation = [dilation[0], dilation[0]]
    return stride, pad, dilation, out


def _sites(geometry, i, j, bug=""):
    """Give the rows and columns of x that a tap reads, one for each window."""
    stride, pad, dilation, out = geometry
    rows = np.arange(out[0]) * stride[0] + i * dilation[0] - pad[2 if bug == "crops_end" else 0]
    columns = np.arange(out[1]) * stride[1] + j * dilation[1] - pad[3 if bug == "crops_end" else 1]
    return rows[:, None], columns[None, :]


def im2col(inputs, attrs, bug=""):
    """Unfold a map into the matrix of the patches under a sliding window."""
    x = np.asarray(inputs["x"], np.float64)
    count, channels, h, w = x.shape
    k_h, k_w = attrs["kernel"]
    geometry = _geometry(attrs, (k_h, k_w), (h, w), bug)
    h_o, w_o = geometry[3]
    flat = np.concatenate([x.reshape(-1), np.zeros(w + 1)])
    base = np.arange(count * channels).reshape(count, channels, 1, 1) * h * w
    patches = np.zeros((count, channels, k_h * k_w, h_o, w_o))
    for i in range(k_h):
        for j in range(k_w):
            rows, columns = _sites(geometry, i, j)
            inside = (rows >= 0) & (columns >= 0) & (rows < h) & (columns < w)
            if bug == "row_past_end":
                inside = (rows >= 0) & (columns >= 0) & (rows <= h) & (columns < w)
            elif bug == "column_wraps":
                inside = (rows >= 0) & (rows < h) & (rows * w + columns >= 0) & (columns < w)
            where = base + np.where(inside, rows * w + columns, 0)
            tap = i * k_h + j if bug == "square_kernel" else i * k_w + j
            if tap < k_h * k_w:
                patches[:, :, tap] = np.where(inside, flat[where], 0.0)
    return {"patches": patches.reshape(count, channels * k_h * k_w, h_o * w_o)}


def _fold(patches, shape, kernel, attrs, bug=""):
    """Add every patch back to where it was read."""
    count, channels, h, w = shape
    k_h, k_w = kernel
    geometry = _geometry(attrs, kernel, (h, w), bug)
    h_o, w_o = geometry[3]
    taps = patches.reshape(count, channels, k_h * k_w, h_o, w_o)
    x = np.zeros((count, channels, h, w))
    for i in range(k_h):
        for j in range(k_w):
            if bug == "window_without_dilation" and (
                i * attrs["dilation"][0] >= k_h or j * attrs["dilation"][1] >= k_w
            ):
                continue
            rows, columns = (np.broadcast_to(v, (h_o, w_o)) for v in _sites(geometry, i, j, bug))
            inside = (rows >= 0) & (columns >= 0) & (rows < h) & (columns < w)
            if bug == "padding_clamped":
                rows, columns = np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1)
                inside = np.ones_like(inside)
            tap = (i * k_h + j) % (k_h * k_w) if bug == "square_kernel" else i * k_w + j
            rows, columns = rows[inside], columns[inside]
            if bug == "last_write_wins":
                x[:, :, rows, columns] = taps[:, :, tap][:, :, inside]
            else:
                where = (slice(None), slice(None), rows, columns)
                np.add.at(x, where, taps[:, :, tap][:, :, inside])
    return x


def col2im(inputs, attrs, bug=""):
    """Add every patch back to where it was read: the adjoint of im2col."""
    patches = np.asarray(inputs["patches"], np.float64)
    return {"x": _fold(patches, tuple(attrs["x_shape"]), tuple(attrs["kernel"]), attrs, bug)}


def conv2d(inputs, attrs, bug=""):
    """Convolve (correlate), in groups."""
    x = np.asarray(inputs["x"], np.float64)
    w = np.asarray(inputs["w"], np.float64)
    c_out, depth, k_h, k_w = w.shape
    c_in, groups = x.shape[1], attrs["groups"]
    geometry = _geometry(attrs, (k_h, k_w), x.shape[2:], bug)
    h_o, w_o = geometry[3]
    y = np.zeros((x.shape[0], c_out, h_o, w_o))
    kept = depth
    if bug == "channels_in_fours" and depth > 4:
        kept = depth // 4 * 4
    for i in range(k_h):
        for j in range(k_w):
            rows, columns = _sites(geometry, i, j)
            inside = (rows >= 0) & (columns >= 0) & (rows < x.shape[2]) & (columns < x.shape[3])
            seen = x[:, :, np.clip(rows, 0, x.shape[2] - 1), np.clip(columns, 0, x.shape[3] - 1)]
            seen = np.where(inside, seen, 0.0)
            for o in range(c_out):
                g = o % groups if bug == "interleaved_groups" else o // (c_out // groups)
                width = c_out // groups if bug == "offset_by_outputs" else depth
                for c in range(kept):
                    y[:, o] += w[o, c, i, j] * seen[:, (g * width + c) % c_in]
    bias = inputs.get("bias")
    if bias is not None:
        bias = np.asarray(bias, np.float64)
        if bug == "bias_of_first_group":
            bias = bias[np.arange(c_out) % (c_out // groups)]
        along_columns = bug == "bias_along_columns" and w_o == c_out
        y = y + (bias if along_columns else bias[:, None, None])
    return {"y": y}


def conv2d_backward(inputs, attrs, bug=""):
    """Give the gradients of a convolution."""
    d_y = np.asarray(inputs["d_y"], np.float64)
    x = np.asarray(inputs["x"], np.float64)
    w = np.asarray(inputs["w"], np.float64)
    c_out, depth, k_h, k_w = w.shape
    groups = attrs["groups"]
    share = c_out // groups
    kernel = {"kernel": [k_h, k_w], **attrs}
    patches = im2col({"x": x}, kernel, bug if bug == "dilation_of_rows" else "")["patches"]
    size = depth * k_h * k_w
    back = d_y.reshape(d_y.shape[0], c_out, -1)
    d_w = np.zeros((c_out, size))
    d_patches = np.zeros_like(patches)
    for o in range(c_out):
        g = o % groups if bug == "interleaved_groups" else o // share
        rows = slice(g * size, (g + 1) * size)
        each = np.einsum("nl,nrl->nr", back[:, o], patches[:, rows])
        d_w[o] = each[-1] if bug == "weight_of_last_image" else each.sum(axis=0)
        part = w[o].reshape(1, size, 1) * back[:, o : o + 1]
        if bug == "last_filter_of_group" and o % share == share - 1:
            d_patches[:, rows] = part
        else:
            d_patches[:, rows] += part
    passed = ("crops_end", "window_without_dilation")
    d_x = _fold(d_patches, x.shape, (k_h, k_w), attrs, bug if bug in passed else "")
    if bug == "remainder_in_front":
        for k in range(2):
            extent = attrs["dilation"][k] * ([k_h, k_w][k] - 1) + 1
            room = x.shape[k + 2] + attrs["padding"][k] + attrs["padding"][k + 2] - extent
            d_x = np.roll(d_x, room % attrs["stride"][k], axis=k + 2)
    d_bias = back.sum(axis=(0, 2))
    if bug == "bias_mean_of_batch":
        d_bias = d_bias / d_y.shape[0]
    return {"d_x": d_x, "d_w": d_w.reshape(w.shape), "d_bias": d_bias}


OPS = {
    "im2col": im2col,
    "col2im": col2im,
    "conv2d": conv2d,
    "conv2d_backward": conv2d_backward,
}
BUGS = [
    ("im2col", "padding_in_pairs", "padding is read as top, bottom, left, right"),
    ("im2col", "stride_of_rows", "columns step by the stride of rows"),
    ("im2col", "dilation_of_rows", "taps along columns are dilated as rows are"),
    ("im2col", "square_kernel", "tap (i, j) goes to row i k_h + j"),
    ("im2col", "row_past_end", "the row below the map is read, not taken as 0"),
    ("im2col", "column_wraps", "columns left of the map read the end of the row above"),
    ("im2col", "ceil_mode", "sizes are rounded up, as some pooling layers do"),
    ("col2im", "last_write_wins", "overlapping patches overwrite each other"),
    ("col2im", "padding_clamped", "what falls on padding is added to the map's edge"),
    ("col2im", "square_kernel", "tap (i, j) is read from row i k_h + j"),
    ("col2im", "crops_end", "as much is cropped in front as was padded at the end"),
    ("col2im", "window_without_dilation", "taps further away than the bare kernel are missed"),
    ("col2im", "stride_of_rows", "columns step by the stride of rows"),
    ("conv2d", "interleaved_groups", "filter o belongs to group o mod groups"),
    ("conv2d", "offset_by_outputs", "a group's inputs start at g c_out/groups"),
    ("conv2d", "bias_of_first_group", "every group uses the biases of the first"),
    ("conv2d", "bias_along_columns", "bias broadcasts along columns where w_o = c_out"),
    ("conv2d", "symmetric_padding", "bottom and right are padded as top and left are"),
    ("conv2d", "dilation_of_rows", "taps along columns are dilated as rows are"),
    ("conv2d", "stride_of_rows", "columns step by the stride of rows"),
    ("conv2d", "channels_in_fours", "input channels after the last whole four are left out"),
    ("conv2d_backward", "weight_of_last_image", "d_w comes from the last image alone"),
    ("conv2d_backward", "interleaved_groups", "filter o belongs to group o mod groups"),
    ("conv2d_backward", "last_filter_of_group", "d_x overwrites what the group added before"),
    ("conv2d_backward", "crops_end", "d_x is cropped in front by the padding at the end"),
    ("conv2d_backward", "window_without_dilation", "d_x misses taps beyond the bare kernel"),
    ("conv2d_backward", "remainder_in_front", "rows that no window reads are put in front"),
    ("conv2d_backward", "dilation_of_rows", "d_w's columns are dilated as rows are"),
    ("conv2d_backward", "bias_mean_of_batch", "d_bias is a mean over the batch"),
]
