"""B1: one step of AdaRound, on the Gram matrix against batches and against the same in PyTorch."""

from dataclasses import replace
from functools import partial

import numpy as np

from refquant import numerics as nx
from refquant._types import Array
from refquant.bench.agreement import same_gradients
from refquant.bench.case import BETTER, SAME, Arrays, Case, Work
from refquant.bench.layers import Size, columns, grid_of, images, start_of, weights
from refquant.kernels.gram_descent import (
    BETA1,
    BETA2,
    GramProblem,
    gradient,
    gram_step,
    numbers,
    start,
)

LAM, BETA = 0.01, 10.0  # a step in the middle of a run, the regulariser on
SIZES = {"16:32": Size(16, 32, 128), "64:16": Size(64, 16, 128), "128:8": Size(128, 8, 128)}
BATCHES = {"16:32": (80.0, 150.0), "64:16": (12.0, 20.0), "128:8": (2.5, 4.0)}
GRAM = (0.9, 1.0)
LIMITS = {
    "16:32": "28 calls on 2,304 numbers each, half a microsecond a call, are two thirds of a step; "
    "the matrix product is the rest.",
    "64:16": "three quarters of a step are the matrix product, at the speed of BLAS.",
    "128:8": "five sixths of a step are the matrix product, at the speed of BLAS. Strassen's "
    "scheme saved nothing on products half as large, and passes over blocks of rows neither.",
}


def layer_inputs(size: Size) -> dict[str, Array]:
    """Return one layer with everything a step needs; the Gram matrix is that of all images."""
    x, w = images(0, size), weights(size)
    qparams = grid_of(w, 4)
    low, high = qparams.grid.limits()
    cols = [columns(part) for part in np.array_split(x, len(x) // 4)]
    gram = nx.sum(np.array([nx.matmul(part, part.T) for part in cols], np.float64), axis=0)
    places = len(x) * size.side**2
    return {
        "x": x,
        "w": w,
        "step": qparams.step,
        "limits": np.array([low, high], np.float64),
        "alpha": start_of(w, qparams),
        "gram": (gram / places).astype(np.float32),
    }


def problem_of(inputs: Arrays) -> GramProblem:
    """Return the quadratic of the layer in h."""
    rows = len(inputs["w"])
    w, step = inputs["w"].reshape(1, rows, -1), inputs["step"].reshape(1, rows, 1)
    low, high = inputs["limits"].astype(w.dtype)
    floor = np.floor(w / step)
    free = ((floor >= low) & (floor < high)).astype(w.dtype)
    base = np.clip(floor, low, high)
    curve = 2.0 * step * step
    gram = inputs["gram"][None]
    linear = curve * nx.matmul(base - w / step, gram)
    return GramProblem(gram, curve, linear, free)


def ours(inputs: Arrays) -> Work:
    """One step of the kernel."""
    problem = problem_of(inputs)
    alpha = inputs["alpha"].reshape(problem.linear.shape)
    buffers, step = start(problem, alpha), numbers(1e-3, (BETA1, BETA2), LAM, BETA, alpha)

    def results() -> dict[str, Array]:
        """Return the gradient of alpha at the start."""
        fresh = start(problem, alpha)
        gram_step(problem, fresh, step)
        return {"d_alpha": gradient(problem, fresh).reshape(inputs["alpha"].shape)}

    return Work(lambda: gram_step(problem, buffers, step), results)


def product_alone(inputs: Arrays) -> Work:
    """The one matrix product of a step: what no arrangement of the rest can save."""
    problem = problem_of(inputs)
    buffers = start(problem, inputs["alpha"].reshape(problem.linear.shape))
    c = np.ascontiguousarray(buffers.y)
    # np.matmul, since what is measured is BLAS itself, without a wrapper around it.
    return Work(lambda: np.matmul(c, problem.gram, out=buffers.grad))


def cases() -> tuple[Case, ...]:
    """Return the cases of B1."""
    return tuple(case for name, size in SIZES.items() for case in _cases(name, size))


def _cases(name: str, size: Size) -> tuple[Case, ...]:
    target, aim = BATCHES[name]
    against_batches = Case(
        name=f"B1 gram step, batches, {name}",
        table=BETTER,
        peer="PyTorch eager, AdaRound on batches of 32, one iteration",
        inputs=partial(layer_inputs, size),
        ours=ours,
        worker="adaround-minibatch",
        judge=same_gradients,
        target=target,
        aim=aim,
        limit=LIMITS[name],
    )
    same = (
        replace(
            against_batches,
            name=f"B1 gram step, {words}, {name}",
            table=SAME,
            peer=f"PyTorch eager, the same Gram step, {words}",
            worker=worker,
            target=GRAM[0],
            aim=GRAM[1],
            quick=name == "64:16",
        )
        for worker, words in (("gram-step", "autograd"), ("gram-step-by-hand", "by hand"))
    )
    bound = replace(
        against_batches,
        name=f"B1 Gram step, share of its matrix product, {name}",
        table=SAME,
        peer="BLAS, the step's one product and nothing else",
        worker="",
        theirs=product_alone,
        judge=None,
        target=0.5,
        aim=0.85,
        quick=name == "64:16",
    )
    return (against_batches, *same, bound)
