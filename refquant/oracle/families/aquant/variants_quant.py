"""Wrong quantizers and wrong gradients."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.aquant import plain_border as border
from refquant.oracle.families.aquant import plain_quant as plain
from refquant.oracle.families.aquant.variants_border import BOUND_SLIPS, FUSE, FUSE_BACKWARD
from refquant.oracle.op import Attrs, Inputs, Variant


def quant(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong quantizer."""
    return Variant("aquant_quant", name, says, source, parts)


def back(name: str, says: str, source: str, **parts: Any) -> Variant:
    """A wrong gradient."""
    return Variant("aquant_quant_backward", name, says, source, parts)


def borrowed(op: str, variant: Variant) -> Variant:
    """A variant of a part, as a variant of the whole."""
    return Variant(op, f"border_{variant.name}", variant.says, variant.source, variant.parts)


def ceil_form(u: Array, base: Array, limit: Array) -> Array:
    """ceil(u - B) - floor(u)."""
    return np.asarray(np.ceil(u - limit) - base)


def wrapped(v: Array, u: Array, attrs: Attrs) -> Array:
    """Levels beyond the ends come round."""
    n, p = attrs["n"], attrs["p"]
    whole = np.nan_to_num(v, nan=0.0, posinf=p, neginf=n)
    return np.asarray(np.where((whole < n) | (whole > p), (whole - n) % (p - n + 1) + n, whole))


def first_clipped(v: Array, u: Array, attrs: Attrs) -> Array:
    """NaN clipped to the lower end."""
    return np.clip(np.where(np.isnan(v), attrs["n"], v), attrs["n"], attrs["p"])


def narrow(v: Array, u: Array, attrs: Attrs) -> Array:
    """The lowest level of a signed grid left out."""
    low = max(attrs["n"], -attrs["p"])
    return plain.limit_levels(v, u, {**attrs, "n": low})


def of_channel(u: Array, inputs: Inputs) -> Array:
    """Every tap with the coefficients of tap 0."""
    shared = {k: np.repeat(b[:, :1], b.shape[1], 1) for k, b in inputs.items() if k[0] == "b"}
    return plain.polynomial(u, shared)


QUANT = (
    quant("division_lost", "The border is computed from x instead of x / s.",
          "AQ eq.8 as printed, s clip(ceil(x - B))", argument=lambda u, s: u * s),
    quant("step_squared", "The border is computed from x / s^2.", "divided twice",
          argument=lambda u, s: u / s),
    quant("not_dequantized", "x_hat is the level, not times the step.", "factor forgotten",
          dequantize=lambda t, s: t),
    quant("ceil_form", "ceil(u - B): a whole number moves down where the border is 1.",
          "AQ eq.8 as printed (D1)", is_above=ceil_form),
    quant("at_the_border_up", "A fraction equal to its border goes up.", ">= in place of > (D1)",
          is_above=lambda u, base, limit: u - base >= limit),
    quant("border_mirrored", "Fractions are compared with 1 - B.", "the border counted from above",
          is_above=lambda u, base, limit: u - base > 1 - limit),
    quant("down_above", "Fractions above the border go down.", "the comparison turned round",
          is_above=lambda u, base, limit: u - base < limit),
    quant("border_ignored", "Rounds to nearest: the border is 1/2 everywhere.",
          "a kernel specialised for the initial border",
          is_above=lambda u, base, limit: u - base > 0.5),
    quant("fraction_rounded", "u - floor(u) is rounded to the border for -1/2 < u < 0.",
          "the subtraction is not exact there", is_above=lambda u, base, limit: u - base > limit),
    quant("schedule_ignored", "Values are rounded whatever a.", "the schedule left out in training",
          weight=lambda attrs: 1.0),
    quant("schedule_reversed", "1 - a is used: rounding fades instead of growing.",
          "the weight of the other term", weight=lambda attrs: 1.0 - float(attrs["a"])),
    quant("clipped_before_mixing", "The rounded level is clipped, then mixed with an unclipped u.",
          "order of clip and mix (D10)",
          mix=lambda u, r, a, attrs: plain.mix(u, np.clip(r, attrs["n"], attrs["p"]), a, attrs),
          levels=lambda v, u, attrs: np.where(np.isnan(v), 0, v)),
    quant("not_clipped", "Levels leave [n, p].", "clip forgotten",
          levels=lambda v, u, attrs: np.where(np.isnan(v), 0, v)),
    quant("wraps", "Levels beyond the ends come round instead of saturating.", "onnx/onnx#7835",
          levels=wrapped),
    quant("nan_to_the_end", "NaN takes the lowest level instead of 0.", "ROCm/AMDMIGraphX#4914",
          levels=first_clipped),
    quant("narrow_range", "The lowest level of a signed grid is not used.",
          "microsoft/onnxruntime#3442", levels=narrow),
    quant("zero_point_forgotten", "Levels start at 0 whatever n.", "Algorithm 1 is unsigned (D25)",
          levels=lambda v, u, attrs: plain.limit_levels(v, u, {**attrs, "n": 0})),
    quant("one_level_more", "The upper end is p + 1.", "2^b in place of 2^b - 1",
          levels=lambda v, u, attrs: plain.limit_levels(v, u, {**attrs, "p": attrs["p"] + 1})),
    quant("border_of_clipped_input", "The border is computed from clip(u, n, p).",
          "the input clamped first",
          seen=lambda u, attrs: np.clip(np.nan_to_num(u), attrs["n"], attrs["p"])),
    quant("border_of_nan", "A NaN or an infinity makes the border of all its taps NaN.",
          "no guard of the border's input", seen=lambda u, attrs: u),
    quant("border_of_magnitude", "The border is computed from |u|.", "a border even in u",
          argument=lambda u, s: np.abs(u)),
    quant("one_border_per_channel", "Every tap takes the coefficients of tap 0.",
          "parameters of shape (c,)", polynomial=of_channel),
    quant("square_forgotten", "b2 u^2 is missing.", "linear mode",
          polynomial=lambda u, inputs: plain.polynomial(u, {k: v for k, v in inputs.items() if k
              != "b2"})),
    *(borrowed("aquant_quant", v) for v in FUSE if v.name not in ("not_clipped", "never_fused")),
    *(Variant("aquant_quant", f'border_{s[0]}', *s[1:]) for s in BOUND_SLIPS[4:6]),
)  # fmt: skip


