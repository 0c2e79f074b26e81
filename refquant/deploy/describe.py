"""A plan as a table: what each layer stores, how wide its accumulator is, what it multiplies by.

    layer     source     weights   bits   accumulator    multiplier
    conv1     input.q    16x1x3x3  4      14 (16)        0.00312..0.0177 -> relu.q

bits          width of the smallest grid that holds the layer's codes (per channel, zero included)
accumulator   bits of the tight bound, in brackets of the loose one (methods 17.2)
multiplier    smallest and largest |st / s_y| over the channels, and the quantize node that s_y
              belongs to; "real" where no quantize node follows on every path
"""

import numpy as np

from refquant._types import Array
from refquant.deploy import overflow
from refquant.deploy.plan import IntegerLayer, Plan
from refquant.network import consumers

HEADER = ("layer", "source", "weights", "bits", "accumulator", "multiplier")


def describe(plan: Plan) -> str:
    """Return the table, one line per linear layer, then one per quantize node."""
    layers = [_row(plan, name, layer) for name, layer in plan.layers.items()]
    lines = _aligned([HEADER, *layers])
    coders = [
        (name, f"{coder.step:.6g}", str(coder.zero_point), f"{coder.limits[0]}..{coder.limits[1]}")
        for name, coder in plan.coders.items()
    ]
    if coders:
        lines += ["", *_aligned([("codes", "step", "zero point", "range"), *coders])]
    return "\n".join([plan.network.name, *lines])


def weight_bits(codes: Array) -> int:
    """Return the bits of the smallest grid that holds every channel's codes and 0."""
    rows = codes.astype(np.int64).reshape(len(codes), -1)
    span = np.maximum(rows.max(axis=1), 0) - np.minimum(rows.min(axis=1), 0)
    return max(1, int(span.max()).bit_length())


def _row(plan: Plan, name: str, layer: IntegerLayer) -> tuple[str, ...]:
    shape = "x".join(map(str, layer.codes.shape))
    width = "real"
    if layer.source is not None:
        width = f"{overflow.bits(int(layer.bound.max()))} ({overflow.bits(layer.loose)})"
    source = layer.source or "real"
    return name, source, shape, str(weight_bits(layer.codes)), width, _multiplier(plan, name, layer)


def _multiplier(plan: Plan, name: str, layer: IntegerLayer) -> str:
    target = _next_coder(plan, name)
    if target is None or layer.source is None:
        return "real"
    sizes = np.abs(layer.scale / plan.coders[target].step)
    return f"{sizes.min():.3g}..{sizes.max():.3g} -> {target}"


def _next_coder(plan: Plan, edge: str) -> str | None:
    """The first quantize node behind `edge`, following single readers."""
    while True:
        readers = consumers(plan.network, edge)
        if len(readers) != 1:
            return None
        if readers[0].name in plan.coders:
            return readers[0].name
        edge = readers[0].name


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
