"""Max and average pooling, each with wrong versions that an engineer could write."""

import numpy as np


def _pairs(attrs):
    """Kernel, stride, padding and dilation as tuples of Python ints."""
    return [
        tuple(int(v) for v in attrs[name]) for name in ("kernel", "stride", "padding", "dilation")
    ]


def _size(size, attrs):
    """Rows and columns of the output."""
    kernel, stride, (top, left, bottom, right), dilation = _pairs(attrs)
    spans = (size[0] + top + bottom, size[1] + left + right)
    return tuple(
        (span - d * (k - 1) - 1) // s + 1
        for span, k, s, d in zip(spans, kernel, stride, dilation, strict=True)
    )


def _taps(window, size, attrs, bug=""):
    """Flat indices of the taps of a window that lie on the map, row by row."""
    (k_h, k_w), (s_h, s_w), (top, left, bottom, right), (d_h, d_w) = _pairs(attrs)
    h, w = size
    if bug == "padding_order":
        left = bottom
    elif bug == "centred_padding":
        top, left = (top + bottom) // 2, (left + right) // 2
    elif bug == "stride_swapped":
        s_h, s_w = s_w, s_h
    elif bug == "stride_shared":
        s_w = s_h
    elif bug == "dilation_shared":
        d_w = d_h
    row, col = window[0] * s_h - top, window[1] * s_w - left
    if bug == "window_shifted":
        row, col = max(row, 0), max(col, 0)
    rows = [row + i * d_h for i in range(k_h)]
    cols = [col + j * d_w for j in range(k_w)]
    if bug == "dilation_filled":
        rows, cols = range(rows[0], rows[-1] + 1), range(cols[0], cols[-1] + 1)
    if bug == "clamped":
        rows = [min(max(r, 0), h - 1) for r in rows]
        cols = [min(max(c, 0), w - 1) for c in cols]
    last = h if bug == "columns_bound_h" else w
    taps = [r * w + c for r in rows for c in cols if 0 <= r < h and 0 <= c < last]
    if bug == "column_order":
        taps.sort(key=lambda tap: (tap % w, tap // w))
    return [min(tap, h * w - 1) for tap in taps]


def _count(window, size, attrs, bug=""):
    """What a sum under a window is divided by."""
    kernel, stride, padding, dilation = _pairs(attrs)
    if bug == "always_all_taps" or (attrs["count_include_pad"] and bug != "never_pad"):
        return kernel[0] * kernel[1]
    counts, spans = [], []
    for axis in range(2):
        first = window[axis] * stride[axis] - padding[axis]
        ends = [first + i * dilation[axis] for i in range(kernel[axis])]
        counts.append(sum(0 <= e < size[axis] for e in ends))
        spans.append(min(ends[-1], size[axis] - 1) - max(first, 0) + 1)
    if bug == "span_divisor":
        return max(spans[0] * spans[1], 1)
    if bug == "rows_only":
        return max(counts[0] * kernel[1], 1)
    return max(counts[0] * counts[1], 1)


def max_pool(inputs, attrs, bug=""):
    """The largest value under every window; padding never wins."""
    x = np.asarray(inputs["x"], float)
    n, c, h, w = x.shape
    kernel, (h_o, w_o), flat = _pairs(attrs)[0], _size((h, w), attrs), x.reshape(n, c, h * w)
    y = np.full((n, c, h_o, w_o), -np.inf)
    for p, q in np.ndindex(h_o, w_o):
        taps = _taps((p, q), (h, w), attrs, bug)
        if taps:
            y[:, :, p, q] = flat[:, :, taps].max(axis=-1)
        if bug == "zero_padding" and len(taps) < kernel[0] * kernel[1]:
            y[:, :, p, q] = np.maximum(y[:, :, p, q], 0.0)
    if bug == "lowest_start":
        y = np.maximum(y, -3.4028234663852886e38)
    return {"y": y}


def max_pool_backward(inputs, attrs, bug=""):
    """Send every gradient to the first maximum of its window."""
    x, d_y = np.asarray(inputs["x"], float), np.asarray(inputs["d_y"], float)
    n, c, h, w = x.shape
    (k_h, k_w), (s_h, s_w), (top, left, _, _), _ = _pairs(attrs)
    d_x = np.zeros((n, c, h * w))
    for b, ch in np.ndindex(n, c):
        plane, out = x[b, ch].reshape(-1), d_x[b, ch]
        for p, q in np.ndindex(*_size((h, w), attrs)):
            taps, g = _taps((p, q), (h, w), attrs, bug), d_y[b, ch, p, q]
            if not taps:
                continue
            values = plane[taps]
            best = int(np.argmax(values))
            if bug == "last_maximum":
                best = len(taps) - 1 - int(np.argmax(values[::-1]))
            elif bug == "signed_zeros" and values[best] == 0.0:
                best = int(np.argmax((values == 0.0) & ~np.signbit(values)))
                best = best if not np.signbit(values[best]) else int(np.argmax(values))
            elif bug == "index_4_bits":
                best = best & 15
            elif bug == "minus_infinity_lost" and np.isneginf(values[best]):
                continue
            tap = taps[best]
            if bug == "all_maxima":
                out[[t for t, v in zip(taps, values, strict=True) if v == values[best]]] += g
            elif bug == "overwritten":
                out[tap] = g
            elif bug == "undilated_gather":
                row, col = tap // w + top, tap % w + left
                if p > (row - k_h) // s_h and q > (col - k_w) // s_w:
                    out[tap] += g
            else:
                out[tap] += g
    return {"d_x": d_x.reshape(x.shape)}


def _integral(x, attrs):
    """Sums under the windows by running sums along rows of the padded map."""
    kernel, stride, (top, left, bottom, right), dilation = _pairs(attrs)
    h_o, w_o = _size(x.shape[2:], attrs)
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    y = np.zeros((*x.shape[:2], h_o, w_o))
    with np.errstate(invalid="ignore"):
        for p, i in np.ndindex(h_o, kernel[0]):
            row = padded[:, :, p * stride[0] + i * dilation[0]]
            for phase in range(dilation[1]):
                total = np.cumsum(row[..., phase :: dilation[1]], axis=-1)
                total = np.concatenate([np.zeros((*total.shape[:2], 1)), total], axis=-1)
                for q in range(w_o):
                    if q * stride[1] % dilation[1] == phase:
                        first = q * stride[1] // dilation[1]
                        y[:, :, p, q] += total[..., first + kernel[1]] - total[..., first]
    return y


def average_pool(inputs, attrs, bug=""):
    """The mean under every window."""
    x = np.asarray(inputs["x"], float)
    n, c, h, w = x.shape
    (h_o, w_o), flat = _size((h, w), attrs), x.reshape(n, c, h * w)
    y = np.zeros((n, c, h_o, w_o))
    sums = _integral(x, attrs) if bug == "running_sums" else None
    with np.errstate(invalid="ignore", over="ignore"):
        for p, q in np.ndindex(h_o, w_o):
            taps, count = _taps((p, q), (h, w), attrs, bug), _count((p, q), (h, w), attrs, bug)
            if bug == "float32_sum":
                total = np.zeros((n, c), np.float32)
                for tap in taps:
                    total = total + flat[:, :, tap].astype(np.float32)
                total = total.astype(float)
            else:
                total = flat[:, :, taps].sum(axis=-1) if sums is None else sums[:, :, p, q]
            if bug == "reciprocal_16_bits":
                y[:, :, p, q] = total * (np.rint(65536 / count) / 65536)
            else:
                y[:, :, p, q] = total / count
    return {"y": y}


def average_pool_backward(inputs, attrs, bug=""):
    """Spread every gradient evenly over its window."""
    x, d_y = np.asarray(inputs["x"], float), np.asarray(inputs["d_y"], float)
    n, c, h, w = x.shape
    (k_h, k_w), (s_h, s_w), (top, left, _, _), (d_h, d_w) = _pairs(attrs)
    h_o, w_o = _size((h, w), attrs)
    if bug == "symmetric_padding":
        h_o = min(h_o, (h + 2 * top - d_h * (k_h - 1) - 1) // s_h + 1)
        w_o = min(w_o, (w + 2 * left - d_w * (k_w - 1) - 1) // s_w + 1)
    d_x, reached = np.zeros((n, c, h * w)), np.zeros(h * w, bool)
    for p, q in np.ndindex(h_o, w_o):
        count = _count((p, q), (h, w), attrs, bug)
        for tap in _taps((p, q), (h, w), attrs, bug):
            d_x[:, :, tap] += d_y[:, :, p, q] / count
            reached[tap] = True
    if bug == "unreached_stale":
        d_x = np.where(reached, d_x, x.reshape(n, c, h * w))
    return {"d_x": d_x.reshape(x.shape)}


OPS = {
    "max_pool": max_pool,
    "max_pool_backward": max_pool_backward,
    "average_pool": average_pool,
    "average_pool_backward": average_pool_backward,
}

BUGS = [
    ("max_pool", "zero_padding", "padding counts as 0 and wins against negative values"),
    (
        "max_pool",
        "lowest_start",
        "the running maximum starts at float32's lowest finite value, so -inf comes out finite",
    ),
    ("max_pool", "padding_order", "padding is read as [top, bottom, left, right]"),
    ("max_pool", "dilation_shared", "the dilation of the rows is used for the columns too"),
    ("max_pool", "stride_swapped", "the strides of rows and columns change places"),
    (
        "max_pool",
        "clamped",
        "taps beyond the map read its edge, which dilated windows do not contain",
    ),
    (
        "max_pool",
        "window_shifted",
        "a window's start is clamped to 0 before its taps are counted, so it slides inwards",
    ),
    (
        "max_pool",
        "columns_bound_h",
        "columns are checked against h: lost where h < w, from the next row where h > w",
    ),
    ("max_pool_backward", "last_maximum", "of equal maxima the last receives the gradient"),
    ("max_pool_backward", "all_maxima", "every equal maximum receives the whole gradient"),
    ("max_pool_backward", "column_order", "windows are scanned column by column for the first"),
    ("max_pool_backward", "overwritten", "overlapping windows overwrite instead of adding"),
    (
        "max_pool_backward",
        "minus_infinity_lost",
        "the search starts at -inf with >, so windows of only -inf lose their gradient",
    ),
    ("max_pool_backward", "signed_zeros", "compares bit patterns: 0.0 wins against -0.0"),
    (
        "max_pool_backward",
        "index_4_bits",
        "the index in the window is saved in 4 bits and wraps beyond 16 taps",
    ),
    (
        "max_pool_backward",
        "undilated_gather",
        "the gather visits windows as if kernels were not dilated and misses far ones",
    ),
    ("average_pool", "never_pad", "count_include_pad is ignored: padding never counts"),
    (
        "average_pool",
        "span_divisor",
        "divides by the clipped extent of the window, gaps of its dilation included",
    ),
    ("average_pool", "rows_only", "only the clipped rows shrink the divisor, not the columns"),
    ("average_pool", "float32_sum", "sums in float32, which cancellation exposes"),
    (
        "average_pool",
        "running_sums",
        "running sums along a row: an infinity turns every later window of the row into NaN",
    ),
    ("average_pool", "reciprocal_16_bits", "multiplies by 1 / count rounded to 16 bits"),
    (
        "average_pool",
        "centred_padding",
        "the padding is split evenly, so that asymmetric padding shifts the windows",
    ),
    (
        "average_pool_backward",
        "always_all_taps",
        "divides by k_h k_w at the border too, whatever count_include_pad says",
    ),
    (
        "average_pool_backward",
        "dilation_filled",
        "the gather lacks the test that a pixel is a multiple of the dilation away",
    ),
    ("average_pool_backward", "clamped", "the share of padding is added to the edge of the map"),
    (
        "average_pool_backward",
        "unreached_stale",
        "the buffer of x is reused: pixels that no window reaches keep their x",
    ),
    ("average_pool_backward", "stride_shared", "the stride of the rows is used for columns too"),
    (
        "average_pool_backward",
        "symmetric_padding",
        "counts windows from twice the top and left padding and misses the last ones",
    ),
]
