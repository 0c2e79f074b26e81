"""Turn a quantized network and its hardened layers into a plan: validate, fold, narrow, prove.

Reference: methods 15.3 (folding), 17.1 and 17.2 (codes, overflow).

`network` is folded and lowered, with quantize nodes inserted. A quantize node's component offers
``codes(x, params)``, ``step(params)``, ``zero_point(params)`` and the fields ``grid`` (a kind of
`refquant.quantizers.grid.Grid`) and ``bits``; one step per tensor. A linear layer reads codes if
nothing but patches, max pools, flattenings and identities stand between it and a quantize node
whose levels are integers times a step; those of any other (log-sqrt2) are read as real numbers.

Everything is checked here, so that a plan that exists can run: shapes, dtypes, steps, names, and
that no accumulator can leave int32.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refquant._checks import check_finite, check_positive, check_shape, complaint
from refquant._types import Array
from refquant.deploy import overflow
from refquant.deploy.codes import narrow
from refquant.deploy.plan import EdgeCoder, HardLayer, IntegerLayer, Plan
from refquant.network import INPUT, Network, Node, linear_nodes, shapes
from refquant.network.graph import consumers
from refquant.network.lower import TRANSPARENT
from refquant.quantizers.grid import FIX_STEP, Grid, make_qparams
from refquant.quantizers.transform import fold_output, lined_up

CARRY_CODES = ("patches", *TRANSPARENT)
NOT_LOWERED = ("conv2d", "linear", "batch_norm_train")


def deploy(network: Network, layers: Mapping[str, HardLayer]) -> Plan:
    """Return the plan of a quantized network.

    Parameters
    ----------
    network : Network
        Folded and lowered, with quantize nodes; biases in ``(layer, "bias")``.
    layers : mapping of layer name to HardLayer
        One per linear layer.

    Returns
    -------
    Plan

    Raises
    ------
    TypeError, ValueError
        If the network is not lowered, a layer is missing or unknown, a shape, dtype or step does
        not fit, or an accumulator might not fit int32; every message names the node.
    """
    _check_names(network, layers)
    quantizers = [node for node in network.nodes if node.op == "quantize" and is_uniform(node)]
    coders = {node.name: _coder(network, node) for node in quantizers}
    integer = {name: _layer(network, name, layers[name], coders) for name in linear_nodes(network)}
    gone = {*integer, *(product_of(network, name).name for name in integer)}
    kept = {key: value for key, value in network.params.items() if key[0] not in gone}
    return Plan(replace(network, params=kept), integer, coders)


def product_of(network: Network, layer: str) -> Node:
    """Return the product node of a linear layer."""
    return network.node(network.node(layer).inputs[0])


def source_of(network: Network, edge: str) -> str | None:
    """Return the quantize node whose codes `edge` carries; None if it carries real numbers."""
    found = quantizer_of(network, edge)
    return found if found is not None and is_uniform(network.node(found)) else None


def quantizer_of(network: Network, edge: str) -> str | None:
    """Return the quantize node whose values `edge` carries as they are, codes or not; or None."""
    while edge != INPUT:
        node = network.node(edge)
        if node.op == "quantize":
            return edge
        if node.op not in CARRY_CODES:
            return None
        edge = node.inputs[0]
    return None


def is_uniform(node: Node) -> bool:
    """Return whether the levels of a quantize node are integers times a step.

    The values of one whose levels are not are real numbers to everything behind it.
    """
    return bool(getattr(node.attr("component"), "uniform", True))


def _check_names(network: Network, layers: Mapping[str, HardLayer]) -> None:
    for node in network.nodes:
        if node.op in NOT_LOWERED:
            got = f"a {node.op} node, {node.name!r}"
            fix = "Call refquant.network.fold and lower first."
            raise ValueError(complaint("deploy", "network", got, "a lowered network", fix))
    expected = linear_nodes(network)
    for name in sorted({*expected} ^ {*layers}):
        got = f"without {name!r}" if name in expected else f"given for {name!r}, no linear layer"
        wanted = f"exactly the linear layers {list(expected)}"
        raise ValueError(complaint("deploy", "layers", got, wanted))


def _coder(network: Network, node: Node) -> EdgeCoder:
    component, where = node.attr("component"), f"of node {node.name!r}"
    params = {name: _widened(value) for name, value in network.params_of(node.name).items()}
    step, zero_point = component.step(params), component.zero_point(params)
    for argument, value in (("step", step), ("zero_point", zero_point)):
        check_shape("deploy", f"{argument} {where}", np.asarray(value), ())
    check_positive("deploy", f"step {where}", step, FIX_STEP)
    grid = Grid(component.grid, component.bits)
    make_qparams(float(step), zero_point, grid)  # refuses a zero point off the grid
    limits = (grid.code_min, grid.code_max)
    offset = _offset(network, node, params)
    return EdgeCoder(component, params, float(step), int(zero_point), limits, offset)


def _offset(network: Network, node: Node, params: Mapping[str, Array]) -> float:
    """The real value of a quantizer's level 0; products fold it, so nothing else may read it."""
    component, where = node.attr("component"), f"offset of node {node.name!r}"
    if not hasattr(component, "offset"):
        return 0.0
    offset = float(check_finite("deploy", where, np.asarray(component.offset(params))))
    others = [reader.name for reader in consumers(network, node.name) if reader.op != "product"]
    if offset and others:
        got = f"{offset}, read by {others}, which takes the level 0 for the value 0"
        fix = "Quantize at the input, or learn an integer zero point."
        raise ValueError(complaint("deploy", where, got, "0, or products behind it", fix))
    return offset


