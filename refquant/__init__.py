"""Reference implementation and test oracle for post-training quantization rounding.

import refquant as rq

net, data = rq.zoo.load("digits-resnet"), rq.zoo.data("digits")
result = rq.quantize(net, data.calib.x, method="adaround", weight_bits=3, steps=400)
logits = result.integer(data.test.x)
"""

__version__ = "0.1.0"

from dataclasses import replace as replace

from refquant import metrics as metrics
from refquant import numerics as numerics
from refquant import zoo as zoo
from refquant.methods import METHODS as METHODS
from refquant.methods import Setting as Setting
from refquant.methods import describe as describe
from refquant.network import Network as Network
from refquant.numerics import arithmetic as arithmetic
from refquant.pipeline import quantize as quantize
from refquant.result import Result as Result
from refquant.sweep import Config as Config
from refquant.sweep import sweep as sweep
