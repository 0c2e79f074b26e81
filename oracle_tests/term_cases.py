"""Units whose loss looks past them, and what each term should be, in plain NumPy."""

from dataclasses import replace

import numpy as np

from oracle_tests.reconstruct_cases import (
    CASE_112,
    changed,
    images,
    residual,
    task_of,
)
from oracle_tests.test_reconstruct_unit import (
    LARGE,
    STEP,
    Frozen,
    penalty_of,
    soft_weights,
)
from refquant.methods import Mix, Term
from refquant.network import forward
from refquant.network.run import evaluate
from refquant.reconstruct.batches import batch_indices, mixed_inputs

KL = Term(kind="kl", at="logits", temperature=4.0, weight=10.0)
DIAG, FULL = Term(kind="fisher_diag"), Term(kind="fisher_full")
MIXED = (Mix(at="input", keep=0.5), Mix(at="quantizers", keep=0.5))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def kl_rows(z, t, temperature=1.0):
    """KL(softmax(t / T) || softmax(z / T)) of every sample."""
    p, q = softmax(t / temperature), softmax(z / temperature)
    return (p * (np.log(p) - np.log(q))).sum(axis=1)


def through_the_float_rest(network, values):
    """The logits of the float network `residual` with some edges given."""
    return evaluate(network, values, ("fc",))["fc"]


# Which unit, and the edges that its outputs and what passes it give the float network.
UNITS = {
    "stem": ("layer", 0, ("r0",)),
    "dw": ("layer", 1, ("r1", "r0")),
    "point": ("layer", 2, ("point", "r0")),
    "fc": ("layer", 3, ("fc",)),
    "body": ("block", 1, ("r2",)),
    "network": ("network", 0, ("fc",)),
}


def unit_task(name, terms, setting=CASE_112, mix=(), source="quantized", **task):
    granularity, number, _ = UNITS[name]
    fields = {"unit": granularity, "terms": terms, "mix": mix, "source": source, "penalty": LARGE}
    network = residual()
    return task_of(network, images(network), changed(setting, **fields), number, **task)


def defined_loss(task, values, rows):
    """methods.md 5.1 to 5.3 in plain NumPy."""
    total = 0.0
    for term in task.phase.terms:
        at = {"unit": (task.unit.output,), "layers": task.unit.layers, "logits": ("fc",)}
        for edge in at[term.at]:
            z, t = values[edge], task.targets[edge][rows]
            total += term.weight * one_loss(term, z, t, task, edge, rows)
    return total


def one_loss(term, z, t, task, edge, rows):
    if term.kind == "kl":
        return kl_rows(z, t, term.temperature).mean()
    d, places = np.abs(z - t), z.size / z.shape[1]
    if term.kind == "lp":
        whole = task.targets[edge]
        power = (np.abs(whole) ** term.p).sum() / (whole.size / whole.shape[1])
        return (d**term.p).sum() / places / (power if term.normalize == "power" else 1.0)
    g = np.abs(task.felt[edge][rows]) + term.offset
    if term.kind == "fisher_diag":
        return (d * d * g * g).sum() / places
    dots = (d * g).reshape(len(d), -1).sum(axis=1)
    return (dots * dots).sum() / d.size / term.divisor


def surrogate(task, own):
    """Loss + penalty past the unit, residuals and masks frozen as in test_reconstruct_unit."""
    phase, key = task.phase, (*task.key, STEP)
    rows = batch_indices(key, 24, phase.batch, phase.sampling)
    values = mixed_inputs(key, task.inputs, task.float_inputs, rows, phase.mix)
    values |= {edge: value[rows] for edge, value in task.beside.items()}
    at = {**own, **soft_weights(task, own, {})}
    trace = forward(task.network, values, task.nodes, at)
    nodes = tuple(
        replace(n, attrs=(("component", Frozen(trace.caches[n.name])),))
        if n.op == "quantize" and n.name in trace.caches
        else n
        for n in task.network.nodes
    )
    network = replace(task.network, nodes=nodes)

    def value(state):
        params = {**state, **soft_weights(task, state, {})}
        reached = forward(network, values, task.nodes, params).values
        return defined_loss(task, reached, rows) + penalty_of(task, state)

    return value
