"""Run a step with scale and shift of an output inside the filter and the bias before them.

For layers whose filter is learnt, so that its gradient is there anyway, and whose scale is one a
channel or a layer. `refquant.kernels.output_fold` says why it is the same step.
"""

from collections.abc import Collection, Mapping

from refquant._types import Array
from refquant.kernels.output_fold import Transform, fold, unfold
from refquant.network.graph import Key

Layers = Mapping[str, Transform]


def foldable(
    params: Mapping[Key, Array], owners: Collection[str], fixed: Mapping[Key, Array]
) -> Layers:
    """Return the layers that can be run folded.

    Parameters
    ----------
    params : mapping of (node, parameter) to array
        Of the step.
    owners : collection of str
        Nodes whose gradients are wanted.
    fixed : mapping of (node, parameter) to array
        Of the network, where `params` has none.
    """
    found: dict[str, Transform] = {}
    for layer, name in params:
        product, eta = f"{layer}.product", params.get((layer, "eta"))
        small = name == "xi" and params[(layer, name)].ndim < 2 and (eta is None or eta.ndim < 2)
        both = layer in owners and product in owners  # all gradients come from those of both
        if small and both and (product, "w") in params:
            bias = params.get((layer, "bias"), fixed.get((layer, "bias")))
            w, xi = params[(product, "w")], params[(layer, "xi")]
            found[layer] = Transform(w, xi, eta, bias)
    return found


def folded(params: Mapping[Key, Array], layers: Layers) -> dict[Key, Array]:
    """Return the parameters of a step with these layers folded."""
    found = {k: v for k, v in params.items() if k[0] not in layers or k[1] not in ("xi", "eta")}
    for layer, transform in layers.items():
        found[(f"{layer}.product", "w")], found[(layer, "bias")] = fold(transform)
    return found


def unfolded(grads: Mapping[Key, Array], layers: Layers) -> dict[Key, Array]:
    """Return the gradients of the parameters as they were, those of a folded step given."""
    found = dict(grads)
    for layer, transform in layers.items():
        d_w, d_shift = found[(f"{layer}.product", "w")], found.pop((layer, "bias"))
        own = unfold(d_w, d_shift, transform)
        found[(f"{layer}.product", "w")] = own.w
        named = {"xi": own.xi, "eta": own.eta, "bias": own.bias}
        found |= {(layer, name): value for name, value in named.items() if value is not None}
    return found
