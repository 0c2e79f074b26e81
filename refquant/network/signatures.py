"""What a node of each operation must carry: how many inputs, which constants, which parameters.

    op                    inputs     attrs                          parameters (optional ones)
    conv2d                1          geometry                       w (bias)
    linear                1          --                             w (bias)
    batch_norm            1          eps                            gamma beta mean var
    batch_norm_train      1          eps                            gamma beta
    relu relu6 sigmoid    1          --                             --
    softmax               1          --                             --
    leaky_relu            1          slope                          --
    max_pool              1          geometry                       --
    average_pool          1          geometry, count_include_pad    --
    global_average_pool   1          --                             --
    flatten identity      1          --                             --
    add                   2 or more  --                             --
    concat                1 or more  --                             --
    patches               1          geometry, None for linear      --
    product               1          groups                         w
    patches_product       1          geometry                       w
    quantized_product     1          geometry, component,           w, the component's own
                                     quantizer: name of its node
    output                1          --                             (bias xi eta)
    quantize              1          component                      the component's own

`refquant.network.ops.OPS` holds the functions; here are only words, so that a network can be
checked, saved and drawn without importing any arithmetic.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Signature(NamedTuple):
    """Attribute names, required parameters, and the number of inputs a node may have."""

    attrs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    inputs_min: int = 1
    inputs_max: int | None = 1  # None: any number


SIGNATURES: Mapping[str, Signature] = {
    "conv2d": Signature(("geometry",), ("w",)),
    "linear": Signature((), ("w",)),
    "batch_norm": Signature(("eps",), ("gamma", "beta", "mean", "var")),
    "batch_norm_train": Signature(("eps",), ("gamma", "beta")),
    "relu": Signature(),
    "relu6": Signature(),
    "leaky_relu": Signature(("slope",)),
    "sigmoid": Signature(),
    "softmax": Signature(),
    "max_pool": Signature(("geometry",)),
    "average_pool": Signature(("geometry", "count_include_pad")),
    "global_average_pool": Signature(),
    "flatten": Signature(),
    "add": Signature(inputs_min=2, inputs_max=None),
    "concat": Signature(inputs_max=None),
    "patches": Signature(("geometry",)),
    "product": Signature(("groups",), ("w",)),
    "patches_product": Signature(("geometry",), ("w",)),
    "quantized_product": Signature(("geometry", "component", "quantizer"), ("w",)),
    "output": Signature(),
    "quantize": Signature(("component",)),
    "identity": Signature(),
}
