"""B4: time to the objective that PyTorch's literal loop reaches in 5,000 steps.

Our side is `refquant.reconstruct.gram.solve_gram`, moments included: nearest plane and a short tabu
search; beside it, where they are learnt, line search for s_x and least squares for xi and eta. Its
moments are those of the first 512 images. Both sides start from the same steps. A comparison counts
only where our error is no larger than PyTorch's, on all 1,024 calibration images, which PyTorch's
batches are drawn from, and on 1,024 held-out ones.
"""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.bench.case import BETTER, Arrays, Case, Work
from refquant.bench.layers import SAME3, Size, images, weights
from refquant.layers.im2col import im2col
from refquant.methods import Gram, resolve
from refquant.methods.setting import Setting
from refquant.network import Network, Node
from refquant.network.graph import Key
from refquant.progress import silent
from refquant.reconstruct.gram import solve_gram
from refquant.reconstruct.loop import Run, Supply, jobs
from refquant.reconstruct.model import Bits, Model, build_model, hard_params, part_of
from refquant.reconstruct.task import UnitTask
from refquant.reconstruct.unit import Step

SOLVER = Gram(start="plane", finish="tabu", tabu=500, samples=512, scout=128)
HELD_OUT = 1  # seed of images that neither side sees
PEER = "PyTorch eager, 5,000 steps on batches of 32 (ten times 500 are timed)"
LIMIT = (
    "a fifth (joint) to a half (32:8) of our time sums the moments of 512 images; the rest is a "
    "search of 500 flips, and for joint problems more rounds of both."
)


class Problem(NamedTuple):
    """A layer, its bits (activations None: real), and what is learnt beside alpha."""

    size: Size
    bits: int
    act_bits: int | None
    transform: bool = False
    gram: Gram = SOLVER


class Unwatched:
    """Looks at no step."""

    def due(self, step: int) -> bool:
        """Return False."""
        return False

    def __call__(self, step: int, found: Step, state: Any) -> None:
        """Do nothing."""


def setting_of(problem: Problem) -> Setting:
    """Return the method of our side."""
    base = resolve("adaqtransform-gram")
    phase = replace(base.phases[0], gram=problem.gram)
    names = ["alpha"]
    names += ["s_x"] if problem.act_bits else []
    names += ["xi", "eta"] if problem.transform else []
    phase = replace(phase, learn=tuple(pair for pair in phase.learn if pair[0] in names))
    return replace(
        base,
        name="bench",
        activations=base.activations if problem.act_bits else None,
        output=base.output if problem.transform else None,
        phases=(phase,),
    )


def prepared(problem: Problem, x: Array, w: Array) -> tuple[Model, UnitTask, dict[Key, Array]]:
    """Return the calibrated layer, its learning task and its state."""
    node = Node("conv", "conv2d", ("input",), (("geometry", SAME3),))
    network = Network("one", x.shape[1:], (node,), {("conv", "w"): w})
    setting, bits = setting_of(problem), Bits(problem.bits, problem.act_bits or 8, None)
    model = build_model(network, x, setting, bits)
    ((_, phase, _, unit),) = jobs(model.network, setting)
    supply = Supply.begin(model, phase, x).to(unit, model, model.start)
    task = supply.task(model, unit, Run(0, None, silent), (0, 0, 0))
    return model, task, part_of(model.start, unit)


def solve_inputs(problem: Problem) -> dict[str, Array]:
    """Return images, weights and the calibrated start, for both sides."""
    x, w = images(0, problem.size), weights(problem.size)
    model, _, own = prepared(problem, x, w)
    component = model.weights["conv"]
    low, high = component.qparams({k[1]: v for k, v in own.items()}).grid.limits(0)
    found = {
        "x": x,
        "w": w,
        "step": own[("conv", "s_w")].astype(np.float32),
        "limits": np.array([low, high], np.float64),
        "alpha": own[("conv", "alpha")],
    }
    if problem.act_bits:
        edge = "conv.patches.q"
        zero = int(own[(edge, "zero_point")])
        found["s_x"] = own[(edge, "s_x")].astype(np.float32)
        found["x_limits"] = np.array([-zero, (1 << problem.act_bits) - 1 - zero], np.float64)
    if problem.transform:
        found |= {name: own[("conv", name)] for name in ("xi", "eta")}
    return found


