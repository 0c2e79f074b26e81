"""A-rounding: real weights, activations rounded so that the errors of a patch column cancel.

Reference: Li et al., AQuant, arXiv:2208.11945, table 1 and appendix A (methods.md 14). It shows
what is to be gained by rounding activations adaptively; it is too slow to deploy.
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
