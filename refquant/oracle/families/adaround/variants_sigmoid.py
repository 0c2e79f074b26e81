"""Wrong rectified sigmoids and regularisers."""

import numpy as np

from refquant._types import Array
from refquant.oracle.families.adaround import plain_sigmoid as plain
from refquant.oracle.op import Attrs, Variant


def by_growing_exp(alpha: Array) -> Array:
    """exp(a) / (1 + exp(a)): infinity over infinity for a large a."""
    return np.asarray(np.exp(alpha) / (1.0 + np.exp(alpha)))


def live_everywhere(alpha: Array) -> Array:
    """No mask."""
    return np.ones_like(alpha)


def live_by_released_width(alpha: Array) -> Array:
    """Read off the stretched sigmoid, whose width is 1.2000000000000002 in float64."""
    stretched = (1.1 - -0.1) * plain.logistic(alpha) - 0.1
    return np.asarray((stretched >= 0.0) & (stretched <= 1.0))


def live_by_unstretched(alpha: Array) -> Array:
    """As if h were saturated where the sigmoid itself is beyond 0.1 and 0.9."""
    return np.asarray(np.abs(plain.logistic(alpha) - 0.5) <= 0.4)


def unsigned_push(h: Array, beta: float) -> Array:
    """Without the sign."""
    return np.asarray(-2.0 * beta * np.abs(2.0 * h - 1.0) ** (beta - 1.0))


def push_of_beta(h: Array, beta: float) -> Array:
    """The exponent not lowered by one."""
    centred = 2.0 * h - 1.0
    return np.asarray(-2.0 * beta * np.abs(centred) ** beta * np.sign(centred))


def no_weight(attrs: Attrs) -> float:
    """lambda left out."""
    return 1.0


