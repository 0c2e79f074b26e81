"""What a closed form is shown of one layer: both networks' values, weights, parameters.

`refquant.methods.finish` has the closed forms; the loop fills this in, layer by layer.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from refquant._types import Array


class Seen(NamedTuple):
    """One layer of a float network and of the quantized one beside it.

    Attributes
    ----------
    wanted, given : Array
        The same edge in the float and in the quantized network: the patches before they are
        quantized, or the layer's output and the product of codes and quantized input. For a step
        that looks at no data: the expected input (c_in,), twice.
    own : mapping of str to array
        Parameters of the node the closed form writes to: the layer, or its quantizer.
    w, w_hat : Array
        The layer's weight, and as it is rounded now.
    groups : int
    quantizer : component or None
        That of the layer's patches.
    component : component or None
        That of the layer's weight; None where it is real.
    """

    wanted: Array
    given: Array
    own: Mapping[str, Array]
    w: Array
    w_hat: Array
    groups: int
    quantizer: Any
    component: Any = None
