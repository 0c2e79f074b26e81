"""Networks as data: nodes, runs forwards and backwards, folding, lowering, units, bundles."""

from refquant.network.bundle import BundleError, load, save
from refquant.network.describe import describe, shapes
from refquant.network.fold import fold, unfold
from refquant.network.graph import (
    INPUT,
    Network,
    Node,
    consumers,
    count_parameters,
    replace_params,
)
from refquant.network.join import join
from refquant.network.lower import bypass, insert_quantizers, linear_nodes, lower, quantized_edges
from refquant.network.op import Component
from refquant.network.run import Gradients, Trace, backward, evaluate, forward, predict
from refquant.network.training import training_mode
from refquant.network.units import Unit, cut

__all__ = [
    "INPUT",
    "BundleError",
    "Component",
    "Gradients",
    "Network",
    "Node",
    "Trace",
    "Unit",
    "backward",
    "bypass",
    "consumers",
    "count_parameters",
    "cut",
    "describe",
    "evaluate",
    "fold",
    "forward",
    "insert_quantizers",
    "join",
    "linear_nodes",
    "load",
    "lower",
    "predict",
    "quantized_edges",
    "replace_params",
    "save",
    "shapes",
    "training_mode",
    "unfold",
]