NO_MASK = "The gradient also passes where h is saturated at 0 or 1."
NO_LAMBDA = "lambda is left out."
VARIANTS = (
    Variant("rect_sigmoid", "plain_sigmoid",
            "The sigmoid is not stretched: h never reaches 0 or 1.",
            "the gamma and zeta of equation 23 left out", {"width": 1.0, "below": 0.0}),
    Variant("rect_sigmoid", "not_clipped", "h is not limited to [0, 1].",
            "the clip of equation 23 left out", {"limit": lambda x: x}),
    Variant("rect_sigmoid", "clipped_below_only", "h exceeds 1 for a large alpha.",
            "a ReLU in place of the clip", {"limit": lambda x: np.maximum(x, 0.0)}),
    Variant("rect_sigmoid", "stretched_one_way",
            "The stretch is 1.1 wide: zeta in place of zeta - gamma.",
            "zeta and width confused", {"width": 1.1}),
    Variant("rect_sigmoid", "not_shifted", "gamma is left out: h(0) is 0.6.",
            "gamma dropped", {"below": 0.0}),
    Variant("rect_sigmoid", "sign_of_alpha", "h falls with alpha: the sign of alpha is inverted.",
            "exp(alpha) in place of exp(-alpha)", {"sigma": lambda a: plain.logistic(-a)}),
    Variant("rect_sigmoid", "overflows",
            "A large alpha gives NaN: exp(a) / (1 + exp(a)) overflows.",
            "the form of the sigmoid for negative arguments used for all",
            {"sigma": by_growing_exp}),
    Variant("rect_sigmoid", "hyperbolic_tangent",
            "tanh(alpha) stands where tanh(alpha / 2) belongs.",
            "sigma(a) = (1 + tanh(a / 2)) / 2 without its half",
            {"sigma": lambda a: 0.5 * (1.0 + np.tanh(a))}),
    Variant("rect_sigmoid_backward", "no_mask", NO_MASK,
            "the clip left out of the gradient",
            {"inclusive": live_everywhere, "strict": live_everywhere}),
    Variant("rect_sigmoid_backward", "width_forgotten", "The factor zeta - gamma = 1.2 is missing.",
            "the gradient of a sigmoid that is not stretched", {"width": 1.0}),
    Variant("rect_sigmoid_backward", "sigma_only", "sigma stands in place of sigma (1 - sigma).",
            "half of the derivative", {"bell": plain.logistic}),
    Variant("rect_sigmoid_backward", "edge_frozen",
            "Nothing passes at |alpha| = ln 11: weights on the grid never move.",
            "pytorch/ao#4806", {"inclusive": plain.strict}),
    Variant("rect_sigmoid_backward", "edge_passes", "The gradient passes at |alpha| = ln 11.",
            "torch.clamp in place of a strict comparison", {"strict": plain.inclusive}),
    Variant("rect_sigmoid_backward", "edge_by_released_width",
            "Weights on the grid are frozen: saturation is read off the stretched sigmoid.",
            "a width of 1.1 - (-0.1) = 1.2000000000000002", {"inclusive": live_by_released_width}),
    Variant("rect_sigmoid_backward", "masked_too_early", "Gradients stop at sigma = 0.1 and 0.9.",
            "gamma and zeta taken as limits of the sigmoid", {"inclusive": live_by_unstretched}),
    Variant("round_reg", "mean", "The terms are averaged, not summed.",
            "a loss reduced like the reconstruction", {"gather": np.mean}),
    Variant("round_reg", "first_256", "Weights beyond the first 256 are not summed.",
            "a launch of one block", {"gather": lambda terms: np.sum(terms.ravel()[:256])}),
    Variant("round_reg", "per_row", "Only the first row counts.",
            "a sum over one axis of two", {"gather": lambda terms: np.sum(terms[:1])}),
    Variant("round_reg", "no_lambda", NO_LAMBDA, "the weight applied elsewhere, or twice",
            {"weight": no_weight}),
    Variant("round_reg", "sign", "The penalty rewards open decisions: its sign is inverted.",
            "minus the sum of |2h - 1|^beta, and the 1 forgotten",
            {"openness": lambda h, beta: np.abs(2.0 * h - 1.0) ** beta}),
    Variant("round_reg", "not_centred", "|h|^beta stands in place of |2h - 1|^beta.",
            "h in [0, 1] taken as centred", {"openness": lambda h, beta: 1.0 - np.abs(h) ** beta}),
    Variant("round_reg", "square", "The exponent is 2 whatever beta is.",
            "beta not handed on", {"openness": lambda h, beta: 1.0 - (2.0 * h - 1.0) ** 2}),
    Variant("round_reg", "on_alpha", "The plain sigmoid is penalised, not the rectified one.",
            "sigma(alpha) in place of h(alpha)", {"h": plain.logistic}),
    Variant("round_reg_backward", "sign", "The push goes to h = 1/2, not to 0 and 1.",
            "the minus of the derivative lost", {"push": lambda h, b: -plain.push(h, b)}),
    Variant("round_reg_backward", "no_sign", "Every decision is pushed up.",
            "the derivative of an absolute value without its sign", {"push": unsigned_push}),
    Variant("round_reg_backward", "exponent", "The exponent is beta, not beta - 1.",
            "half of the power rule", {"push": push_of_beta}),
    Variant("round_reg_backward", "no_factor", "The factor 2 of 2h - 1 is missing.",
            "the chain rule through 2h - 1", {"push": lambda h, b: plain.push(h, b) / 2.0}),
    Variant("round_reg_backward", "no_beta", "The factor beta is missing.",
            "half of the power rule", {"push": lambda h, b: plain.push(h, b) / b}),
    Variant("round_reg_backward", "no_lambda", NO_LAMBDA, "the weight applied to the value alone",
            {"weight": no_weight}),
    Variant("round_reg_backward", "no_slope", "dR/dh is returned, without h'(alpha).",
            "the chain rule not finished",
            {"bell": np.ones_like, "width": 1.0, "inclusive": live_everywhere,
             "strict": live_everywhere}),
    Variant("round_reg_backward", "no_mask", NO_MASK, "the clip left out of the gradient",
            {"inclusive": live_everywhere}),
    Variant("round_reg_backward", "edge_frozen",
            "Nothing passes at |alpha| = ln 11: weights on the grid never move.",
            "pytorch/ao#4806", {"inclusive": plain.strict}),
    Variant("round_reg_backward", "edge_passes", "The gradient passes at |alpha| = ln 11.",
            "torch.clamp in place of a strict comparison", {"strict": plain.inclusive}),
)  # fmt: skip
