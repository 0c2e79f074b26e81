"""A layer in front of the Gram solver: weights in units of their step, choices, and back to alpha.

    W / s   = floor + frac                  base = clip(floor, n, p)
    w_hat   = s (base + h), h in {0, 1}     h = 0 where not free
    output  = xi (w_hat x) + bias + eta

References: methods.md 6.1, 7 and 15.1; `refquant.optimal.qubo` has the QUBO of one row.
"""

from dataclasses import dataclass

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.optimal.layer_quadratic import Quadratic, quadratic_losses
from refquant.optimal.row_flips import Rows
from refquant.quantizers.levels import clip_levels, limits_for, ratio
from refquant.quantizers.rectified_sigmoid import LN11
from refquant.reconstruct.model import State, weight_of
from refquant.reconstruct.task import UnitTask


@dataclass(frozen=True)
class GramLayer:
    """What stays fixed of a layer while its rounding is chosen.

    Attributes
    ----------
    name : str
    w, base : (g, o, d) float64 arrays
        Float weight, and the level below it, clipped.
    free : (g, o, d) bool array
    step : (g, o) float64 array
        Dequantization step.
    """

    name: str
    w: Array
    base: Array
    free: Array
    step: Array

    def weights(self, h: Array) -> Array:
        """Return the dequantized weights of the choices `h`."""
        return np.asarray(self.step[:, :, None] * (self.base + h))

    def nearest(self) -> Array:
        """Return the choices of nearest rounding, bool (g, o, d), ties up as alpha starts."""
        return np.asarray(self.free & (self.w / self.step[:, :, None] - self.base >= 0.5))


@dataclass(frozen=True)
class Problem:
    """A layer, the quadratic of its output error, and the scale (g, o) of each output."""

    layer: GramLayer
    form: Quadratic
    xi: Array

    def rows(self) -> list[Rows]:
        """Return the problem of each group's rows."""
        layer, form = self.layer, self.form
        scale = layer.step * self.xi
        curve = scale * scale
        linear = 2.0 * curve[:, :, None] * nx.matmul(layer.base, form.gram)
        linear = linear - 2.0 * scale[:, :, None] * form.cross
        return [Rows(*part) for part in zip(form.gram, curve, linear, layer.free, strict=True)]

    def loss(self, h: Array) -> float:
        """Return the mean squared error of choices, summed over the outputs."""
        w_hat = self.xi[:, :, None] * self.layer.weights(h)
        return float(nx.sum(quadratic_losses(self.form, w_hat)))


def gram_layer(task: UnitTask, own: State) -> GramLayer:
    """Return the layer of a task, its grid as it stands in `own`."""
    (name,) = task.unit.layers
    component, params = task.model.weights[name], _params(own, name)
    w, qparams = weight_of(task.network, name), component.qparams(params)
    groups = task.network.node(f"{name}.product").attr("groups")
    low, high = limits_for(w, qparams)
    floor = np.floor(ratio(w, qparams.step.astype(w.dtype)))
    shape = (groups, len(w) // groups, -1)
    wide = (w, clip_levels(floor, low, high), np.broadcast_to(component.step(params), len(w)))
    flat, base, step = (value.astype(np.float64) for value in wide)
    free = (low <= floor) & (floor < high)
    return GramLayer(
        name,
        flat.reshape(shape),
        base.reshape(shape),
        free.reshape(shape),
        step.reshape(groups, -1),
    )


def chosen(task: UnitTask, layer: GramLayer, own: State) -> Array:
    """Return the choices that the layer's parameters stand for, bool (g, o, d)."""
    component, params = task.model.weights[layer.name], _params(own, layer.name)
    codes = component.codes(weight_of(task.network, layer.name), params)
    return np.asarray(codes.reshape(layer.base.shape) > layer.base)


def alpha_of(layer: GramLayer, h: Array, alpha: Array) -> Array:
    """Return `alpha` with every free weight decided as `h` says: at plus or minus ln 11."""
    decided = np.where(h, LN11, -LN11).astype(alpha.dtype).reshape(alpha.shape)
    return np.where(layer.free.reshape(alpha.shape), decided, alpha)


def _params(own: State, name: str) -> dict[str, Array]:
    return {key[1]: value for key, value in own.items() if key[0] == name}
