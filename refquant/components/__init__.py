"""Components: quantizers as data, bound to the parameters they read and learn.

A *weight component* turns a layer's weight into its quantized form:

    start(w)                 -> parameters at their initial values
    start_at(w, qparams)     -> the same at a step and zero point found elsewhere; where there is
                                a `calibration`
    forward(w, params)       -> (w_hat, cache)          soft, while learning
    backward(d_w_hat, cache) -> {parameter: gradient}   of the learnable ones
    codes(w, params)         -> int64, level in u-space (code minus zero point), hardened
    step(params)             -> (c_out,) or () the step that multiplies the codes
    zero_point(params)       -> int64, what turns levels into codes
    share_binary(params)     -> share of the weights whose rounding is decided
    penalty(params, beta)    -> (value, {parameter: gradient})   only where a phase has a penalty
    enter(w, params, learnt) -> parameters at the start of a phase that learns some; optional
    bounds                   -> {parameter: (low, high)} kept while learning; optional
    tied                     -> (parameter, the one it follows, the fix) each; optional
    positive                 -> those that are steps, learnt with a positive `project`; optional
    switches                 -> those that schedules drive and nothing learns; optional
    stages                   -> those of which a phase learns one at most; optional

An *activation component* does the same for the value on an edge:

    start(x, taps)           -> parameters; taps: rows of patches a channel, 1 on feature maps
    forward(x, params)       -> (x_hat, cache)
    backward(d_x_hat, cache) -> (d_x, {parameter: gradient})
    codes(x, params)         -> int64, code space
    step(params), zero_point(params)
    samples                  -> how many calibration inputs, from the first, `start` is shown
    elementwise              -> whether each value is rounded by itself
    parameter_gradients(d_x_hat, cache) -> those alone, where there is a shorter way; optional
    offset(params)           -> real value of the level 0, where it is not 0; optional
    bounds, positive, switches -> as of a weight component; optional
    placements               -> where its quantizers may stand, if not anywhere; optional
    uniform                  -> False: levels no integer times a step, hence no integer products,
                                and neither step nor zero point; optional
    passes                   -> False: no gradient goes through; optional
    behind                   -> the operations behind which it may stand; optional

An *output component* has only ``start(place)``: what is learnt behind the product, as scale `xi`
and shift `eta`, which the network's nodes read by these names.

The first two have `bits` and `grid`, a kind of `refquant.quantizers.grid`; a setting holds the
component for the inner layers, and the front door replaces `bits` per layer. `learnable` names the
parameters that may be learnt.
"""

from refquant.components.a_rounding_activations import ARoundingActivations
from refquant.components.activations import NearestActivations
from refquant.components.adaquant import AdaQuantActivations, AdaQuantWeights
from refquant.components.adaround_weights import AdaRoundWeights
from refquant.components.asoftmax_weights import ASoftmaxWeights
from refquant.components.border_activations import BorderActivations
from refquant.components.decoupled_weights import DecoupledWeights
from refquant.components.log_sqrt2_activations import LogSqrt2Activations
from refquant.components.lsq_plus_activations import LsqPlusActivations
from refquant.components.lsq_plus_weights import LsqPlusWeights
from refquant.components.output_transform import FreeBias, NormAffine, XiEta, XiEtaBias
from refquant.components.progressive_weights import ProgressiveWeights
from refquant.components.squant_weights import SQuantWeights
from refquant.components.trained_weights import TrainedWeights
from refquant.components.weights import NearestWeights

__all__ = [
    "ARoundingActivations",
    "ASoftmaxWeights",
    "AdaQuantActivations",
    "AdaQuantWeights",
    "AdaRoundWeights",
    "BorderActivations",
    "DecoupledWeights",
    "FreeBias",
    "LogSqrt2Activations",
    "LsqPlusActivations",
    "LsqPlusWeights",
    "NearestActivations",
    "NearestWeights",
    "NormAffine",
    "ProgressiveWeights",
    "SQuantWeights",
    "TrainedWeights",
    "XiEta",
    "XiEtaBias",
]
