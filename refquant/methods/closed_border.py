"""Nearest weights, and activations rounded at a border in closed form: no training at all.

Reference: methods.md 13.2, beyond AQuant (arXiv:2208.11945), whose learning this starts towards.

    paper   eq.   here         value
    B*      --    b0, b1, b2   A^2-weighted mean of the borders of eq. 7 over the outputs (P15)
    A, c    6     --           A = w + dw, c = dw x' + w e, from weights, codes and inputs
    1/2     7     bound        clip(1/2 + P, 0, 1): the constant stands apart from P (D23)

    step        one layer after the other, with those before it already quantized
    FitBorder   b*, the shared border that the weights' errors and the noise of the input dictate
    fusion      none: the closed form is exact without it, and with the clip as bound

On three digits networks it is worth 1.3 to 3.0 dB of logit SQNR at W2A2 and 2.7 to 5.6 dB at W3A3,
on the calibration images (`validation/closed_border.md`). As the start of AQuant, or behind a
method that learnt its rounding, it gains nothing.
"""

from dataclasses import replace

from refquant.components import BorderActivations
from refquant.methods.finish import FitBorder
from refquant.methods.nearest import NEAREST
from refquant.quantizers.border_options import BorderOptions

NEAREST_BORDER = replace(
    NEAREST,
    name="nearest-border",
    reference="closed-form border, methods.md 13.2",
    parents=("nearest", "aquant"),
    placement="input",
    activations=BorderActivations(options=BorderOptions(bound="clip", fuse="none")),
    finish=(FitBorder(),),
)
