"""Descriptions of what AdaQTransform has in closed form: folding, fits, batch norms, bias."""

from typing import Any

from refquant.optimal.batch_norm_map import (
    FoldedNorm,
    batch_norm_to_transform,
    transform_to_batch_norm,
)
from refquant.optimal.bias_correction import correct_bias
from refquant.optimal.least_squares import fit_transform
from refquant.oracle.exact import least_squares as twin
from refquant.oracle.families.adaqtransform import plain_closed as plain
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.transform import fold_output

Y = "(n, c, l)"
C = "(c,)"
BIAS = Tensor("bias", "float", C, "bias, not scaled by xi; left out where there is none", True)
GRANULARITIES = ("channel", "layer", "pixel")
NORM = (
    Tensor("gamma0", "float", C, "scale of the norm when it was folded, nowhere 0"),
    Tensor("beta0", "float", C, "shift of the norm when it was folded"),
    Tensor("mean", "float", C, "its mean, frozen"),
    Tensor("sd", "float", C, "its standard deviation, sqrt(var + eps), frozen"),
    Tensor("bias", "float", C, "bias of the layer before the norm", True),
)


def _fold(inputs: Inputs, attrs: Attrs) -> Arrays:
    steps = (inputs["s_w"], float(inputs["s_x"]))
    st, bt = fold_output(*steps, inputs.get("bias"), inputs["xi"], inputs["eta"])
    return {"st": st, "bt": bt}


def _fold_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    bias = numbers.get("bias", [0] * len(numbers["xi"]))
    rows = zip(*(numbers[name] for name in ("xi", "eta", "s_w")), bias, strict=True)
    pairs = [twin.fold(xi, eta, s_w, numbers["s_x"], b) for xi, eta, s_w, b in rows]
    return {"st": [st for st, _ in pairs], "bt": [bt for _, bt in pairs]}


def _ols(inputs: Inputs, attrs: Attrs) -> Arrays:
    given = (inputs["y"], inputs["y0"], inputs.get("bias"))
    return fit_transform(*given, attrs["granularity"])._asdict()


def _ols_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    y, y0 = numbers["y"], numbers["y0"]
    channels, columns = range(len(y[0])), range(len(y[0][0]))
    bias = numbers.get("bias", [0] * len(channels))
    target = [[[v - bias[c] for v in image[c]] for c in channels] for image in y]

    def group(t: Any, cs: Any, ls: Any) -> list[Any]:
        return [image[c][i] for image in t for c in cs for i in ls]

    def fitted(cs: Any, ls: Any) -> tuple[Any, ...]:
        pair = group(target, cs, ls), group(y0, cs, ls)
        xi, eta = twin.fit(*pair, 0)
        return xi, eta, twin.mean_square(*pair, 0, xi, eta)

    shape = attrs["granularity"]
    if shape == "layer":
        found: Any = fitted(channels, columns)
        return dict(zip(("xi", "eta", "mse"), found, strict=True))
    if shape == "channel":
        found = [fitted([c], columns) for c in channels]
        return {name: [fit[i] for fit in found] for i, name in enumerate(("xi", "eta", "mse"))}
    found = [[fitted([c], [i]) for i in columns] for c in channels]
    return {
        name: [[fit[i] for fit in row] for row in found]
        for i, name in enumerate(("xi", "eta", "mse"))
    }


def _norm(inputs: Inputs) -> FoldedNorm:
    gamma0, beta0, mean, sd = (inputs[name] for name in ("gamma0", "beta0", "mean", "sd"))
    return FoldedNorm(gamma0, beta0, mean, sd, inputs.get("bias"))


def _to_transform(inputs: Inputs, attrs: Attrs) -> Arrays:
    pair = batch_norm_to_transform(inputs["gamma"], inputs["beta"], _norm(inputs))
    return {"xi": pair.scale, "eta": pair.shift}


def _to_norm(inputs: Inputs, attrs: Attrs) -> Arrays:
    pair = transform_to_batch_norm(inputs["xi"], inputs["eta"], _norm(inputs))
    return {"gamma": pair.scale, "beta": pair.shift}