def sums(f: SimpleNamespace, g: Array, m: Array, way: Array, inside: Array) -> Any:
    """d_s with another slope of the levels, `inside`."""
    return (g * inside).sum() - (way * f.seen).sum() / f.s


def own_curve(scale: float, first: float) -> Any:
    """`through` with other factors of 2 b2 u and of b1."""

    def way(f: SimpleNamespace, d_p: Array, inputs: Inputs, attrs: Attrs) -> Array:
        bent = {**inputs, "b1": inputs["b1"] * inputs["b1"].dtype.type(first)}
        if "b2" in bent:
            bent["b2"] = bent["b2"] * bent["b2"].dtype.type(scale)
        return plain.through(f, d_p, bent, attrs)

    return way


BORROWED = ("slope_at_the_mean", "slope_at_the_taps", "edge_excluded", "weights_ignored")
BACKWARD = (
    back("border_up", "The border's gradient has the wrong sign.", "a higher border rounds down",
         d_border=lambda d_v, a: float(a) * d_v),
    back("schedule_forgotten", "The border's gradient lacks the weight a.", "factor forgotten",
         d_border=lambda d_v, a: -d_v),
    back("step_forgotten", "The border's gradient lacks the factor s.", "factor forgotten",
         d_v=lambda g, f: g, d_x=lambda d_v, way, f: d_v + way / f.s),
    back("clip_ignored", "Elements outside the range pass their gradient.",
         "Oneflow-Inc/oneflow#8649", inside=lambda f, attrs: np.ones(f.u.shape, bool)),
    back("clip_strict", "Elements whose level is n or p pass no gradient.", "pytorch/ao#4806",
         inside=lambda f, attrs: plain.inside(f, attrs) & (f.t > attrs["n"]) & (f.t < attrs["p"])),
    back("clip_of_input", "The clip mask is taken from u where it should be from v.",
         "pytorch/pytorch#49315",
         inside=lambda f, attrs: (f.u >= attrs["n"]) & (f.u <= attrs["p"])),
    back("gate_forgotten", "The border gets a gradient from elements on which it has no effect.",
         "the straight-through rule as printed (D17)",
         gate=lambda f, attrs: np.ones(f.u.shape, bool)),
    back("gate_always", "Elements at the ends give the border no gradient, though asked to.",
         "option ignored (D17)", gate=lambda f, attrs: (f.u > attrs["n"]) & (f.u < attrs["p"])),
    back("gate_inclusive", "The gate lets u = n and u = p through: zeros and padding.",
         "n <= u <= p in place of n < u < p",
         gate=lambda f, attrs: plain.gate(f, attrs) | (f.u == attrs["n"]) | (f.u == attrs["p"])),
    back("taps_averaged", "The gradient of a shared border is the mean over its taps.",
         "sum against mean",
         gather=lambda d, f: d if d.shape == f.b.shape else d.mean(axis=2, keepdims=True)),
    back("first_tap_only", "The gradient of a shared border is that of its first tap.",
         "a broadcast undone by a slice",
         gather=lambda d, f: d if d.shape == f.b.shape else d[:, :, :1]),
    back("border_detached", "The gradient of x and s by way of the border is left out.",
         "option ignored (D39)", through=lambda f, d_p, inputs, attrs: np.zeros_like(f.seen)),
    back("border_attached", "detach_border_input is ignored.", "option ignored (D39)",
         through=lambda f, d_p, inputs, attrs: plain.through(f, d_p, inputs,
             {"detach_border_input": False})),
    back("two_forgotten", "dP/du is b2 u + b1 instead of 2 b2 u + b1.", "derivative of a square",
         through=own_curve(0.5, 1.0)),
    back("slope_forgotten", "dP/du lacks b1.", "term forgotten", through=own_curve(1.0, 0.0)),
    back("square_forgotten", "dP/du lacks 2 b2 u.", "term forgotten", through=own_curve(0.0, 1.0)),
    back("through_reversed", "The gradient by way of the border has the wrong sign.", "sign",
         through=own_curve(-1.0, -1.0)),
    back("through_not_divided", "The gradient of x by way of the border is not divided by s.",
         "the division lost", d_x=lambda d_v, way, f: d_v / f.s + way),
    back("through_missing_from_step", "d_s counts the direct term only.", "term forgotten",
         step_gradient=lambda f, g, m, way: plain.step_gradient(f, g, m, 0 * way)),
    back("through_added_to_step", "d_s adds the way through the border instead of taking it off.",
         "sign", step_gradient=lambda f, g, m, way: plain.step_gradient(f, g, m, -way)),
    back("step_by_level", "d_s sums the levels without taking off u.", "term forgotten",
         step_gradient=lambda f, g, m, way: sums(f, g, m, way, f.t)),
    back("step_without_mask", "d_s takes u off outside the range too.", "mask forgotten",
         step_gradient=lambda f, g, m, way: sums(f, g, m, way, f.t - f.seen)),
    back("step_inside_only", "Clipped elements give the step no gradient.", "mask on both terms",
         step_gradient=lambda f, g, m, way: sums(f, g, m, way, np.where(m, f.t - f.seen, 0))),
    back("step_mean", "d_s is a mean instead of a sum.", "sum against mean",
         step_gradient=lambda f, g, m, way: plain.step_gradient(f, g, m, way) / g.size),
    back("grad_scale_forgotten", "d_s lacks the factor grad_scale.", "zhutmost/lsq-net#23",
         grad_scale=lambda attrs: 1.0),
    back("b1_without_input", "d_b1 sums GP instead of GP u.", "factor forgotten",
         first=lambda f: np.ones_like(f.seen)),
    back("b2_not_squared", "d_b2 sums GP u instead of GP u^2.", "a lost square",
         second=lambda f: f.seen),
    back("b2_doubled", "d_b2 sums 2 GP u^2.", "the derivative by u in place of that by b2",
         second=lambda f: 2 * f.seen * f.seen),
    back("by_input", "d_b1 and d_b2 use x instead of x / s.", "the division by s lost",
         first=lambda f: f.seen * f.s, second=lambda f: f.seen * f.s * f.seen * f.s),
    back("mean_over_samples", "Gradients of the border are averaged over samples.",
         "sum against mean", total=lambda t: t.mean(axis=0).sum(axis=2)),
    back("last_window", "Gradients of the border take the last window only.",
         "an accumulator overwritten", total=lambda t: t.sum(axis=0)[:, :, -1]),
    back("one_over_taps_forgotten", "The gradient of a shared border lacks 1/K.",
         "factor forgotten", share=lambda d, p: d),
    back("weight_forgotten", "GP lacks the fusion weight.", "factor forgotten",
         weighted=lambda share, weights: share + 0 * weights),
    back("weights_by_polynomial", "d_fusion sums P in place of E.", "fuse_bound's rule",
         terms=lambda e, p: p),
    back("centre_in_weights", "d_fusion of the centred mean counts the 1/2.", "term forgotten",
         alpha_centre=lambda attrs: 0.0),
    back("bound_slope_forgotten", "GP lacks the slope of the bound.", "factor forgotten",
         own_slope=lambda p, attrs, part: np.ones_like(p)),
    back("bound_mask_forgotten", "The gradient passes where the bound is clipped.",
         "mask forgotten", closed=lambda t: np.ones(t.shape, bool)),
    back("mean_mask_forgotten", "The gradient passes where the fused border is clipped.",
         "mask forgotten", live=lambda t: np.ones(t.shape, bool)),
    back("always_masked", "border_mask=open is ignored.", "option ignored",
         is_open=lambda attrs: False),
    back("kappa_forgotten", "The slope of the outer sigmoid lacks kappa.", "factor forgotten",
         outer_slope=lambda p, kappa: border.outer_slope(p, 1.0)),
    back("inner_kappa_forgotten", "The slope of the inner sigmoid lacks kappa.", "factor forgotten",
         inner_slope=lambda p, kappa: border.outer_slope(kappa * p, 1.0)),
    *(borrowed("aquant_quant_backward", v) for v in FUSE_BACKWARD if v.name in BORROWED),
    back("border_in_x", "The border is computed from x instead of x / s.",
         "AQ eq.8 as printed, s clip(ceil(x - B))", argument=lambda u, s: u * s),
)  # fmt: skip
VARIANTS_QUANT = QUANT + BACKWARD
