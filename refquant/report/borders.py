"""What AQuant's borders cost in a quantized network, and what storing them in integers changes.

Reference: AQuant, arXiv:2208.11945, AQ 4.3 and 5.3 (methods.md 13.6). The arithmetic is in
`refquant.quantizers.border_cost` and `border_storage`; this file counts over a network.

    parameters   all coefficients that are kept, fusion weights included
    counted      those the paper counts: three per position, two without b2
    share        counted ones over all parameters of the folded model (P16)
    operations   multiplications of the border for one image, beside those of the products
    changed      share of activation codes that differ once the coefficients are stored, every layer
                 given the same inputs
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from refquant._types import Array
from refquant.components import BorderActivations
from refquant.deploy import Plan
from refquant.network import Network, Node, shapes
from refquant.quantizers.border_cost import (
    LayerShape,
    border_count,
    border_operations,
    border_share,
    product_operations,
    size_growth,
    weight_count,
)
from refquant.quantizers.border_storage import coefficient_qparams
from refquant.quantizers.fake_quant import quantize
from refquant.report.hard import Rounded, hard_network, values_of

COEFFICIENTS = ("b0", "b1", "b2", "fusion")
STORED_BITS = (16, 8)  # AQ 5.3: 16 after training, 8 with training


class LayerBorder(NamedTuple):
    """One layer's border; see the module's table. `changed` holds pairs (bits, share)."""

    layer: str
    parameters: int
    counted: int
    weights: int
    operations: int
    products: int
    changed: tuple[tuple[int, float], ...]


class BorderReport(NamedTuple):
    """All borders of a network; `growth` holds pairs (bits, growth of the stored weights)."""

    layers: tuple[LayerBorder, ...]
    share: float
    growth: tuple[tuple[int, float], ...]
    changed: tuple[tuple[int, float], ...]

    @property
    def parameters(self) -> int:
        """Coefficients of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def operations_share(self) -> float:
        """Multiplications of all borders over those of all products."""
        borders = sum(layer.operations for layer in self.layers)
        return borders / sum(layer.products for layer in self.layers)

    def to_data(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "parameters": self.parameters,
            "share": self.share,
            "operations_share": self.operations_share,
            "growth": _by_bits(self.growth),
            "changed": _by_bits(self.changed),
            "layers": [{**x._asdict(), "changed": _by_bits(x.changed)} for x in self.layers],
        }


def border_report(
    prepared: Network,
    layers: Mapping[str, Rounded],
    weight_bits: int,
    x: Array,
    bits: Sequence[int] = STORED_BITS,
) -> BorderReport | None:
    """Return what the borders of a network cost; None if it has none.

    Parameters
    ----------
    prepared : Network
        Lowered, with quantize nodes.
    layers : mapping of layer name to its rounded weights
        Empty where weights are real.
    weight_bits : int
        Of the inner layers, which the growth is relative to.
    x : array (n, *input_shape)
        Inputs on which codes are compared.
    bits : sequence of int
        Widths of stored coefficients, 2..16.
    """
    quantizers = border_nodes(prepared)
    if not quantizers:
        return None
    network = hard_network(prepared, layers)
    codes, differing = _compared(network, quantizers, x, bits)
    sizes = shapes(network)
    found = []
    for node in quantizers:
        shares = [(b, differing[(node.name, b)] / codes[node.name]) for b in bits]
        found.append(_layer(network, node, sizes, tuple(shares)))
    share = _share(network, quantizers)
    whole = sum(codes.values())
    return BorderReport(
        layers=tuple(found),
        share=share,
        growth=tuple((b, size_growth(share, weight_bits, b)) for b in bits),
        changed=tuple((b, sum(differing[(n, b)] for n in codes) / whole) for b in bits),
    )


def border_nodes(network: Network) -> tuple[Node, ...]:
    """Return the quantize nodes that round at a border, in running order."""
    quantizers = (node for node in network.nodes if node.op == "quantize")
    return tuple(n for n in quantizers if isinstance(n.attr("component"), BorderActivations))


