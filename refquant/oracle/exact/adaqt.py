"""Scalar twin of a layer of AdaQTransform: quantized weight and input, product, output transform.

Written from methods 15.1 and 15.2. Weights are rows over outputs, inputs rows over features, with
one column per sample or position. Numbers are floats, Fractions or tracked numbers. Imports the
standard library only.
"""

from typing import Any, NamedTuple

from refquant.oracle.exact import adaround, fake_quant

Row = list[Any]
Rows = list[Row]
NEAREST = ("1.2", "qat")


class Layer(NamedTuple):
    """All parameters of a layer.

    Steps are one number per output (s_x: one number); alpha is None where weights are rounded to
    nearest, s_d where it is s_w. xi and eta are a number, one per output, or one per output and
    column.
    """

    w: Rows
    s_w: Row
    s_x: Any
    xi: Any
    eta: Any
    alpha: Rows | None = None
    s_d: Row | None = None
    bias: Row | None = None


class How(NamedTuple):
    """The case of table 15.1, the levels of weight and input, and the readings of both."""

    case: str
    weight_ends: tuple[int, int]
    input_ends: tuple[int, int]
    hard: bool = False
    edge: str = "inclusive"
    mask: str = "rounded"


class Output(NamedTuple):
    """What the layer computes on the way."""

    levels: Rows
    w_hat: Rows
    x_hat: Rows
    y0: Rows
    y: Rows


def at(parameter: Any, i: int, column: int) -> Any:
    """A parameter of any granularity at one output and column."""
    found = parameter[i] if isinstance(parameter, list) else parameter
    return found[column] if isinstance(found, list) else found


def level(layer: Layer, how: How, i: int, j: int) -> Any:
    """The level of one weight."""
    w, s, ends = layer.w[i][j], layer.s_w[i], how.weight_ends
    if layer.alpha is None:
        return fake_quant.quantize(w, s, 0, ends)
    alpha = layer.alpha[i][j]
    if how.hard:
        return adaround.hard_level(w, s, adaround.is_up(alpha), *ends)
    return adaround.soft_level(w, s, adaround.rectified_sigmoid(alpha), *ends)


def forward(layer: Layer, x: Rows, how: How) -> Output:
    """Levels, weights, inputs, y0 = w_hat x_hat, and y = xi y0 + b + eta."""
    outputs, features = range(len(layer.w)), range(len(layer.w[0]))
    levels = [[level(layer, how, i, j) for j in features] for i in outputs]
    steps = layer.s_w if layer.s_d is None else layer.s_d
    w_hat = [[steps[i] * q for q in levels[i]] for i in outputs]
    x_hat = fake_quant.forward(x, [layer.s_x] * len(x), 0, how.input_ends)[0]
    columns = range(len(x[0]))
    y0 = [[sum(w_hat[i][j] * x_hat[j][c] for j in features) for c in columns] for i in outputs]
    y = [[_transformed(layer, y0[i][c], i, c) for c in columns] for i in outputs]
    return Output(levels, w_hat, x_hat, y0, y)


def _transformed(layer: Layer, y0: Any, i: int, column: int) -> Any:
    bias = 0 if layer.bias is None else layer.bias[i]
    return at(layer.xi, i, column) * y0 + bias + at(layer.eta, i, column)


def weight_slopes(layer: Layer, how: How, i: int, j: int, q: Any) -> dict[str, Any]:
    """d w_hat / d of alpha, s_w, s_d and w of one weight, of those that the case learns."""
    w, s, ends = layer.w[i][j], layer.s_w[i], how.weight_ends
    if layer.alpha is None:
        inside = fake_quant.is_inside(w, s, ends, mask=how.mask)
        found = {"s_w": q - w / s if inside else q}
        through = s / s if inside else 0  # 1, with the roundings of autodiff
        return found | ({"w": through} if how.case == "qat" else {})
    alpha, out = layer.alpha[i][j], s if layer.s_d is None else layer.s_d[i]
    h = adaround.rectified_sigmoid(alpha)
    inside = bool(adaround.soft_slope(w, s, h, *ends))
    found = {"alpha": (out if inside else 0) * adaround.rectified_slope(alpha, how.edge)}
    if how.case == "tied":
        found["s_w"] = q - w / s if inside else q
    if how.case in ("2.1", "2.3"):
        found["s_w"] = -(out * w) / (s * s) if inside else 0 * s
    if how.case in ("2.2", "2.3"):
        found["s_d"] = q
    return found


def backward(layer: Layer, x: Rows, d_y: Rows, how: How) -> dict[str, Any]:
    """The gradients of methods 15.2, by name; those of steps per output, s_x a number."""
    out = forward(layer, x, how)
    outputs, features = range(len(layer.w)), range(len(layer.w[0]))
    columns = range(len(x[0]))
    scaled = [[at(layer.xi, i, c) * d_y[i][c] for c in columns] for i in outputs]
    found: dict[str, Any] = {
        "xi": gathered([[d_y[i][c] * out.y0[i][c] for c in columns] for i in outputs], layer.xi),
        "eta": gathered(d_y, layer.eta),
    }
    if layer.bias is not None:
        found["bias"] = [sum(row) for row in d_y]
    for i in outputs:
        for j in features:
            d_w_hat = sum(scaled[i][c] * out.x_hat[j][c] for c in columns)
            for name, slope in weight_slopes(layer, how, i, j, out.levels[i][j]).items():
                rows = found.setdefault(name, [[0] * len(features) for _ in outputs])
                rows[i][j] = d_w_hat * slope
    for name in ("s_w", "s_d"):
        if name in found:
            found[name] = [sum(row) for row in found[name]]
    d_x_hat = [[sum(out.w_hat[i][j] * scaled[i][c] for i in outputs) for c in columns]
               for j in features]  # fmt: skip
    convention = ("rint", how.mask)
    rows = [fake_quant.row_backward(row, d, layer.s_x, 0, how.input_ends, convention)
            for row, d in zip(x, d_x_hat, strict=True)]  # fmt: skip
    return found | {"x": [row for row, _ in rows], "s_x": sum(total for _, total in rows)}


def gathered(terms: Rows, parameter: Any) -> Any:
    """Terms summed over what shares a parameter."""
    if not isinstance(parameter, list):
        return sum(term for row in terms for term in row)
    if isinstance(parameter[0], list):
        return terms
    return [sum(row) for row in terms]
