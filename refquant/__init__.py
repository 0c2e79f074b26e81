"""Reference implementation and test oracle for post-training quantization rounding.

import refquant as rq

net, data = rq.zoo.load("digits-resnet"), rq.zoo.data("digits")
result = rq.quantize(net, data.calib.x, method="adaround", weight_bits=3, steps=400)
logits = result.integer(data.test.x)

Names are imported when they are first used (PEP 562): the pytest plugin is loaded into the test
runs of everybody who has refquant installed, and must not cost them NumPy and SciPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dataclasses import replace as replace

    from refquant import metrics as metrics
    from refquant import numerics as numerics
    from refquant import oracle as oracle
    from refquant import zoo as zoo
    from refquant.memory import memory_plan as memory_plan
    from refquant.methods import METHODS as METHODS
    from refquant.methods import Setting as Setting
    from refquant.methods.describe import describe as describe
    from refquant.network import Network as Network
    from refquant.numerics import arithmetic as arithmetic
    from refquant.pipeline import quantize as quantize
    from refquant.result import Result as Result
    from refquant.sweeps import Config as Config
    from refquant.sweeps import sweep as sweep

ROOMS = ("metrics", "numerics", "oracle", "zoo")
HOMES = {
    "METHODS": "refquant.methods",
    "Setting": "refquant.methods",
    "describe": "refquant.methods",
    "Network": "refquant.network",
    "arithmetic": "refquant.numerics",
    "memory_plan": "refquant.memory",
    "quantize": "refquant.pipeline",
    "replace": "dataclasses",
    "Result": "refquant.result",
    "Config": "refquant.sweeps",
    "sweep": "refquant.sweeps",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home; called by Python where the name is not there yet."""
    if name in ROOMS:
        return import_module(f"refquant.{name}")
    if name not in HOMES:
        raise AttributeError(f"module 'refquant' has no attribute {name!r}; see dir(refquant)")
    found = getattr(import_module(HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *ROOMS, *HOMES})
