"""Wrong borders."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.aquant import plain_border as plain
from refquant.oracle.op import Variant


def interleaved(w: Array, taps: int, groups: int) -> Array:
    """Outputs dealt to the groups in turn."""
    dealt = w.reshape(len(w) // groups, groups, -1, taps)
    return dealt.transpose(1, 0, 2, 3)


def taps_first(w: Array, taps: int, groups: int) -> Array:
    """Columns read as tap * channels + channel."""
    return w.reshape(groups, len(w) // groups, taps, -1).transpose(0, 1, 3, 2)


def overflowing(p: Array, kappa: float) -> Array:
    """e^t / (1 + e^t)."""
    e = np.exp(p)
    return np.asarray(0.5 + kappa * (e / (1 + e) - 0.5))


def without_zeros(t: Array) -> Array:
    """The mean over taps that are not 0."""
    count = np.maximum((t != 0).sum(axis=2, keepdims=True), 1)
    return np.asarray(t.sum(axis=2, keepdims=True) / count)


def in_warp(t: Array) -> Array:
    """1 at the first 32 taps, else 0."""
    return np.asarray(np.arange(t.shape[2]) < 32).astype(t.dtype)[:, None]


def over_channels(t: Array) -> Array:
    """The mean over the channels, in the shape of the mean over taps."""
    return np.asarray(np.broadcast_to(t.mean(axis=1, keepdims=True)[:, :, :1], t[:, :, :1].shape))


def eq7(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong border of one product."""
    return Variant("border_eq7", name, says, source, parts)


EQ7 = (
    eq7("noise_forgotten", "The noise of the input, w e / (w + dw), is left out.",
        "the border of one layer alone", offset=lambda w, d_w, x, e: d_w * x),
    eq7("weight_error_forgotten", "The weight's error, dw x' / (w + dw), is left out.",
        "term forgotten", offset=lambda w, d_w, x, e: w * e),
    eq7("weight_error_reversed", "dw is taken as w - w_hat in the offset.", "sign of dw",
        offset=lambda w, d_w, x, e: w * e - d_w * x),
    eq7("noise_reversed", "e is taken as x - x'.", "sign of e",
        offset=lambda w, d_w, x, e: d_w * x - w * e),
    eq7("noise_times_quantized_weight", "e is multiplied by w + dw instead of w.",
        "What e in place of w e", offset=lambda w, d_w, x, e: d_w * x + (w + d_w) * e),
    eq7("clean_input", "dw multiplies the clean input x = x' - e.", "x in place of x'",
        offset=lambda w, d_w, x, e: d_w * (x - e) + w * e),
    eq7("divided_by_weight", "The offset is divided by w instead of w + dw.",
        "the denominator without dw", slope=lambda w, d_w: w),
    eq7("half_forgotten", "The constant 1/2 is missing.", "term forgotten", half=0),
    eq7("flat_is_zero", "Where w + dw = 0 the border is 0 instead of 1/2.",
        "division guarded by a zero", if_flat=-0.5),
    eq7("small_is_flat", "Slopes below 1e-6 count as 0.", "a threshold in place of == 0 (C11)",
        slope=lambda w, d_w: np.where(np.abs(w + d_w) < 1e-6, 0, w + d_w).astype(w.dtype)),
    eq7("not_clipped", "The border leaves [0, 1].", "clip forgotten", clip=lambda b: b),
)  # fmt: skip


