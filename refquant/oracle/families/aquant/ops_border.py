"""Descriptions of the border's own ops: closed forms, polynomial, bound and fusion."""

from typing import Any

import numpy as np

from refquant.oracle.exact import aquant as twin
from refquant.oracle.exact import border_theory, real
from refquant.oracle.families.aquant import plain_border as plain
from refquant.oracle.families.aquant.attributes import (
    BOUND,
    FUSE,
    MASK,
    PARAMS,
    options,
    twin_options,
    twin_params,
)
from refquant.oracle.nested import each, pairs
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.border_bound import border_bound_backward, border_bound_forward
from refquant.quantizers.border_closed_form import ErrorPolynomial, border_shared_closed
from refquant.quantizers.border_fuse import border_fuse_backward, border_fuse_forward
from refquant.quantizers.border_poly import border_poly_forward
from refquant.quantizers.border_theory import border_eq7

ERRORS = ("e0", "e1", "e2")
P = Tensor("p", "float", "(n, c, k, l)", "the polynomial P: border less 1/2, unbounded")
WEIGHTS = Tensor("fusion", "float", "(c, k)", "fusion weights; left out where all are 1", True)
BORDER = Tensor("border", "float", "(n, c, 1, l)", "in [0, 1]; (n, c, k, l) if nothing is fused")


def _eq7(inputs: Inputs, attrs: Attrs) -> Arrays:
    w, d_w, x_prime, e = (inputs[name] for name in ("w", "d_w", "x_prime", "e"))
    return {"border": border_eq7(w, d_w, x_prime, e, attrs["clipped"])}


def _eq7_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    values = zip(*(numbers[name] for name in ("w", "d_w", "x_prime", "e")), strict=True)
    borders = [border_theory.border(*value) for value in values]
    return {"border": [real.clip(b, 0, 1) for b in borders] if attrs["clipped"] else borders}


def _closed(inputs: Inputs, attrs: Attrs) -> Arrays:
    error = ErrorPolynomial(*(inputs.get(name, 0.0) for name in ERRORS))
    shape = (attrs["taps"], attrs["groups"])
    return border_shared_closed(inputs["w"], inputs["w_hat"], *shape, error)._asdict()


