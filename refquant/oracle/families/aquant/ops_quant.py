"""Descriptions of AQuant's quantizer and its gradients."""

from typing import Any

from refquant.oracle.exact import aquant as twin
from refquant.oracle.families.aquant import plain_quant as plain
from refquant.oracle.families.aquant.attributes import (
    BACKWARD,
    BOUND,
    FUSE,
    MASK,
    PARAMS,
    RANGE,
    by_row,
    by_tap,
    options,
    params,
    qparams,
    twin_options,
    twin_params,
)
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.aquant import AQuantCache, aquant_backward, aquant_forward
from refquant.quantizers.border import BorderParams

X = Tensor("x", "float", "(n, c k, l)", "input as patches, row c k + tap")
S = Tensor("s", "float", "()", "step")
NAMES = ("b0", "b1", "b2", "fusion")


def forward(inputs: Inputs, attrs: Attrs) -> tuple[Any, AQuantCache]:
    """Of the library."""
    degree = 2 if "b2" in inputs else 1
    grid = qparams(inputs["s"], attrs["n"], attrs["p"])
    chosen, scale = options(attrs, degree), attrs.get("grad_scale", 1.0)
    return aquant_forward(inputs["x"], grid, params(inputs), chosen, attrs["a"], scale)


def border_grads(found: BorderParams) -> Arrays:
    """Gradients of the parameters that there are."""
    return {f"d_{name}": v for name, v in found._asdict().items() if v is not None}


def _quant(inputs: Inputs, attrs: Attrs) -> Arrays:
    x_hat, cache = forward(inputs, attrs)
    levels = cache.levels.reshape(inputs["x"].shape)
    return {"x_hat": x_hat, "levels": levels, "border": cache.border}


def arguments(numbers: dict[str, Any], attrs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """(x by tap, parameters, range, options) of the twin."""
    taps = len(numbers["b0"][0])
    span = twin.Range(numbers["s"], attrs["n"], attrs["p"], attrs["a"])
    return by_tap(numbers["x"], taps), twin_params(numbers), span, twin_options(attrs)


def _quant_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    given = arguments(numbers, attrs)
    x_hat, levels = twin.forward(*given)
    border = twin.forward_borders(*given)
    return {"x_hat": by_row(x_hat), "levels": by_row(levels), "border": border}


def _back(inputs: Inputs, attrs: Attrs) -> Arrays:
    grads = aquant_backward(inputs["d_x_hat"], forward(inputs, attrs)[1])
    return {"d_x": grads.x, "d_s": grads.s, **border_grads(grads.border)}


def _back_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    x, channels, span, chosen = arguments(numbers, attrs)
    d_x_hat = by_tap(numbers["d_x_hat"], len(numbers["b0"][0]))
    grads = twin.backward(d_x_hat, x, channels, span, chosen)
    found = zip(NAMES, (grads.b0, grads.b1, grads.b2, grads.alpha), strict=True)
    own = {f"d_{name}": value for name, value in found if name in numbers}
    return {"d_x": by_row(grads.x), "d_s": grads.s * attrs["grad_scale"], **own}


OPS = (
    Op(
        name="aquant_quant",
        says="Quantize a layer's patches, rounding up where the fraction exceeds a learnt border.",
        formula="u = x / s;  P = b2 u^2 + b1 u + b0;  B: border_fuse of P\n"
        "r = floor(u) + [u - floor(u) > B];  v = u + a (r - u);  levels = clip(v, n, p)\n"
        "x_hat = s levels;  NaN: level 0, +-inf: p and n, whatever a;  B sees them as 0, p and n\n"
        "the comparison is exact: for -1/2 < u < 0, where u - floor(u) rounds, it is u > B - 1",
        inputs=(X, S, *PARAMS),
        outputs=(
            Tensor("x_hat", "float", "like x", "quantized and dequantized input"),
            Tensor("levels", "float", "like x", "codes less the zero point, whole if a = 1"),
            Tensor("border", "float", "(n, c, 1, l)", "B; (n, c, k, l) if nothing is fused"),
        ),
        attrs=(*RANGE, FUSE, *BOUND),
        clauses=("13.3", "1.4", "D1", "D16", "D23", "D25", "D38", "P08", "P69", "P70"),
        reference=_quant,
        twin=_quant_twin,
        plain=plain.QUANT,
    ),
    Op(
        name="aquant_quant_backward",
        says="Straight-through gradients of input, step and border.",
        formula="M = [n <= v <= p], mask unrounded: [n <= u <= p];  0 for NaN and infinities\n"
        "Gv = s d_x_hat M;  GB = -a Gv, of every tap;  gate support: GB [n < u < p]\n"
        "GP: border_fuse_backward of GB, first summed over the taps if they share a border\n"
        "d_bj = sum GP u^j over samples and windows, u as B sees it\n"
        "Gu = Gv + GP (2 b2 u + b1), the last term 0 for NaN and infinities, or if detached\n"
        "d_x = Gu / s;  d_s = grad_scale (sum d_x_hat levels - sum over finite u of Gu u / s)",
        inputs=(X, S, *PARAMS, Tensor("d_x_hat", "float", "like x", "gradient of x_hat")),
        outputs=(
            Tensor("d_x", "float", "like x", "gradient of the patches"),
            Tensor("d_s", "float", "()", "gradient of the step"),
            Tensor("d_b0", "float", "(c, k)", "gradient of b0"),
            Tensor("d_b1", "float", "(c, k)", "gradient of b1"),
            Tensor("d_b2", "float", "(c, k)", "gradient of b2", True),
            Tensor("d_fusion", "float", "(c, k)", "gradient of the fusion weights", True),
        ),
        attrs=(
            *RANGE,
            FUSE,
            *BOUND,
            MASK,
            *BACKWARD,
            Attr("grad_scale", 1.0, "factor of the step's gradient"),
        ),
        clauses=("13.4", "D2", "D16", "D17", "D23", "D39", "P08", "C21"),
        reference=_back,
        twin=_back_twin,
        plain=plain.BACKWARD,
    ),
)
