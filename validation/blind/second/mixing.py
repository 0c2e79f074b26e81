"""Mixing values with quantized ones: QDrop, AMixup and ASoftmax, right and wrong."""

import numpy as np


def packed_tail(mask):
    """Mask as bits in whole bytes: those behind the last whole byte read as 0."""
    flat = mask.ravel().copy()
    flat[flat.size // 8 * 8 :] = False
    return flat.reshape(mask.shape)


def qdrop_mix(inputs, attrs, bug=""):
    """Keep the quantized value where the mask says so."""
    x = np.asarray(inputs["x"], np.float64)
    x_q = np.asarray(inputs["x_q"], np.float64)
    mask = np.asarray(inputs["mask"], bool)
    if bug == "mask_drops":
        mask = ~mask
    elif bug == "packed_tail":
        mask = packed_tail(mask)
    elif bug == "first_mask" and mask.ndim > 1:
        mask = np.broadcast_to(mask[:1], mask.shape)
    y = np.where(mask, x_q, x)
    if bug == "arithmetic":
        with np.errstate(invalid="ignore"):
            y = mask * x_q + (1 - mask) * x
    elif bug == "added_difference":
        with np.errstate(invalid="ignore", over="ignore"):
            y = x + mask * (x_q - x)
    return {"y": y}


def qdrop_mix_backward(inputs, attrs, bug=""):
    """Gradients of both values."""
    mask = np.asarray(inputs["mask"], bool)
    d_y = np.asarray(inputs["d_y"], np.float64)
    if bug == "mask_drops":
        mask = ~mask
    elif bug == "packed_tail":
        mask = packed_tail(mask)
    through = d_y if bug == "always_through" else np.where(mask, d_y, 0.0)
    return {"d_x": np.where(mask, 0.0, d_y), "d_x_q": through}


def amixup(inputs, attrs, bug=""):
    """Mix values with their quantized selves by a share."""
    x = np.asarray(inputs["x"], np.float64)
    x_q = np.asarray(inputs["x_q"], np.float64)
    share = np.broadcast_to(np.asarray(inputs["share"], np.float64), x.shape)
    if bug == "first_share" and share.size:
        share = np.full(x.shape, share.ravel()[0])
    elif bug == "half_share":
        share = share.astype(np.float16).astype(np.float64)
    elif bug == "share_of_quantized":
        share = 1 - share
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = share * x + (1 - share) * x_q
        if bug == "lerp":
            return {"y": x_q + share * (x - x_q)}
    if bug == "no_selection":
        return {"y": mixed}
    if bug == "only_1_selects":
        return {"y": np.where(share == 1, x, mixed)}
    return {"y": np.where(share == 1, x, np.where(share == 0, x_q, mixed))}


def amixup_backward(inputs, attrs, bug=""):
    """Gradients of both values."""
    d_y = np.asarray(inputs["d_y"], np.float64)
    share = np.broadcast_to(np.asarray(inputs["share"], np.float64), d_y.shape)
    if bug == "first_share" and share.size:
        share = np.full(d_y.shape, share.ravel()[0])
    rest = np.ones_like(share) if bug == "always_through" else 1 - share
    if bug == "drawn":
        share, rest = np.rint(share), 1 - np.rint(share)
    return {"d_x": share * d_y, "d_x_q": rest * d_y}


def by_channel(v, w, bug=""):
    """Scalar or channels against the weights."""
    v = np.asarray(v)
    if v.ndim == 0:
        return v
    if bug == "last_axis" and v.size == w.shape[-1]:
        return v
    return v.reshape(-1, *[1] * (w.ndim - 1))


def soft_levels(inputs, attrs, bug=""):
    """Weights in steps, ends of the grid, softmax, offsets and soft levels."""
    w = np.asarray(inputs["w"], np.float64)
    logits = np.asarray(inputs["logits"], np.float64)
    s = by_channel(np.asarray(inputs["s"], np.float64), w, bug)
    zero = by_channel(np.asarray(inputs["zero_point"], np.int64), w)
    bits = int(attrs["bits"])
    half = 2 ** (bits - 1)
    ends = {
        "unsigned": (0, 2 * half - 1),
        "signed": (-half, half - 1),
        "narrow": (1 - half, half - 1),
        "affine": (-zero, 2 * half - 1 - zero),
    }
    grid = attrs["grid"]
    if bug == "narrow_is_signed" and grid == "narrow":
        grid = "signed"
    elif bug == "affine_not_shifted" and grid == "affine":
        grid = "unsigned"
    low, high = ends[grid]
    offsets = np.asarray(attrs["offsets"], np.float64)
    if bug == "offsets_from_0":
        offsets = np.arange(offsets.size, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if bug == "no_maximum":
            e = np.exp(logits / attrs["temperature"])
        else:
            e = np.exp((logits - logits.max(axis=-1, keepdims=True)) / attrs["temperature"])
        pi = e / e.sum(axis=-1, keepdims=True)
    u = w / s
    base = np.trunc(u) if bug == "truncates" else np.floor(u)
    return u, base, low, high, s, zero, pi, offsets, base + np.sum(pi * offsets, axis=-1)


def asoftmax(inputs, attrs, bug=""):
    """Soft and hard weights by a softmax over neighbouring levels."""
    u, base, low, high, s, zero, _, offsets, level = soft_levels(inputs, attrs, bug)
    logits = np.asarray(inputs["logits"], np.float64)
    first = np.argmax(logits, axis=-1)
    if bug == "last_of_equal":
        first = logits.shape[-1] - 1 - np.argmax(logits[..., ::-1], axis=-1)
    hard = base + offsets[first]
    if bug == "rounded_softmax":
        hard = np.rint(level)
    nan = np.isnan(u)
    bottom = np.broadcast_to(low, u.shape)
    missing = bottom if bug == "nan_is_lowest" else np.zeros(u.shape)
    soft = np.where(nan, missing, np.clip(level, low, high))
    hard = np.where(nan, missing, np.clip(hard, low, high))
    return {"w_hat": s * soft, "codes": hard.astype(np.int64) + np.broadcast_to(zero, u.shape)}


def asoftmax_backward(inputs, attrs, bug=""):
    """Gradient of the logits."""
    _, _, low, high, s, _, pi, offsets, level = soft_levels(inputs, attrs, bug)
    d_w_hat = np.asarray(inputs["d_w_hat"], np.float64)
    inside = (level >= low) & (level <= high)
    if bug == "open_ends":
        inside = (level > low) & (level < high)
    elif bug == "upper_end_only":
        inside = level <= high
    d_level = np.where(inside, d_w_hat * s, 0.0)[..., None]
    middle = np.sum(pi * offsets, axis=-1, keepdims=True)
    d_logits = d_level * pi * (offsets - middle)
    return {"d_logits": d_logits if bug == "no_temperature" else d_logits / attrs["temperature"]}


OPS = {
    "qdrop_mix": qdrop_mix,
    "qdrop_mix_backward": qdrop_mix_backward,
    "amixup": amixup,
    "amixup_backward": amixup_backward,
    "asoftmax": asoftmax,
    "asoftmax_backward": asoftmax_backward,
}

BUGS = [
    ("qdrop_mix", "mask_drops", "takes the mask for what is dropped"),
    ("qdrop_mix", "packed_tail", "loses the bits of the mask behind its last whole byte"),
    ("qdrop_mix", "first_mask", "gives every sample the mask of the first"),
    ("qdrop_mix", "arithmetic", "multiplies by the mask, so that a NaN not kept spreads"),
    ("qdrop_mix", "added_difference", "adds mask (x_q - x) to x, which cancels or overflows"),
    ("qdrop_mix_backward", "mask_drops", "takes the mask for what is dropped"),
    ("qdrop_mix_backward", "packed_tail", "loses the bits of the mask behind its last byte"),
    ("qdrop_mix_backward", "always_through", "gives the quantized value the whole gradient"),
    ("amixup", "first_share", "takes the first share for all elements"),
    ("amixup", "half_share", "stores the share in float16"),
    ("amixup", "share_of_quantized", "takes the share for that of x_q"),
    ("amixup", "lerp", "adds share (x - x_q) to x_q, which cancels or spreads NaN"),
    ("amixup", "no_selection", "multiplies by a share of 0, so that NaN spreads"),
    ("amixup", "only_1_selects", "selects at share 1 but not at share 0"),
    ("amixup_backward", "first_share", "takes the first share for all elements"),
    ("amixup_backward", "always_through", "gives the quantized value the whole gradient"),
    ("amixup_backward", "drawn", "rounds the share to a mask"),
    ("asoftmax", "no_maximum", "does not take the maximum off, NaN for large logits"),
    ("asoftmax", "last_of_equal", "takes the last of equal logits for the code"),
    ("asoftmax", "offsets_from_0", "counts the candidates from 0 whatever the offsets are"),
    ("asoftmax", "rounded_softmax", "rounds the soft level for the code"),
    ("asoftmax", "last_axis", "applies channel steps to the last axis where sizes agree"),
    ("asoftmax", "narrow_is_signed", "lets the narrow grid reach its lowest code"),
    ("asoftmax", "truncates", "truncates w / s instead of taking its floor"),
    ("asoftmax", "nan_is_lowest", "gives NaN the lowest level, as fmax does"),
    ("asoftmax_backward", "open_ends", "blocks the gradient at the levels n and p"),
    ("asoftmax_backward", "upper_end_only", "does not block the gradient below n"),
    ("asoftmax_backward", "no_temperature", "does not divide by the temperature"),
    ("asoftmax_backward", "affine_not_shifted", "masks by the codes' ends without the zero point"),
    ("asoftmax_backward", "last_axis", "applies channel steps to the last axis of square weights"),
    ("asoftmax_backward", "no_maximum", "does not take the maximum off, NaN for large logits"),
]
