"""Nearest rounding repaired by a closed form: best xi and eta, or bias correction.

References: methods.md 15.3, P44, for least squares; Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", arXiv:1906.04721, section 4.2, for the bias, in its
empirical and its analytic form (methods.md 8, P50).

    addition                   sets      so that, layer by layer
    ols                        xi, eta   the squared error of each channel is the smallest possible
                                         on the calibration set
    bias-correction            bias      the mean error of each channel is 0 on the calibration set
    analytic-bias-correction   bias      it is 0 for an input as the batch norm before it says

    symbol       here       value (methods.md 15.3, 8)
    y, y0        --         float output; product of codes and quantized input
    xi*          xi         cov(y - b, y0) / var(y0)
    eta*         eta        mean(y - b) - xi* mean(y0)
    b            bias       b + mean(y - b - y0); analytic: b - (What - W) E[x]

The last looks at no data; ``nearest+cle+analytic-bias-correction`` is the paper's whole method but
for its absorption of high biases. All follow any method, ``brecq+bias-correction``; behind one that
learnt its rounding a layerwise fit may undo what the reconstruction had balanced across layers.
"""

from refquant.components import XiEta
from refquant.methods.compose import Adds, compose
from refquant.methods.finish import CorrectBias, CorrectBiasAnalytic, FitTransform
from refquant.methods.nearest import NEAREST

OLS = Adds(reference="least squares, P44", output=XiEta(), finish=(FitTransform(),))
BIAS_CORRECTION = Adds(reference="bias correction, arXiv:1906.04721", finish=(CorrectBias(),))
ANALYTIC_BIAS_CORRECTION = Adds(
    reference="analytic bias correction, arXiv:1906.04721", finish=(CorrectBiasAnalytic(),)
)

NEAREST_OLS = compose(NEAREST, "ols", OLS)
NEAREST_BIAS_CORRECTION = compose(NEAREST, "bias-correction", BIAS_CORRECTION)