def with_border_bits(network: Network, bits: int | None) -> Network:
    """Return `network` with all border coefficients stored in `bits` each; None: real again."""
    names = {node.name for node in border_nodes(network)}
    nodes = (_stored(n, bits) if n.name in names else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes))


def plan_with_border_bits(plan: Plan, bits: int | None) -> Plan:
    """Return `plan` with all border coefficients stored in `bits` each; None: real again."""
    network = with_border_bits(plan.network, bits)
    coders = {
        name: coder._replace(component=network.node(name).attr("component"))
        for name, coder in plan.coders.items()
    }
    return replace(plan, network=network, coders=coders)


def stored_coefficients(network: Network) -> dict[str, Array]:
    """Return codes and step of every stored coefficient, as ``node/name_codes``, ``_step``."""
    found: dict[str, Array] = {}
    for node in border_nodes(network):
        bits, params = node.attr("component").border_bits, network.params_of(node.name)
        for name in COEFFICIENTS if bits is not None else ():
            if name in params:
                qparams = coefficient_qparams(params[name], bits)
                found[f"{node.name}/{name}_codes"] = quantize(params[name], qparams)
                found[f"{node.name}/{name}_step"] = qparams.step
    return found


def _stored(node: Node, bits: int | None) -> Node:
    component = replace(node.attr("component"), border_bits=bits)
    return replace(node, attrs=(("component", component),))


def _compared(
    network: Network, quantizers: Sequence[Node], x: Array, bits: Sequence[int]
) -> tuple[dict[str, int], dict[tuple[str, int], int]]:
    """Return the number of codes of each quantizer, and of those that differ at each width."""
    codes = {node.name: 0 for node in quantizers}
    differing = {(node.name, b): 0 for node in quantizers for b in bits}
    for values in values_of(network, x, [node.inputs[0] for node in quantizers]):
        for node in quantizers:
            given, params = values[node.inputs[0]], network.params_of(node.name)
            kept = node.attr("component").codes(given, params)
            codes[node.name] += kept.size
            for b in bits:
                stored = _stored(node, b).attr("component").codes(given, params)
                differing[(node.name, b)] += int(np.count_nonzero(stored != kept))
    return codes, differing


def _layer(
    network: Network,
    node: Node,
    sizes: Mapping[str, tuple[int, ...]],
    changed: tuple[tuple[int, float], ...],
) -> LayerBorder:
    shape, params = _shape(network, node), network.params_of(node.name)
    windows = 1
    for extent in sizes[node.name][1:]:
        windows *= extent
    degree, fusion = node.attr("component").options.degree, "fusion" in params
    return LayerBorder(
        layer=_product(network, node).name.removesuffix(".product"),
        parameters=border_count(shape, degree, fusion),
        counted=border_count(shape, degree),
        weights=weight_count(shape),
        operations=border_operations(shape, windows, degree, fusion),
        products=product_operations(shape, windows),
        changed=changed,
    )


def _shape(network: Network, node: Node) -> LayerShape:
    product = _product(network, node)
    c_in, taps = network.params[(node.name, "b0")].shape
    c_out, groups = len(network.params[(product.name, "w")]), product.attr("groups")
    return LayerShape(c_in=c_in, c_out=c_out, taps=taps, groups=groups)


def _product(network: Network, node: Node) -> Node:
    """The product that reads a quantizer of patches."""
    return next(n for n in network.nodes if n.op == "product" and node.name in n.inputs)


def _share(network: Network, quantizers: Sequence[Node]) -> float:
    layers = [_shape(network, node) for node in quantizers]
    inside = {node.name for node in network.nodes if node.op == "quantize"}
    every = sum(v.size for (owner, _), v in network.params.items() if owner not in inside)
    others = every - sum(weight_count(layer) for layer in layers)
    degree = quantizers[0].attr("component").options.degree
    return border_share(layers, others, degree)


def _by_bits(pairs: tuple[tuple[int, float], ...]) -> dict[str, float]:
    return {str(bits): value for bits, value in pairs}
