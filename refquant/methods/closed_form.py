"""Nearest rounding repaired by a closed form: best xi and eta, or bias correction.

References: methods.md 15.3, P44, for least squares; Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", arXiv:1906.04721, section 4.2, for the bias (its
empirical form; methods.md 8, P50).

    addition          sets        so that on the calibration set, layer by layer
    ols               xi, eta     the squared error of each channel is the smallest possible
    bias-correction   bias        the mean error of each channel is 0

Both follow any method, ``brecq+bias-correction``; behind one that learnt its rounding a layerwise
fit may undo what the reconstruction had balanced across layers.
"""

from refquant.components import XiEta
from refquant.methods.compose import Adds, compose
from refquant.methods.finish import CorrectBias, FitTransform
from refquant.methods.nearest import NEAREST

OLS = Adds(reference="least squares, P44", output=XiEta(), finish=(FitTransform(),))
BIAS_CORRECTION = Adds(reference="bias correction, arXiv:1906.04721", finish=(CorrectBias(),))

NEAREST_OLS = compose(NEAREST, "ols", OLS)
NEAREST_BIAS_CORRECTION = compose(NEAREST, "bias-correction", BIAS_CORRECTION)
