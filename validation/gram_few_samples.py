"""Write validation/gram-few-samples.md: when rounding on the Gram matrix is fitted to chance.

    python -m validation.gram_few_samples

One convolution of 16 channels on maps of 8 x 8, solved by nearest plane and tabu search on a few
images, judged on others.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

from refquant.bench.layers import Size, images, weights
from refquant.bench.solves import Problem, Unwatched, error, prepared, solve_inputs
from refquant.methods import Gram
from refquant.reconstruct.gram import FewSamples, solve_gram
from refquant.reconstruct.model import hard_params

TABLE = Path(__file__).parent / "gram-few-samples.md"
IMAGES, RIDGES, BITS = (1, 2, 4, 8, 16, 64), (0.0, 0.01, 0.1), (2, 4)
HEAD = """# Few samples on the Gram matrix

Made by `python -m validation.gram_few_samples`. Squared output error as a share of nearest
rounding's: on the images the moments are made of / on 64 other images. A layer of 16 channels,
144 inputs a row; `columns / inputs` is what `FewSamples` warns about below 4.

With few columns the error on the images falls and the error on others rises: below one column for
each input it can exceed nearest rounding's. A ridge of a tenth costs next to nothing where samples
are plenty.

"""


def shares(bits: int, count: int, ridge: float) -> tuple[float, float]:
    """Return the error on the images and on others, as shares of nearest rounding's."""
    gram = Gram(start="plane", finish="tabu", tabu=500, ridge=ridge)
    problem = Problem(Size(16, 8, count), bits, None, gram=gram)
    x, w, start = images(0, problem.size), weights(problem.size), solve_inputs(problem)
    model, task, own = prepared(problem, x, w)
    state = solve_gram(task, own, lambda: None, Unwatched())
    ours = {"w_hat": hard_params(model, state, ("conv",))[("conv.product", "w")]}
    near = {"w_hat": start["step"] * np.clip(np.rint(w / start["step"]), *start["limits"])}
    found = []
    for data in (x, images(1, Size(16, 8, 64))):
        found.append(error(data, w, start, ours) / error(data, w, start, near))
    return found[0], found[1]


def main() -> int:
    """Write the table."""
    names = [f"w{bits}, ridge {ridge:g}" for bits in BITS for ridge in RIDGES]
    lines = ["| columns / inputs | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)
        for count in IMAGES:
            pairs = [shares(bits, count, ridge) for bits in BITS for ridge in RIDGES]
            cells = [f"{a:.2f} / {b:.2f}" for a, b in pairs]
            lines.append(f"| {count * 64 / 144:.1f} | " + " | ".join(cells) + " |")
    TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
