"""A-rounding: real weights, activations rounded so that the errors of a patch column cancel.

Reference: Li et al., AQuant, arXiv:2208.11945, table 1 and appendix A (methods.md 14). It shows
what is to be gained by rounding activations adaptively; it is too slow to deploy.

    paper   here                    meaning
    x       patches (input place)   one column of im2col at a time, (c_in, K)
    s       s_x                     as nearest's
    s_i     S_i                     sum of the errors of channel i, at most 1/2 after its flips
    p       T                       their sum, signed (methods.md 14), at most 1/2 in the end

The arithmetic is in `refquant.quantizers.a_rounding`.
"""

from dataclasses import replace

from refquant.components import ARoundingActivations
from refquant.methods.nearest import NEAREST

A_ROUNDING = replace(
    NEAREST,
    name="a-rounding",
    reference="AQuant, arXiv:2208.11945, table 1",
    parents=("nearest",),
    weights=None,
    activations=ARoundingActivations(),
    placement="input",
)