def _closed_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    taps, groups = attrs["taps"], attrs["groups"]
    shape = (len(numbers["w"][0]) // taps * groups, taps, groups)
    columns = border_theory.columns(numbers["w"], numbers["w_hat"], shape)
    ratios = [[border_theory.closed_ratios(*column) for column in row] for row in columns]
    gain = [[column[0] for column in row] for row in ratios]
    tilt = [[column[1] for column in row] for row in ratios]
    e0, e1, e2 = (numbers.get(name, each(gain, lambda _: 0)) for name in ERRORS)
    b0, b1, b2 = (pairs(e, gain, lambda a, b: a * b) for e in (e0, e1, e2))
    return {"b0": b0, "b1": pairs(tilt, b1, lambda a, b: a + b), "b2": b2}


def _poly(inputs: Inputs, attrs: Attrs) -> Arrays:
    arguments = (inputs["u"], inputs["b0"], inputs["b1"], inputs.get("b2"))
    return {"p": border_poly_forward(*arguments)[0]}


def _poly_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    channels = twin_params(numbers)
    return {
        "p": [
            [
                [[twin.polynomial(u, j, b) for u in row] for j, row in enumerate(channel)]
                for channel, b in zip(image, channels, strict=True)
            ]
            for image in numbers["u"]
        ]
    }


def _bound(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"e": border_bound_forward(inputs["p"], options(attrs))[0]}


def _bound_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    chosen = twin_options(attrs)
    return {"e": each(numbers["p"], lambda p: twin.bound(p, chosen))}


def _bound_back(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = border_bound_forward(inputs["p"], options(attrs))
    return {"d_p": border_bound_backward(inputs["d_e"], cache)}


def _bound_back_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    chosen = twin_options(attrs)
    slope = lambda d, p: d * twin.bound_slope(p, chosen)  # noqa: E731
    return {"d_p": pairs(numbers["d_e"], numbers["p"], slope)}


def _fuse(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"border": border_fuse_forward(inputs["p"], inputs.get("fusion"), options(attrs))[0]}


def _fuse_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    weights, chosen = numbers.get("fusion"), twin_options(attrs)
    shared = attrs["fuse"] != "none"
    result = []
    for image in numbers["p"]:
        rows = []
        for c, channel in enumerate(image):
            alpha = None if weights is None else weights[c]
            blocks = zip(*channel, strict=True)
            found = [twin.fused(list(block), alpha, chosen) for block in blocks]
            taps = range(1 if shared else len(channel))
            rows.append([[block[j] for block in found] for j in taps])
        result.append(rows)
    return {"border": result}


def _fuse_back(inputs: Inputs, attrs: Attrs) -> Arrays:
    _, cache = border_fuse_forward(inputs["p"], inputs.get("fusion"), options(attrs))
    grads = border_fuse_backward(inputs["d_border"], cache)
    found = {"d_p": np.array(grads.p)}
    return found if grads.weights is None else found | {"d_fusion": grads.weights}


def _fuse_back_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    weights, chosen = numbers.get("fusion"), twin_options(attrs)
    d_p, total = [], each(weights, lambda _: 0) if weights is not None else None
    for image, d_image in zip(numbers["p"], numbers["d_border"], strict=True):
        rows = []
        for c, (channel, d_channel) in enumerate(zip(image, d_image, strict=True)):
            alpha = None if weights is None else weights[c]
            columns = zip(zip(*channel, strict=True), zip(*d_channel, strict=True), strict=True)
            found = [twin.fused_gradients(list(d), list(p), alpha, chosen) for p, d in columns]
            rows.append([[block[0][j] for block in found] for j in range(len(channel))])
            if total is not None:
                for _, d_alpha in found:
                    total[c] = [t + d for t, d in zip(total[c], d_alpha, strict=True)]
        d_p.append(rows)
    return {"d_p": d_p} if total is None else {"d_p": d_p, "d_fusion": total}


OPS = (
    Op(
        name="border_eq7",
        says="The border at which one noisy product rounds without bias.",
        formula="A = w + dw;  c = dw x' + w e;  border = 1/2 + c / A, clipped to [0, 1]\n"
        "1/2 where A = 0",
        inputs=(
            Tensor("w", "float", "(m,)", "weights"),
            Tensor("d_w", "float", "(m,)", "their quantization errors, w_hat - w"),
            Tensor("x_prime", "float", "(m,)", "noised inputs x' = x + e, in units of the step"),
            Tensor("e", "float", "(m,)", "noise of the inputs, in units of the step"),
        ),
        outputs=(Tensor("border", "float", "(m,)", "in units of the step"),),
        attrs=(Attr("clipped", True, "clip to [0, 1]", (True, False)),),
        clauses=("13.2", "P09", "C11"),
        reference=_eq7,
        twin=_eq7_twin,
        plain=plain.EQ7,
        doubtful=True,
    ),
    Op(
        name="border_shared_closed",
        says="Coefficients of the best border that all outputs of a group share.",
        formula="R = sum A w / sum A^2 over the outputs of the group, A = w_hat\n"
        "b0 = e0 R;  b1 = sum A (A - w) / sum A^2 + e1 R;  b2 = e2 R;  an e left out is 0\n"
        "R and the first term of b1 are 0 where all A are 0",
        inputs=(
            Tensor("w", "float", "(c_out, c_in/g k)", "filters, column c k + tap"),
            Tensor("w_hat", "float", "like w", "quantized filters"),
            *(
                Tensor(name, "float", "(c_in, k)", f"noise of the input, times u^{name[1]}", True)
                for name in ERRORS
            ),
        ),
        outputs=tuple(
            Tensor(f"b{i}", "float", "(c_in, k)", f"coefficient of u^{i} in P, the border less 1/2")
            for i in range(3)
        ),
        attrs=(
            Attr("taps", 1, "kernel positions k"),
            Attr("groups", 1, "groups g of the convolution"),
        ),
        clauses=("13.2", "P15", "C1"),
        reference=_closed,
        twin=_closed_twin,
        plain=plain.CLOSED,
    ),
    Op(
        name="border_poly",
        says="The polynomial of the border, one per channel and kernel position.",
        formula="P = b2 u^2 + b1 u + b0",
        inputs=(
            Tensor("u", "float", "(n, c, k, l)", "patches in units of the step"),
            *PARAMS[:3],
        ),
        outputs=(P,),
        clauses=("13.3", "C1"),
        reference=_poly,
        twin=_poly_twin,
        plain=plain.POLY,
    ),
    Op(
        name="border_bound",
        says="From the polynomial to a border in [0, 1].",
        formula="sigmoid, outer: E = clip(1/2 + kappa (sigma(P) - 1/2), 0, 1)\n"
        "sigmoid, inner: E = sigma(kappa P)\nclip: E = clip(1/2 + P, 0, 1)",
        inputs=(Tensor("p", "float", "any", "border less 1/2, unbounded"),),
        outputs=(Tensor("e", "float", "like p", "borders in [0, 1]"),),
        attrs=BOUND,
        clauses=("13.3", "D16", "D23", "P68"),
        reference=_bound,
        twin=_bound_twin,
        plain=plain.BOUND,
        doubtful=True,
    ),
    Op(
        name="border_bound_backward",
        says="The gradient through the bound of the border.",
        formula="outer: D = kappa sigma (1 - sigma);  inner: D = kappa E (1 - E);  clip: D = 1\n"
        "border_mask closed: D = 0 where what outer and clip clip lies outside [0, 1], not at its\n"
        "  ends;  open: D as above everywhere;  inner clips nothing;  d_p = d_e D",
        inputs=(
            Tensor("p", "float", "any", "border less 1/2, unbounded"),
            Tensor("d_e", "float", "like p", "gradient of the borders"),
        ),
        outputs=(Tensor("d_p", "float", "like p", "gradient of P"),),
        attrs=(*BOUND, MASK),
        clauses=("13.4", "D16", "D23", "P68"),
        reference=_bound_back,
        twin=_bound_back_twin,
        plain=plain.BOUND_BACKWARD,
        doubtful=True,
    ),
    Op(
        name="border_fuse",
        says="Bound the borders and share them among the taps of a channel.",
        formula="none: B = E;  bound_fuse: B = clip(mean_j fusion_j E_j, 0, 1)\n"
        "fuse_bound: B = bound(mean_j fusion_j P_j)\n"
        "centred: B = clip(1/2 + mean_j fusion_j (E_j - 1/2), 0, 1);  mean_j: sum over taps / k\n"
        "one tap (k = 1): B = E;  there and in none fusion weights are an error: no case has them",
        inputs=(P, WEIGHTS),
        outputs=(BORDER,),
        attrs=(FUSE, *BOUND),
        clauses=("13.3", "D16", "P67", "P71"),
        reference=_fuse,
        twin=_fuse_twin,
        plain=plain.FUSE,
    ),
    Op(
        name="border_fuse_backward",
        says="The gradients through fusion and bound.",
        formula="D: slope of border_bound_backward;  none, and k = 1: d_p = d_border D(P)\n"
        "bound_fuse and centred: F is what border_fuse clips (centred: with the 1/2);\n"
        "GF = d_border [0 <= F <= 1], or (open) d_border;  d_p_j = GF fusion_j / k D(P_j)\n"
        "d_fusion_j = sum_{n,l} GF E_j / k  (centred: E_j - 1/2)\n"
        "fuse_bound: Q = mean_j fusion_j P_j;  GQ = d_border D(Q);  d_p_j = GQ fusion_j / k;\n"
        "  d_fusion_j = sum GQ P_j / k",
        inputs=(P, WEIGHTS, Tensor("d_border", "float", "like border", "gradient of the border")),
        outputs=(
            Tensor("d_p", "float", "like p", "gradient of P"),
            Tensor("d_fusion", "float", "(c, k)", "gradient of the fusion weights", True),
        ),
        attrs=(FUSE, *BOUND, MASK),
        clauses=("13.4", "D16", "P67", "P71"),
        reference=_fuse_back,
        twin=_fuse_back_twin,
        plain=plain.FUSE_BACKWARD,
    ),
)
