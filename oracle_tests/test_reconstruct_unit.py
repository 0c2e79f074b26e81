"""The gradient of a unit: loss plus penalty against central differences, and against formulas.

The surrogate freezes the rounding residual and the clip mask of every quantizer (methods.md 23):
inside the range x_hat = x + s r with r = round(u) - u, outside it is s times the end.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from oracle_tests.gradcheck import check_gradients
from oracle_tests.reconstruct_cases import (
    ADAQT,
    CASE_12,
    CASE_111,
    CASE_112,
    NETWORK_WIDE,
    adaround,
    dense,
    images,
    normed,
    residual,
    task_of,
)
from refquant import numerics as nx
from refquant.components import FreeBias, NormAffine, XiEta
from refquant.kernels.nearest import NearestCache
from refquant.methods import Learn, Mix, Penalty, Term
from refquant.network.run import forward, group_by_node
from refquant.reconstruct.batches import batch_indices, mixed_inputs
from refquant.reconstruct.model import harden
from refquant.reconstruct.unit import (
    gradients,
    learnt_keys,
)

STEP = 7  # of 10: the penalty is on, beta between its ends


@dataclass(frozen=True, eq=False)
class Frozen:
    """A quantizer whose rounding residual and clip mask stay as they were found."""

    cache: Any  # FakeQuantCache of weights, NearestCache of activations

    def forward(self, x, params):
        step = params["s_x"] if "s_x" in params else params["s_w"]
        c = self.cache
        slope = c.slope if isinstance(c, NearestCache) else np.where(c.inside, c.q - c.u, c.q)
        return np.where(c.inside, x, 0.0) + step * slope, None


def changed(setting, **fields):
    """`setting` with fields of its first phase changed."""
    return replace(setting, phases=(replace(setting.phases[0], **fields), *setting.phases[1:]))


def shaken(own, seed=3):
    """Floats moved a little away from where learning starts, so that nothing is special."""
    rng = np.random.default_rng(seed)
    moved = {}
    for (node, name), value in own.items():
        if name == "alpha":
            value = value + rng.normal(0, 0.4, value.shape)
        elif name in ("s_w", "s_x", "xi"):
            value = value * rng.uniform(0.8, 1.1, value.shape)
        elif name == "eta":
            value = value + rng.normal(0, 0.1, value.shape)
        moved[(node, name)] = np.asarray(value)
    return moved


def batch_of(task):
    """The inputs and targets of the step under test."""
    key, phase = (*task.key, STEP), task.phase
    count = len(next(iter(task.inputs.values())))
    rows = batch_indices(key, count, phase.batch, phase.sampling)
    values = mixed_inputs(key, task.inputs, task.float_inputs, rows, phase.mix)
    return values, {edge: value[rows] for edge, value in task.targets.items()}


def soft_weights(task, own, frozen):
    """The weights a step multiplies by, LSQ's with frozen residuals."""
    weights, params = {}, group_by_node(own)
    if "weights" not in task.phase.quantize:
        return weights
    for layer in task.unit.layers:
        w, key = task.network.params[(f"{layer}.product", "w")], (f"{layer}.product", "w")
        if "codes" in params[layer]:
            step = params[layer]["s_w"]
            weights[key] = step * params[layer]["codes"]
        elif layer in frozen:
            weights[key] = frozen[layer].forward(w, params[layer])[0]
        else:
            weights[key] = task.model.weights[layer].forward(w, params[layer])[0]
    return weights


def surrogate(task, own):
    """Return the function state -> loss + penalty with residuals and masks frozen at `own`."""
    values, targets = batch_of(task)
    params, frozen = group_by_node(own), {}
    for layer in task.unit.layers:
        component = task.model.weights[layer]
        if "alpha" not in params[layer]:
            w = task.network.params[(f"{layer}.product", "w")]
            frozen[layer] = Frozen(component.forward(w, params[layer])[1])
    at = {**own, **soft_weights(task, own, {})}
    trace = forward(task.network, values, task.unit.nodes, at)
    nodes = tuple(
        replace(n, attrs=(("component", Frozen(trace.caches[n.name])),))
        if n.op == "quantize" and n.name in trace.caches
        else n
        for n in task.network.nodes
    )
    network = replace(task.network, nodes=nodes)

    def value(state):
        at = {**state, **soft_weights(task, state, frozen)}
        reached = forward(network, values, task.unit.nodes, at).values
        return loss_of(task, reached, targets) + penalty_of(task, state)

    return value


def loss_of(task, values, targets):
    """methods.md 5.1, summed over the terms and their sites, in plain NumPy."""
    total = 0.0
    for term in task.phase.terms:
        behind = [{"dw": "n1", "point": "n2"}.get(layer, layer) for layer in task.unit.layers]
        layers = behind if "n1" in values else task.unit.layers
        for edge in (task.unit.output,) if term.at == "unit" else layers:
            distance = np.abs(values[edge] - targets[edge]) ** term.p
            total += term.weight * distance.sum() / (distance.size / distance.shape[1])
    return total


def penalty_of(task, own):
    """methods.md 5.4 with the linear beta of 5.5 at the step under test."""
    if task.phase.penalty is None:
        return 0.0
    total = task.phase.steps
    beta = 2.0 + 18.0 * (1.0 - (STEP - 0.2 * total) / (0.8 * total))
    soft = [v for (n, p), v in own.items() if p == "alpha" and (n, "codes") not in own]
    h = [np.clip(1.2 / (1.0 + np.exp(-alpha)) - 0.1, 0.0, 1.0) for alpha in soft]
    return task.phase.penalty.lam * sum((1.0 - np.abs(2.0 * v - 1.0) ** beta).sum() for v in h)