def _columns(numbers: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Rows of the named values channel by channel; no bias is 0."""
    bias = numbers.get("bias", [0] * len(numbers["sd"]))
    return zip(*(numbers[name] for name in (*names, "gamma0", "beta0", "mean", "sd")), bias,
               strict=True)  # fmt: skip


def _to_transform_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    pairs = [
        twin.norm_to_transform((gamma, beta), (gamma0, beta0), mean, sd, bias)
        for gamma, beta, gamma0, beta0, mean, sd, bias in _columns(numbers, ("gamma", "beta"))
    ]
    return {"xi": [xi for xi, _ in pairs], "eta": [eta for _, eta in pairs]}


def _to_norm_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    pairs = [
        twin.transform_to_norm((xi, eta), (gamma0, beta0), mean, sd, bias)
        for xi, eta, gamma0, beta0, mean, sd, bias in _columns(numbers, ("xi", "eta"))
    ]
    return {"gamma": [gamma for gamma, _ in pairs], "beta": [beta for _, beta in pairs]}


def _bias(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"corrected": correct_bias(inputs["y"], inputs["y_hat"], inputs["bias"])}


def _bias_twin(numbers: dict[str, Any], attrs: dict[str, Any]) -> dict[str, Any]:
    y, y_hat = numbers["y"], numbers["y_hat"]
    corrected = []
    for c, bias in enumerate(numbers["bias"]):
        pairs = zip(y, y_hat, strict=True)
        errors = [a - b for v, w in pairs for a, b in zip(v[c], w[c], strict=True)]
        corrected.append(bias + sum(errors) / len(errors))
    return {"corrected": corrected}


OPS = (
    Op(
        name="adaqt_fold",
        says="Everything behind an integer product as one scale and one offset.",
        formula="st = xi s_w s_x;  bt = bias + eta;  xi (w_hat x_hat) + bias + eta = st acc + bt",
        inputs=(
            Tensor("xi", "float", C, "scale of the product"),
            Tensor("eta", "float", C, "shift of the output"),
            Tensor("s_w", "float", C, "dequantization steps of the weights; s_d in 2.1 to 2.3"),
            Tensor("s_x", "float", "()", "dequantization step of the inputs"),
            BIAS,
        ),
        outputs=(
            Tensor("st", "float", C, "scale of the accumulator"),
            Tensor("bt", "float", C, "offset of the output"),
        ),
        clauses=("15.3", "P42", "D33"),
        reference=_fold,
        twin=_fold_twin,
        plain=plain.FOLD,
        doubtful=True,
    ),
    Op(
        name="adaqt_ols",
        says="The xi and eta of least squared error for frozen codes.",
        formula="xi = cov(y - bias, y0) / var(y0);  eta = mean(y - bias) - xi mean(y0)\n"
        "mse = mean (y - bias - xi y0 - eta)^2;  all y0 that share xi equal:\n"
        "  xi = 1, eta = mean(y - bias - y0)\n"
        "means over what shares xi: channel (c,), layer (), pixel (c, l)",
        inputs=(
            Tensor("y", "float", Y, "outputs that are wanted"),
            Tensor("y0", "float", Y, "products, before the bias"),
            BIAS,
        ),
        outputs=tuple(
            Tensor(name, "float", "(c,) or () or (c, l)", says)
            for name, says in (
                ("xi", "best scale"),
                ("eta", "best shift"),
                ("mse", "mean squared error that they leave"),
            )
        ),
        attrs=(Attr("granularity", "channel", "what shares xi and eta", GRANULARITIES),),
        clauses=("15.3", "15.6", "P44", "C5", "C20"),
        reference=_ols,
        twin=_ols_twin,
        plain=plain.OLS,
    ),
    Op(
        name="bn_to_xieta",
        says="The output transform with the effect of training a folded batch norm.",
        formula="xi = gamma / gamma0\n"
        "eta = (beta - beta0) + (bias - mean) (gamma - gamma0) / sd;  no bias: 0",
        inputs=(
            Tensor("gamma", "float", C, "scale of the norm after training"),
            Tensor("beta", "float", C, "shift of the norm after training"),
            *NORM,
        ),
        outputs=(
            Tensor("xi", "float", C, "scale of the folded product"),
            Tensor("eta", "float", C, "shift of the output"),
        ),
        clauses=("15.3", "D19", "P43"),
        reference=_to_transform,
        twin=_to_transform_twin,
        plain=plain.TO_TRANSFORM,
        doubtful=True,
    ),
    Op(
        name="xieta_to_bn",
        says="The batch norm with the effect of an output transform.",
        formula="gamma = xi gamma0\n"
        "beta = beta0 + eta - (bias - mean) (gamma - gamma0) / sd;  no bias: 0",
        inputs=(
            Tensor("xi", "float", C, "scale of the folded product"),
            Tensor("eta", "float", C, "shift of the output"),
            *NORM,
        ),
        outputs=(
            Tensor("gamma", "float", C, "scale of the norm"),
            Tensor("beta", "float", C, "shift of the norm"),
        ),
        clauses=("15.3", "D19", "P43"),
        reference=_to_norm,
        twin=_to_norm_twin,
        plain=plain.TO_NORM,
        doubtful=True,
    ),
    Op(
        name="bias_correct",
        says="The bias that removes the mean error of each channel.",
        formula="corrected = bias + mean over samples and positions of (y - y_hat)",
        inputs=(
            Tensor("y", "float", Y, "outputs that are wanted"),
            Tensor("y_hat", "float", Y, "outputs of the quantized layer, its bias included"),
            Tensor("bias", "float", C, "its bias"),
        ),
        outputs=(Tensor("corrected", "float", C, "new bias"),),
        clauses=("8", "15.3", "P50"),
        reference=_bias,
        twin=_bias_twin,
        plain=plain.BIAS,
    ),
)
