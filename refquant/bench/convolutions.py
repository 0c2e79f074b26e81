"""A convolution 3x3 of a batch of 32, forward and backward, by the kernel that the loop runs."""

from functools import partial

import numpy as np

from refquant._types import Array
from refquant.bench.agreement import same_gradients
from refquant.bench.case import SAME, Arrays, Case, Work
from refquant.bench.layers import SAME3, Size, images, weights
from refquant.kernels.memory import keep_freed_memory
from refquant.kernels.winograd import convolve, pull_w, pull_x

SIZES = {"16:32": Size(16, 32, 32), "64:16": Size(64, 16, 32), "128:8": Size(128, 8, 32)}


def cases() -> tuple[Case, ...]:
    """Return one case a size. No target is set: it is what B3 is made of."""
    return tuple(
        Case(
            name=f"convolution forward and backward, {name}",
            table=SAME,
            peer="PyTorch eager, conv2d and autograd",
            inputs=partial(_inputs, size),
            ours=_ours,
            worker="convolution",
            judge=same_gradients,
        )
        for name, size in SIZES.items()
    )


def _inputs(size: Size) -> dict[str, Array]:
    return {"x": images(0, size), "w": weights(size), "d_y": images(1, size)}


def _ours(inputs: Arrays) -> Work:
    """As the loop runs it: a batch comes images outermost, results stay images innermost."""
    x, w, d_y = (np.asarray(inputs[name]) for name in ("x", "w", "d_y"))
    keep_freed_memory()

    def results() -> dict[str, Array]:
        """Return output and gradients."""
        y, cache = convolve(x, w, SAME3)
        return {"y": y, "d_x": pull_x(d_y, cache), "d_w": pull_w(d_y, cache)}

    return Work(results, results)
