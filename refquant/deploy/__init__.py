"""Integer-only inference: fold, prove that nothing overflows, run on codes."""

from refquant.deploy.absorb import absorb_norms
from refquant.deploy.build import deploy
from refquant.deploy.evaluate import Trace
from refquant.deploy.plan import HardLayer, IntegerLayer, Plan
from refquant.deploy.run import run_fake, run_integer

__all__ = [
    "HardLayer",
    "IntegerLayer",
    "Plan",
    "Trace",
    "absorb_norms",
    "deploy",
    "run_fake",
    "run_integer",
]
