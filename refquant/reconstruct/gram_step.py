"""Line search for the step of the activations, with the codes of the weights fixed.

For each candidate s_x the columns are quantized anew and the layer's products summed up; where xi
and eta are learnt, each candidate is judged with the best of its own (P44). The present step is
among the candidates, so the error never rises; of equal ones the nearest to it is taken.
"""

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.network.graph import Key
from refquant.optimal.layer_quadratic import (
    Quadratic,
    best_transform,
    column_moments,
    merged,
    quadratic_losses,
)
from refquant.reconstruct.gram_moments import chunks_of_each, products
from refquant.reconstruct.model import State
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import project


def search_step(task: UnitTask, own: State, w_hat: Array, span: float) -> dict[Key, Array]:
    """Return the best step among factors from 1 - span to 1 + span of the present one.

    Parameters
    ----------
    task : UnitTask
    own : mapping
        The unit's state.
    w_hat : (g, o, d) array
        Dequantized weights.
    span : float

    Returns
    -------
    dict
        The step under its key; empty if no quantizer stands in front of the product.
    """
    (edge,) = task.network.node(f"{task.unit.layers[0]}.product").inputs
    key = (edge, "s_x")
    if key not in own:
        return {}
    learn, points = dict(task.phase.learn)["s_x"], task.phase.gram.points
    factors = 1.0 + span * np.linspace(-1.0, 1.0, points)
    factors = factors[np.argsort(np.abs(factors - 1.0), kind="stable")]
    candidates = [project(np.asarray(own[key] * f, own[key].dtype), learn) for f in factors]
    losses = _losses(task, [{**own, key: step} for step in candidates], w_hat)
    return {key: candidates[int(np.argmin(losses))]}


def _losses(task: UnitTask, states: list[State], w_hat: Array) -> list[float]:
    """Return the squared error of the layer's outputs under each state."""
    forms: list[Quadratic] = []
    for parts in chunks_of_each(task, states):
        moments = [column_moments(*products(chunk, w_hat)) for chunk in parts]
        forms = [merged(*pair) for pair in zip(forms, moments, strict=True)] if forms else moments
    return [_loss(task, form) for form in forms]


def _loss(task: UnitTask, form: Quadratic) -> float:
    """Return the error summed over the outputs, with the best of what is learnt of them."""
    one, learnt = np.ones(form.cross.shape), dict(task.phase.learn)
    xi, eta = best_transform(form, one, "xi" in learnt, "eta" in learnt)
    shifted = eta * eta - 2.0 * eta * (form.target_mean - xi * form.mean)
    return float(nx.sum(quadratic_losses(form, xi[:, :, None]) + shifted))
