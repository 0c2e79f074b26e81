"""B2 and B3: one step of the reconstruction loop, as it is, against the same step in PyTorch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.bench.agreement import same_gradients
from refquant.bench.case import SAME, Arrays, Case, Work
from refquant.bench.layers import SAME3, Size, images, weights
from refquant.kernels.memory import keep_freed_memory
from refquant.methods.adaqtransform import ADAQTRANSFORM
from refquant.methods.aquant import AQUANT
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Setting
from refquant.network import Network, Node
from refquant.network.graph import Key
from refquant.network.run import group_by_node
from refquant.optim.adam import adam_init, adam_step
from refquant.reconstruct.loop import Run, Supply, jobs
from refquant.reconstruct.model import Bits, build_model, part_of, weight_of
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import gradients, learnt_keys

STEPS, IMAGES = 1000, 64
# What is learnt beside alpha and the steps has moved so far from its start: deviations.
MOVED = {"b0": 0.02, "b1": 0.02, "b2": 0.02, "xi": 0.1, "eta": 0.02}
ROUNDED = 0.7  # share of the rounding schedule
# AdaRound and steps together, nothing dropped; the method without its draws.
JOINT = replace(QDROP, name="joint", phases=(replace(QDROP.phases[0], mix=()),))
BORDER_LIMIT = (
    "three matrix products at the speed of BLAS are a fifth (16:32) to a half (128:8) of a step; "
    "most of the rest are elementwise passes over the patches."
)
JOINT_LIMIT = (
    "a fifth (16:16) to a half (64:16) of a step are matrix products, four ninths as many as "
    "without Winograd's tiles, at the speed of BLAS; PyTorch's own convolutions use wider vectors "
    "where OpenBLAS takes this processor for an older one (OPENBLAS_CORETYPE is a setting of the "
    "host)."
)


class Kind(NamedTuple):
    """What is stepped: a setting on so many layers, its peer, and what keeps it from its aim."""

    name: str
    setting: Setting
    layers: int
    worker: str
    limit: str


BORDER = Kind("B2 AQuant step", AQUANT, 1, "aquant-step", BORDER_LIMIT)
LEARNT = (
    Kind("B3 AdaRound + LSQ step, block of two", JOINT, 2, "joint-step", JOINT_LIMIT),
    Kind("B3 AdaQTransform step, network of two", ADAQTRANSFORM, 2, "transform-step", JOINT_LIMIT),
)


class Begun(NamedTuple):
    """A unit ready for a step: the task, and its state."""

    task: UnitTask
    own: dict[Key, Array]


def chain(size: Size, layers: int) -> Network:
    """Return convolutions 3x3 with ReLUs in between, all of them one block."""
    nodes: list[Node] = []
    for number in range(layers):
        source = nodes[-1].name if nodes else "input"
        nodes.append(Node(f"c{number}", "conv2d", (source,), (("geometry", SAME3),)))
        if number < layers - 1:
            nodes.append(Node(f"r{number}", "relu", (f"c{number}",)))
    block = ("block", tuple(node.name for node in nodes))
    shape = (size.channels, size.side, size.side)
    params = {(f"c{n}", "w"): np.roll(weights(size), n, axis=0) for n in range(layers)}
    return Network("chain", shape, tuple(nodes), params, (block,))


def begun(setting: Setting, layers: int, size: Size, dtype: str = "float32") -> Begun:
    """Return the block ready to be learnt at W4A4, in the middle of the rounding schedule."""
    x, network = images(0, size).astype(dtype), chain(size, layers)
    params = {key: value.astype(dtype) for key, value in network.params.items()}
    model = build_model(replace(network, params=params), x, setting, Bits(4, 4, None))
    number, phase, index, unit = next(iter(jobs(model.network, setting)))
    supply = Supply.begin(model, phase, x).to(unit, model, model.start)
    run = Run(seed=0, steps=STEPS, progress=lambda name, steps: lambda: None)
    task = supply.task(model, unit, run, (0, number, index))
    own = part_of(model.start, unit)
    for key, value in own.items():
        if key[1] in MOVED:
            moved = MOVED[key[1]] * nx.counter.normal((2, *key), value.shape)
            own[key] = (value + moved).astype(value.dtype)
        elif key[1] == "a":
            own[key] = np.asarray(ROUNDED, value.dtype)
    return Begun(task, own)


def inputs_of(setting: Setting, layers: int, size: Size) -> dict[str, Array]:
    """Return what the other side needs: "x", state and targets as "node.parameter"."""
    task, own = begun(setting, layers, size)
    (edge,) = task.inputs
    found = {f"{node}.{name}": value for (node, name), value in own.items()}
    found |= {f"{site}.target": value for site, value in task.targets.items()}
    for layer in task.unit.layers:
        w = weight_of(task.network, layer)
        placed = task.model.weights[layer].qparams(group_by_node(own)[layer])
        low, high = placed.grid.limits(placed.zero_point)
        found |= {f"{layer}.w": w, f"{layer}.low": low, f"{layer}.high": high}
    return {**found, "x": task.inputs[edge]}


def ours(setting: Setting, layers: int, size: Size, inputs: Arrays) -> Work:
    """One step: draw, mix, forward, loss, backward, Adam.

    The results are of all images, without draws and regulariser, and in float64: a rounding error
    of float32 moves a level now and then, and with it a gradient.
    """
    keep_freed_memory()  # as a run does first
    start = begun(setting, layers, size)

    def results() -> dict[str, Array]:
        """Return the gradients in float64, at the numbers of the step."""
        wide, (narrow, own) = begun(setting, layers, size, "float64").task, start
        read, goal = in_float64(narrow.inputs), in_float64(narrow.targets)
        wide = replace(wide, inputs=read, targets=goal)
        return gradients_of(Begun(wide, in_float64(own)), len(inputs["x"]))

    return Work(step_of(start), results)


def step_of(start: Begun) -> Callable[[], None]:
    """Return one step of a unit."""
    task, own = start
    keys = learnt_keys(task, own)
    adam, rates = adam_init({key: own[key] for key in keys}), dict.fromkeys(keys, 1e-3)

    def run() -> None:
        """Take one step: gradients, then Adam."""
        found = gradients(task, own, STEPS // 2)
        adam_step({key: own[key] for key in keys}, found.grads, adam, rates)

    return run


def gradients_of(start: Begun, count: int) -> dict[str, Array]:
    """Return the gradients of a step on all `count` samples, nothing drawn and no penalty."""
    task, own = start
    mix = tuple(mix for mix in task.phase.mix if mix.rule == "anneal")
    phase = replace(task.phase, mix=mix, penalty=None, batch=count, sampling="permutation")
    grads = gradients(replace(task, phase=phase), own, STEPS // 2).grads
    return {f"{node}.{name}": value for (node, name), value in grads.items()}


def in_float64(values: Mapping[Any, Array]) -> dict[Any, Array]:
    """Return the same numbers in float64; integers as they are."""
    return {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in values.items()}


def cases() -> tuple[Case, ...]:
    """Return the cases of B2 and B3, and the memory of B2."""
    goals = {(16, 32): (5.0, 8.0), (64, 16): (3.0, 5.0), (128, 8): (2.0, 4.0)}
    eager = [_case(BORDER, place, goal) for place, goal in goals.items()]
    compiled = replace(
        _case(BORDER, (64, 16), (2.2, 4.0)),
        name="B2 AQuant step, compiled, 64:16",
        peer="torch.compile, the same step, batch 32",
        worker="aquant-step-compiled",
        quick=False,
    )
    memory = replace(
        _case(BORDER, (64, 16), (20.0, 100.0)),
        name="B5 AQuant step, peak memory, 64:16",
        measure="bytes",
        limit="",
    )
    places = ((16, 16), (64, 16))
    learnt = [_case(kind, place, (0.7, 1.0)) for kind in LEARNT for place in places]
    return (*eager, compiled, memory, *learnt)


def _case(kind: Kind, place: tuple[int, int], goal: tuple[float, float]) -> Case:
    """Return the case of a step at (channels, side of the map), with its target and aim."""
    size = Size(*place, IMAGES)
    return Case(
        name=f"{kind.name}, {size.channels}:{size.side}",
        table=SAME,
        peer="PyTorch eager, the same step, batch 32",
        inputs=partial(inputs_of, kind.setting, kind.layers, size),
        ours=partial(ours, kind.setting, kind.layers, size),
        worker=kind.worker,
        judge=same_gradients,
        target=goal[0],
        aim=goal[1],
        limit=kind.limit,
    )
