"""Descriptions of a layer of AdaQTransform and of its gradients."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.layers.linear import linear_backward, linear_forward
from refquant.oracle.exact import adaqt as twin
from refquant.oracle.families.adaqtransform import plain_layer as plain
from refquant.oracle.families.adaround.shared import EDGE, W_LINEAR
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.adaround import adaround_codes
from refquant.quantizers.decoupled import LEARNED, decoupled_backward, decoupled_forward
from refquant.quantizers.fake_quant import MASKS, fake_quant_backward, fake_quant_forward
from refquant.quantizers.grid import Grid, QParams, make_qparams
from refquant.quantizers.transform import output_transform_backward, output_transform_forward

CASES = ("1.1", "1.2", "tied", "2.1", "2.2", "2.3", "qat")
NEAREST = twin.NEAREST
SHARED = "() or (c_out,) or (c_out, l)"
INPUTS = (
    W_LINEAR,
    Tensor("s_w", "float", "(c_out,)", "quantization steps of the weights"),
    Tensor("alpha", "float", "like w", "rounding variables; left out in 1.2 and qat", True),
    Tensor("s_d", "float", "(c_out,)", "dequantization steps; in 2.1, 2.2 and 2.3 only", True),
    Tensor("x", "float", "(k, l)", "inputs, a column per sample or position"),
    Tensor("s_x", "float", "()", "step of the inputs"),
    Tensor("xi", "float", SHARED, "scale of the product; 1 is neutral"),
    Tensor("eta", "float", SHARED, "shift of the output; 0 is neutral"),
    Tensor("bias", "float", "(c_out,)", "bias, not scaled by xi", True),
)
ATTRS = (
    Attr(
        "case",
        "1.1",
        "what is tied and learnt, see adaqt_backward; 1.1: AdaQTransform (eq. 8)",
        CASES,
    ),
    Attr("n_w", -8, "lowest level of the weights"),
    Attr("p_w", 7, "highest level of the weights"),
    Attr("n_x", 0, "lowest level of the inputs"),
    Attr("p_x", 15, "highest level of the inputs"),
)
MASK = Attr(
    "mask",
    "rounded",
    "clip masks of rint(u) or, unrounded, of u; that of floor + h is the same in both",
    MASKS,
    True,
)


def qparams(step: Array, n: int, p: int) -> QParams:
    """Step and grid whose levels are n..p, symmetric or from 0."""
    bits = (p - n).bit_length()
    kind = "unsigned" if n == 0 else "narrow" if n == -p else "signed"
    return make_qparams(step, 0, Grid(kind, bits))


def weight(inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """(w_hat, levels, cache) of the library."""
    w, case = inputs["w"], attrs["case"]
    grid = qparams(inputs["s_w"][:, None], attrs["n_w"], attrs["p_w"])
    if case in NEAREST:
        w_hat, cache = fake_quant_forward(w, grid, mask=attrs.get("mask", "rounded"))
        return w_hat, cache.q, cache
    s_d = inputs["s_d"][:, None] if "s_d" in inputs else None
    if attrs.get("hard"):
        levels = adaround_codes(w, inputs["alpha"], grid).astype(w.dtype)
        return (grid.step if s_d is None else s_d) * levels, levels, None
    edge = attrs.get("edge", "inclusive")
    w_hat, soft = decoupled_forward(w, inputs["alpha"], grid, s_d, case, edge)
    return w_hat, soft.levels, soft


def forward(inputs: Inputs, attrs: Attrs) -> tuple[Arrays, Any]:
    """(outputs, caches) of the library: product on rows, transform on (1, c_out, l)."""
    w_hat, levels, of_w = weight(inputs, attrs)
    grid = qparams(inputs["s_x"], attrs["n_x"], attrs["p_x"])
    mask = attrs.get("mask", "rounded")
    x_hat, of_x = fake_quant_forward(np.ascontiguousarray(inputs["x"].T), grid, mask=mask)
    rows, of_product = linear_forward(x_hat, w_hat, None)
    y0 = np.ascontiguousarray(rows.T)[None]
    given = (inputs.get("bias"), inputs["xi"], inputs["eta"])
    y, of_output = output_transform_forward(y0, *given)
    return {"y": y[0], "y0": y0[0], "levels": levels}, (of_w, of_x, of_product, of_output)


def backward(d_y: Array, caches: Any, attrs: Attrs) -> Arrays:
    """Gradients by name, those of steps as their parameter."""
    of_w, of_x, of_product, of_output = caches
    output = output_transform_backward(d_y[None], of_output)
    product = linear_backward(np.ascontiguousarray(output.y0[0].T), of_product)
    inputs = fake_quant_backward(product.x, of_x)
    found = {"xi": output.xi, "eta": output.eta, "x": inputs.x.T, "s_x": inputs.s}
    if output.bias is not None:
        found["bias"] = output.bias
    if attrs["case"] in NEAREST:
        nearest = fake_quant_backward(product.w, of_w)
        found |= {"s_w": nearest.s[:, 0]}
        return found | ({"w": nearest.x} if attrs["case"] == "qat" else {})
    soft = decoupled_backward(product.w, of_w)
    found["alpha"] = soft.alpha
    return found | {name: getattr(soft, name)[:, 0] for name in LEARNED[attrs["case"]]}


def arguments(numbers: dict[str, Any], attrs: dict[str, Any]) -> tuple[twin.Layer, Any, twin.How]:
    """(layer, x, how) of the twin."""
    names = [name for name in twin.Layer._fields if name in numbers]
    ends = ((attrs["n_w"], attrs["p_w"]), (attrs["n_x"], attrs["p_x"]))
    readings = {name: attrs[name] for name in ("hard", "edge", "mask") if name in attrs}
    layer = twin.Layer(**{name: numbers[name] for name in names})
    return layer, numbers["x"], twin.How(attrs["case"], *ends, **readings)


def _layer(inputs: Inputs, attrs: Attrs) -> Arrays:
    return forward(inputs, attrs)[0]


def _layer_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    out = twin.forward(*arguments(numbers, attrs))
    return {"y": out.y, "y0": out.y0, "levels": out.levels}


def _back(inputs: Inputs, attrs: Attrs) -> Arrays:
    found = backward(inputs["d_y"], forward(inputs, attrs)[1], attrs)
    return {f"d_{name}": value for name, value in found.items()}


def _back_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    layer, x, how = arguments(numbers, attrs)
    found = twin.backward(layer, x, numbers["d_y"], how)
    return {f"d_{name}": value for name, value in found.items()}


OPS = (
    Op(
        name="adaqt",
        says="A layer in the general paradigm: quantized weight and input, transformed output.",
        formula="levels = clip(floor(w / s_w) + h(alpha), n_w, p_w);  hard: [alpha >= 0] for h\n"
        "1.2 and qat: clip(rint(w / s_w), n_w, p_w);  w_hat = s_d levels, s_d = s_w where tied\n"
        "x_hat = s_x clip(rint(x / s_x), n_x, p_x);  y0 = w_hat x_hat;  y = xi y0 + bias + eta\n"
        "a NaN weight or input has level 0, an infinite one an end, whatever alpha",
        inputs=INPUTS,
        outputs=(
            Tensor("y", "float", "(c_out, l)", "output"),
            Tensor("y0", "float", "(c_out, l)", "product, before the transform"),
            Tensor("levels", "float", "like w", "levels of the weights, soft unless hard"),
        ),
        attrs=(
            *ATTRS,
            Attr("hard", False, "weights as deployed; idle in 1.2 and qat", (False, True)),
        ),
        clauses=("15.1", "15.4", "15.6", "D20", "D32", "D33", "P40", "P47", "1.4"),
        reference=_layer,
        twin=_layer_twin,
        composite=True,
        plain=plain.LAYER,
    ),
    Op(
        name="adaqt_backward",
        says="Gradients of everything that a case learns.",
        formula="d_xi = sum d_y y0;  d_eta, d_bias = sum d_y;  over what shares the parameter\n"
        "d_w_hat = (xi d_y) x_hat^T;  d_alpha = d_w_hat s_d M h'(alpha)\n"
        "d_s_d = sum d_w_hat levels (2.2, 2.3)\n"
        "d_s_w = sum d_w_hat s_d M (-w / s_w^2) (2.1, 2.3)\n"
        "d_s_w = sum d_w_hat (levels - M w / s_w) (tied, 1.2, qat);  d_w = d_w_hat M (qat)\n"
        "d_x_hat = (xi w_hat)^T d_y;  d_x = d_x_hat M_x;  d_s_x = sum d_x_hat (q - M_x x / s_x)\n"
        "M = [n_w <= v <= p_w], v = floor(w / s_w) + h(alpha), whatever mask;  in 1.2 and qat\n"
        "  v = rint(w / s_w), or (mask unrounded) w / s_w\n"
        "M_x = [n_x <= rint(x / s_x) <= p_x], or (mask unrounded) [n_x <= x / s_x <= p_x]\n"
        "both 0 for NaN and infinities;  weights are soft, h' as in rect_sigmoid_backward\n"
        "learnt: alpha but in 1.2 and qat;  s_w but in 1.1 and 2.2;  s_d in 2.2 and 2.3;  w in qat",
        inputs=(*INPUTS, Tensor("d_y", "float", "(c_out, l)", "gradient of the output")),
        outputs=(
            Tensor("d_xi", "float", "like xi", "gradient of xi"),
            Tensor("d_eta", "float", "like eta", "gradient of eta"),
            Tensor("d_bias", "float", "(c_out,)", "gradient of the bias", True),
            Tensor("d_alpha", "float", "like w", "gradient of alpha", True),
            Tensor("d_s_w", "float", "(c_out,)", "gradient of the quantization steps", True),
            Tensor("d_s_d", "float", "(c_out,)", "gradient of the dequantization steps", True),
            Tensor("d_w", "float", "like w", "gradient of the weights", True),
            Tensor("d_x", "float", "(k, l)", "gradient of the inputs"),
            Tensor("d_s_x", "float", "()", "gradient of the inputs' step"),
        ),
        attrs=(*ATTRS, EDGE, MASK),
        clauses=("15.2", "15.6", "D2", "D32", "D37", "P40", "1.4"),
        reference=_back,
        twin=_back_twin,
        composite=True,
        plain=plain.BACKWARD,
    ),
)
