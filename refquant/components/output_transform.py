"""AdaQTransform: a scale xi and a shift eta behind every product, learnt on its output.

Reference: "Adaptive Quantization Transformation", AT eq. 8 and 9 (methods.md 15). The arithmetic is
in `refquant.quantizers.transform`; networks run it in their output nodes, deployment folds it.

    paper   here   shape      meaning
    xi      xi     (c_out,)   scale of the product; 1 is neutral
    eta     eta    (c_out,)   shift of the output; 0 is neutral
"""

from dataclasses import dataclass

import numpy as np

from refquant._types import Array

Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class XiEta:
    """One xi and one eta per output channel, which fold away without cost (AT eq. 9)."""

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters a phase may learn."""
        return ("xi", "eta")

    def start(self, w: Array) -> Params:
        """Return the neutral transform of a layer with the weight `w`."""
        return {"xi": np.ones(len(w), w.dtype), "eta": np.zeros(len(w), w.dtype)}