def closed(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong closed form."""
    return Variant("border_shared_closed", name, says, source, parts)


CLOSED = (
    closed("groups_interleaved", "Output i is given to group i mod g.", "layout of groups",
           grouped=interleaved),
    closed("taps_before_channels", "Columns are read as tap * c + channel.", "order of im2col rows",
           grouped=taps_first),
    closed("squares_of_weights", "Divided by the sum of w^2 instead of w_hat^2.", "A read as w",
           squares=lambda w, hat: w * w),
    closed("gain_of_weights", "R is sum w^2 over sum A^2.", "A read as w",
           gain=lambda w, hat: w * w),
    closed("gain_is_one", "R is taken as 1: w and w_hat are not told apart.", "A read as w",
           gain=lambda w, hat: hat * hat),
    closed("tilt_reversed", "dw is taken as w - w_hat.", "sign of dw",
           tilt=lambda w, hat: hat * (w - hat)),
    closed("tilt_times_weight", "sum w dw in place of sum A dw.", "A read as w",
           tilt=lambda w, hat: w * (hat - w)),
    closed("slope_of_noise_forgotten", "e1 R is missing from b1.", "term forgotten",
           combine=lambda gain, tilt, e: (e[0] * gain, tilt, e[2] * gain)),
    closed("weight_errors_forgotten", "sum A dw / sum A^2 is missing from b1.", "term forgotten",
           combine=lambda gain, tilt, e: (e[0] * gain, e[1] * gain, e[2] * gain)),
    closed("half_in_b0", "b0 holds the constant 1/2, which the bound adds again.",
           "B* in place of B* - 1/2",
           combine=lambda gain, tilt, e: (0.5 + e[0] * gain, tilt + e[1] * gain, e[2] * gain)),
    closed("coefficients_reversed", "e0 and e2 are exchanged.", "order of the coefficients",
           combine=lambda gain, tilt, e: (e[2] * gain, tilt + e[1] * gain, e[0] * gain)),
    closed("noise_times_tilt", "The noise is multiplied by sum A dw / sum A^2 instead of R.",
           "the two sums exchanged",
           combine=lambda gain, tilt, e: (e[0] * tilt, tilt + e[1] * tilt, e[2] * tilt)),
    closed("dead_position_is_nan", "0 / 0 at a position whose quantized weights are all 0.",
           "no guard of the division", if_dead=np.nan),
)  # fmt: skip


def poly(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong polynomial."""
    return Variant("border_poly", name, says, source, parts)


POLY = (
    poly("square_transposed", "Channels and taps are exchanged where they are as many.",
         "a layout guessed from the shape",
         spread=lambda b: plain.spread(b.T if b.shape[0] == b.shape[1] else b)),
    poly("constant_forgotten", "b0 is missing.", "term forgotten", constant=lambda b: 0 * b),
    poly("half_included", "The constant 1/2 is part of P.", "the bound adds it again",
         constant=lambda b: b + b.dtype.type(0.5)),
    poly("linear_forgotten", "b1 u is missing.", "term forgotten", linear=lambda u, b: 0 * u),
    poly("square_forgotten", "b2 u^2 is missing.", "linear mode", square=lambda u, b: 0 * u),
    poly("not_squared", "b2 multiplies u instead of u^2.", "a lost square",
         square=lambda u, b: b * u),
    poly("magnitude", "b1 multiplies |u|.", "a border even in u",
         linear=lambda u, b: b * np.abs(u)),
    poly("coefficient_squared", "(b2 u)^2 instead of b2 u^2.", "bracket",
         square=lambda u, b: (b * u) ** 2),
    poly("taps_before_channels", "Coefficients are laid out as (k, c).", "order of the axes",
         spread=lambda b: b.reshape(b.shape[::-1]).T[None, :, :, None]),
    poly("first_tap_for_all", "Every tap takes the coefficients of tap 0.",
         "one border per channel",
         spread=lambda b: np.repeat(b[:, :1], b.shape[1], 1)[None, :, :, None]),
)  # fmt: skip
BOUND_SLIPS = (
    ("kappa_scales_the_half", "kappa multiplies sigma itself: the border is not 1/2 at P = 0.",
     "kappa sigma in place of 1/2 + kappa (sigma - 1/2)",
     {"outer": lambda p, kappa: kappa * plain.sigma(p)}),
    ("half_forgotten", "The constant 1/2 is missing.", "term forgotten",
     {"outer": lambda p, kappa: kappa * (plain.sigma(p) - 0.5)}),
    ("kappa_inside", "kappa multiplies P instead of the sigmoid's value.", "the other reading",
     {"outer": plain.inner}),
    ("kappa_outside", "kappa multiplies the sigmoid's value instead of P.", "the other reading",
     {"inner": plain.outer}),
    ("kappa_ignored", "kappa is 1: the border stays within [0, 1] without ever reaching it.",
     "the plain sigmoid", {"kappa_of": lambda attrs: 1.0}),
    ("kappa_fixed", "kappa is 2.5 whatever is asked for.", "a constant in a kernel",
     {"kappa_of": lambda attrs: 2.5}),
    ("exponential_overflows", "e^P / (1 + e^P) is NaN at large P.", "an unguarded exponential",
     {"outer": overflowing}),
    ("tanh_of_whole", "tanh(P) in place of tanh(P / 2): the sigmoid is twice as steep.",
     "the identity of sigma and tanh", {"outer": lambda p, kappa: 0.5 + kappa * np.tanh(p) / 2}),
    ("not_clipped", "The border leaves [0, 1].", "clip forgotten", {"unit": lambda t: t}),
    ("clip_without_half", "clip(P, 0, 1): b = 0 rounds everything up.", "AQ eq.7 as printed",
     {"shifted": lambda p: p}),
    ("clip_scaled", "kappa multiplies P under the clip too.", "the bounds mixed",
     {"shifted": lambda p: 0.5 + 2.5 * p}),
)  # fmt: skip
BOUND = tuple(Variant("border_bound", *slip) for slip in BOUND_SLIPS)
SLOPE_SLIPS = (
    ("kappa_forgotten", "The outer slope lacks its factor kappa.", "factor forgotten",
     {"outer_slope": lambda p, kappa: plain.outer_slope(p, 1.0)}),
    ("inner_kappa_forgotten", "The inner slope lacks its factor kappa.", "factor forgotten",
     {"inner_slope": lambda p, kappa: plain.outer_slope(kappa * p, 1.0)}),
    ("slope_of_the_border", "E (1 - E) of the stretched border in place of sigma (1 - sigma).",
     "the derivative read off the output",
     {"outer_slope": lambda p, kappa: kappa * plain.unit(plain.outer(p, kappa)) * (1 -
         plain.unit(plain.outer(p, kappa)))}),
    ("inner_slope_of_p", "The inner slope is taken at P instead of kappa P.", "argument",
     {"inner_slope": plain.outer_slope}),
    ("clip_slope_is_kappa", "The slope under the clip is kappa instead of 1.", "the bounds mixed",
     {"clip_slope": lambda p, kappa: np.full_like(p, kappa)}),
    ("mask_forgotten", "The gradient passes where the border is clipped.", "mask forgotten",
     {"closed": lambda t: np.ones(t.shape, bool)}),
    ("edge_excluded", "The gradient is 0 where the border is exactly 0 or 1.", "pytorch/ao#4806",
     {"closed": lambda t: (t > 0) & (t < 1)}),
    ("always_masked", "border_mask=open is ignored.", "option ignored",
     {"is_open": lambda attrs: False}),
)  # fmt: skip
BOUND_BACKWARD = tuple(Variant("border_bound_backward", *slip) for slip in SLOPE_SLIPS)


def fuse(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong fusion."""
    return Variant("border_fuse", name, says, source, parts)


FUSE = (
    fuse("sum", "Taps are added instead of averaged.", "1/K forgotten",
         mean=lambda t: t.sum(axis=2, keepdims=True)),
    fuse("nine_taps", "The sum is divided by 9 whatever the kernel.", "a constant in a kernel",
         mean=lambda t: t.sum(axis=2, keepdims=True) / 9),
    fuse("one_warp", "Only the first 32 taps are added up.", "a reduction of one warp",
         mean=lambda t: t[:, :, :32].sum(axis=2, keepdims=True) / t.shape[2]),
    fuse("without_zeros", "Taps that are 0 are left out of the mean.", "padding left out (D38)",
         mean=without_zeros),
    fuse("over_channels", "The mean runs over the channels instead of the taps.", "axis",
         mean=over_channels),
    fuse("over_windows", "The mean runs over the windows too.", "axis",
         mean=lambda t: t.mean(axis=(2, 3), keepdims=True) + 0 * t[:, :, :1]),
    fuse("weights_ignored", "All fusion weights are taken as 1.", "the weights absorbed",
         weights_of=lambda inputs, p: np.ones_like(p)),
    fuse("weights_normalised", "The weights are divided by their sum.", "a weighted mean",
         weights_of=lambda inputs, p: plain.weights_of(inputs, p) * p.shape[2] / np.where((s :=
             plain.weights_of(inputs, p).sum(axis=2, keepdims=True)) == 0, 1, s)),
    fuse("weights_transposed", "Fusion weights are laid out as (k, c).", "order of the axes",
         weights_of=lambda inputs, p:
             plain.spread(inputs["fusion"].reshape(inputs["fusion"].shape[::-1]).T) if "fusion" in
             inputs else np.ones_like(p)),
    fuse("not_clipped", "The fused border leaves [0, 1].", "clip forgotten", limit=lambda t: t),
    fuse("bounds_not_clipped", "The borders are averaged before any clip.", "clip forgotten",
         unit=lambda t: t),
    fuse("centre_lost", "The 1/2 taken off before the centred mean is not added back.",
         "term forgotten", back=lambda centre: 0.0),
    fuse("centre_kept", "The centred mean weighs the 1/2 too.", "bound_fuse in place of centred",
         centre=lambda attrs: 0.0, back=lambda centre: 0.0),
    fuse("always_fused", "Taps are averaged although nothing is to be fused.", "option ignored",
         unfused=lambda p, attrs: False),
    fuse("never_fused", "Every tap keeps its own border; that of tap 0 comes first.",
         "option ignored", unfused=lambda p, attrs: True),
    *(Variant("border_fuse", *BOUND_SLIPS[i]) for i in (0, 3, 9)),
)  # fmt: skip


def back(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong gradient of the fusion."""
    return Variant("border_fuse_backward", name, says, source, parts)


FUSE_BACKWARD = (
    back("one_over_taps_forgotten", "Gradients lack the factor 1/K.", "factor forgotten",
         share=lambda d, p: d),
    back("one_warp", "Only the first 32 taps have a gradient.", "a loop over one warp",
         weighted=lambda share, weights: share * weights * in_warp(weights)),
    back("weight_forgotten", "d_p lacks the fusion weight.", "factor forgotten",
         weighted=lambda share, weights: share + 0 * weights),
    back("weights_by_polynomial", "d_fusion sums P in place of E.", "fuse_bound's rule",
         terms=lambda e, p: p),
    back("centre_in_weights", "d_fusion of the centred mean counts the 1/2.", "term forgotten",
         alpha_centre=lambda attrs: 0.0),
    back("slope_forgotten", "d_p lacks the slope of the bound.", "factor forgotten",
         own_slope=lambda p, attrs, part: np.ones_like(p)),
    back("slope_at_the_mean", "The slope of the bound is taken at the mean of P.",
         "fuse_bound's rule",
         own_slope=lambda p, attrs, part: plain.slope(plain.mean_over_taps(p) + np.zeros_like(p),
             attrs, part)),
    back("slope_at_the_taps", "The slope of the bound is taken at every tap's P.",
         "bound_fuse's rule",
         slope_at=lambda shared, p, attrs, part: plain.mean_over_taps(plain.slope(p, attrs, part))),
    back("mask_forgotten", "The gradient passes where the fused border is clipped.",
         "mask forgotten", live=lambda t: np.ones(t.shape, bool)),
    back("edge_excluded", "The gradient is 0 where the fused border is exactly 0 or 1.",
         "pytorch/ao#4806", live=lambda t: (t > 0) & (t < 1)),
    back("bound_mask_forgotten", "The gradient passes where the bound is clipped.",
         "mask forgotten", closed=lambda t: np.ones(t.shape, bool)),
    back("always_masked", "border_mask=open is ignored.", "option ignored",
         is_open=lambda attrs: False),
    back("mean_over_samples", "d_fusion is averaged over the samples.", "sum against mean",
         total=lambda t: t.mean(axis=0).sum(axis=2)),
    back("last_window", "d_fusion takes the last window only.", "an accumulator overwritten",
         total=lambda t: t.sum(axis=0)[:, :, -1]),
    back("weights_ignored", "All fusion weights are taken as 1.", "the weights absorbed",
         weights_of=lambda inputs, p: np.ones_like(p)),
)  # fmt: skip
VARIANTS_BORDER = EQ7 + CLOSED + POLY + BOUND + BOUND_BACKWARD + FUSE + FUSE_BACKWARD