def ours(problem: Problem, inputs: Arrays) -> Work:
    """Solve the layer from its start."""
    model, task, own = prepared(problem, inputs["x"], inputs["w"])

    def solved() -> dict[Key, Array]:
        """Return the layer's state once it is solved."""
        return solve_gram(task, own, lambda: None, Unwatched())

    def results() -> dict[str, Array]:
        """Return the rounded weight and what was learnt beside it."""
        state = solved()
        found = {"w_hat": hard_params(model, state, ("conv",))[("conv.product", "w")]}
        return found | {k[1]: v for k, v in state.items() if k[1] in ("s_x", "xi", "eta")}

    return Work(solved, results)


def judged(problem: Problem, a: Arrays, b: Arrays) -> dict[str, Any]:
    """Return both sides' errors as shares of nearest rounding's, on both sets of images.

    Raises
    ------
    ValueError
        If ours is larger on either.
    """
    w, start = weights(problem.size), solve_inputs(problem)
    step, limits = start["step"], start["limits"]
    near: dict[str, Array] = {**start, "w_hat": step * np.clip(np.rint(w / step), *limits)}
    facts: dict[str, Any] = {}
    for name, seed in (("calibration", 0), ("held_out", HELD_OUT)):
        x = images(seed, problem.size)
        base, mine, theirs = (error(x, w, start, side) for side in (near, a, b))
        facts[name] = {"ours": mine / base, "theirs": theirs / base}
    for name, shares in facts.items():
        if not shares["ours"] <= shares["theirs"]:
            raise ValueError(f"goal missed on {name} images: {facts}")
    return facts


def error(x: Array, w: Array, start: Arrays, found: Arrays) -> float:
    """Return the mean squared output error of one side's layer."""
    total = 0.0
    for part in np.array_split(x, max(1, len(x) // 64)):
        cols = im2col(part, SAME3)
        x_hat = cols
        if "s_x" in found and "x_limits" in start:
            s_x = found["s_x"]
            x_hat = s_x * np.clip(np.rint(cols / s_x), *start["x_limits"]).astype(cols.dtype)
        y_hat = nx.matmul(found["w_hat"].reshape(len(w), -1), x_hat)
        if "xi" in found:
            y_hat = found["xi"][:, None] * y_hat + found["eta"][:, None]
        rest = y_hat - nx.matmul(w.reshape(len(w), -1), cols)
        total += float(nx.sum(rest * rest))
    return total / len(x)


SMALL, MIDDLE = Size(16, 8, 1024), Size(32, 8, 1024)
ROUNDING = {"w2, 16:8": (SMALL, 2), "w4, 16:8": (SMALL, 4), "w2, 32:8": (MIDDLE, 2)}
JOINT = {"w2a4, 16:8": (SMALL, 2, 4), "w4a4, 16:8": (SMALL, 4, 4), "w2a4, 32:8": (MIDDLE, 2, 4)}


def cases() -> tuple[Case, ...]:
    """Return the cases of B4."""
    found = []
    for name, (size, bits) in ROUNDING.items():
        found.append(_case(f"B4 AdaRound's objective, {name}", Problem(size, bits, None), 50, 500))
    for words, transform in (("joint", False), ("AdaQTransform's", True)):
        for name, layer in JOINT.items():
            problem = Problem(*layer, transform)
            found.append(_case(f"B4 {words} objective, {name}", problem, 25, 100))
    return tuple(found)


def _case(name: str, problem: Problem, target: float, aim: float) -> Case:
    return Case(
        name=name,
        table=BETTER,
        peer=PEER,
        inputs=partial(solve_inputs, problem),
        ours=partial(ours, problem),
        worker="solve",
        judge=partial(judged, problem),
        target=target,
        aim=aim,
        times=10.0,
        limit=LIMIT,
        quick=problem.size == SMALL and problem.bits == 2 and problem.act_bits is None,
    )