def adaqt_with(output, *names, **fields):
    """AdaQTransform's pipeline with another component behind the products."""
    learn = (*ADAQT.phases[0].learn[:2], *((name, Learn(lr=1e-2)) for name in names))
    return replace(ADAQT, output=output, phases=(replace(ADAQT.phases[0], learn=learn),), **fields)


LARGE = Penalty(lam=0.3)
MIXED = changed(CASE_112, mix=(Mix(at="input", keep=0.5), Mix(at="input", rule="uniform")))
STEPS_ALONE = changed(
    CASE_112, learn=CASE_112.phases[0].learn[1:], quantize=("activations",), penalty=None
)
BEHIND = {  # what else may be learnt behind a product
    "bias": adaqt_with(FreeBias(), "bias"),
    "norm": adaqt_with(NormAffine(), "gamma", "beta", prepare=()),
}
TERMS = (Term(weight=0.5), Term(at="layers", p=2.4, weight=2.0))
CASES = {
    "layer": (residual, adaround(penalty=LARGE), 0, 0),
    "depthwise": (residual, adaround(penalty=LARGE), 1, 0),
    "float-inputs": (residual, adaround(source="float"), 2, 0),
    "weights-only": (residual, adaround(quantize=("weights",)), 1, 0),
    "activations-only": (residual, STEPS_ALONE, 1, 0),
    "block": (residual, changed(CASE_112, penalty=LARGE), 1, 0),
    "mixed": (residual, MIXED, 1, 0),
    "lsq-block": (residual, CASE_12, 1, 0),
    "lsq-unrounded": (
        residual,
        replace(CASE_12, weights=replace(CASE_12.weights, mask="unrounded")),
        1,
        0,
    ),
    "s_x-behind-codes": (residual, CASE_111, 1, 1),
    "network": (residual, NETWORK_WIDE, 0, 0),
    "xi-eta": (residual, ADAQT, 0, 0),
    "pixels": (residual, replace(ADAQT, output=XiEta(xi="pixel", eta="layer")), 0, 0),
    "bias": (residual, BEHIND["bias"], 0, 0),
    "norm": (normed, BEHIND["norm"], 0, 0),
    "terms": (residual, changed(ADAQT, terms=TERMS, penalty=LARGE), 0, 0),
    "dense": (dense, changed(NETWORK_WIDE, terms=(Term(p=2.4),)), 0, 0),
    "patches": (residual, replace(CASE_112, placement="input"), 1, 0),
}


def hardened_if_needed(phase):
    """In a second phase the first one has fixed the codes."""
    return lambda model: harden(model, model.start, tuple(model.weights)) if phase else model.start


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_central_differences(case):
    """P22, P55, methods.md 15.2: alpha, s_w, s_x, xi and eta, through layers, blocks, networks."""
    build, setting, unit, phase = CASES[case]
    network = build()
    task, own = task_of(
        network, images(network), setting, unit, phase, state=hardened_if_needed(phase)
    )
    own = shaken(own)
    found = gradients(task, own, STEP)
    value = surrogate(task, own)
    assert found.grads.keys() == learnt_keys(task, own).keys() and found.grads
    assert found.loss + found.penalty == pytest.approx(value(own), rel=1e-12)
    check_gradients(value, own, found.grads, case)
    names = {name for _, name in found.grads}
    assert names == {name for name, _ in task.phase.learn}


def test_a_step_behind_the_last_loss_site_has_no_gradient():
    """With the loss at the layer's output, the quantizer behind its relu is out of reach."""
    setting = changed(CASE_112, unit="layer", terms=(Term(at="layers"),))
    network = residual()
    task, own = task_of(network, images(network), setting, unit=1)
    grads = gradients(task, own, STEP).grads
    assert grads[("r1.q", "s_x")] == 0.0 and np.any(grads[("dw", "alpha")] != 0.0)


def test_weights_outside_the_range_get_no_gradient():
    """P29: zero exactly where F + h lies outside [n, p]."""
    network = residual()
    task, own = task_of(network, images(network), adaround(penalty=None))
    own = {k: v / 4 if k == ("stem", "s_w") else v for k, v in own.items()}
    own[("stem", "alpha")] = np.full_like(own[("stem", "alpha")], 0.25)
    h = 1.2 / (1.0 + np.exp(-0.25)) - 0.1
    level = np.floor(network.params[("stem", "w")] / own[("stem", "s_w")]) + h
    outside = (level < -4) | (level > 3)
    grad = gradients(task, own, STEP).grads[("stem", "alpha")]
    assert outside.any() and not outside.all()
    np.testing.assert_array_equal(grad == 0.0, outside)


def test_rows_of_a_layer_do_not_see_each_other():
    """P33: the gradient of one row's alpha is the same bits whatever the other row does."""
    network = dense(sizes=(6, 2))
    task, own = task_of(network, images(network), adaround())
    other = {k: v.copy() for k, v in own.items()}
    other[("fc1", "alpha")][0] += 1.0
    with nx.arithmetic("pinned"):
        a, b = (gradients(task, state, STEP).grads[("fc1", "alpha")] for state in (own, other))
    np.testing.assert_array_equal(a[1], b[1])
    assert np.any(a[0] != b[0])