def _layer(
    network: Network, name: str, hard: HardLayer, coders: Mapping[str, EdgeCoder]
) -> IntegerLayer:
    """One layer of the plan: codes in the smallest dtype, scale and offset, proved to fit int32."""
    product = product_of(network, name)
    _check_codes(name, hard.codes, network.params.get((product.name, "w")))
    step = _step(name, hard)
    source = source_of(network, product.inputs[0])
    reads = None if source is None else coders[source]
    scale, offset = _folded(network, name, hard._replace(step=step), reads)
    largest = 0 if reads is None else reads.largest
    bound = overflow.tight_bound(hard.codes, largest)
    overflow.check_accumulator(name, bound)
    codes, loose = narrow(hard.codes), overflow.loose_bound(hard.codes, largest)
    groups = product.attr("groups")
    return IntegerLayer(codes, step, scale, offset, groups, source, bound, loose)


def _step(name: str, hard: HardLayer) -> Array:
    """The step that dequantizes the weights, (c_out,) float64."""
    channels = len(hard.codes)
    step = _vector(name, "step", np.broadcast_to(hard.step, (channels,)), channels)
    if (step < 0.0).any():
        fix = "Put the sign into xi."
        raise ValueError(complaint("deploy", f"step of {name!r}", step.min(), "at least 0", fix))
    return step


def _folded(
    network: Network, name: str, hard: HardLayer, reads: EdgeCoder | None
) -> tuple[Array, Array]:
    """st and bt of eq. 9, behind codes or behind an input in real numbers."""
    channels, given = len(hard.codes), network.params.get((name, "bias"))
    bias = None if given is None else _vector(name, "bias", given, channels)
    xi, eta = (_behind(network, name, part, getattr(hard, part)) for part in ("xi", "eta"))
    if reads is None:  # multiplied by dequantized weights, which contain their step already
        return fold_output(np.ones(channels), 1.0, bias, xi, eta)
    scale, offset = fold_output(hard.step, reads.step, bias, xi, eta)
    if not reads.offset:
        return scale, offset
    # sum w (s q + o) = s sum w q + o sum w
    constant, _ = fold_output(hard.step, reads.offset, None, xi, None)
    rows = hard.codes.reshape(channels, -1).astype(np.int64)
    total = lined_up(rows.sum(axis=1).astype(np.float64), constant)
    return scale, lined_up(offset, constant) + constant * total


def _check_codes(name: str, codes: Any, w: Array | None) -> None:
    where = f"codes of layer {name!r}"
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        got = getattr(codes, "dtype", type(codes).__name__)
        raise TypeError(complaint("deploy", where, got, "an array of integers"))
    if w is not None:
        check_shape("deploy", where, codes, w.shape)
    if codes.size == 0 or np.abs(codes.astype(np.int64)).max() >= 2**16:
        raise ValueError(complaint("deploy", where, "empty or above 16 bits", "codes of a Grid"))


def _vector(name: str, argument: str, value: Any, channels: int) -> Array:
    """A (c_out,) parameter as float64, finite."""
    where = f"{argument} of layer {name!r}"
    array = np.array(value, dtype=np.float64)
    return check_finite("deploy", where, check_shape("deploy", where, array, (channels,)))


def _behind(network: Network, name: str, argument: str, value: Any) -> Array | None:
    """A scale or shift of the layer (), its channels (c_out,) or its pixels, as float64."""
    if value is None:
        return None
    array, where = np.array(value, dtype=np.float64), f"{argument} of layer {name!r}"
    if array.ndim > 1:
        check_shape("deploy", where, array, shapes(network)[name])
    elif array.ndim == 1:
        check_shape("deploy", where, array, shapes(network)[name][:1])
    return check_finite("deploy", where, array)


def _widened(value: Array) -> Array:
    """Floats as float64; anything else as it is."""
    return value.astype(np.float64) if value.dtype == np.float32 else value
