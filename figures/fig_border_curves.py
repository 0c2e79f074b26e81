"""AQuant's learnt borders: B as a function of the activation it rounds, against the constant 1/2.

Left: borders of some input positions (channel, kernel position) of block1.conv2; a fraction of u
above the curve goes up. Right: the share of calibration patches whose code the border changes, for
every position. Activations and weights have 2 bits.

Differs from the registered method in three fields, so that there is a curve to draw: no fusion
(else the border depends on all positions of a channel), the gate of D17, and a learning rate of the
border a tenth of the published one, because 20,000 steps are squeezed into a few hundred.
"""

from pathlib import Path

import numpy as np
from one_unit import prepared
from style import CURVES, GREY, plt, save

import refquant as rq
from refquant.methods.setting import Learn
from refquant.network.run import evaluate
from refquant.quantizers.border import BorderParams, border_forward
from refquant.quantizers.border_options import BorderOptions
from refquant.reconstruct.model import Bits, hard_params
from refquant.reconstruct.unit import descend

UNIT, EDGE = "block1", "block1.conv2.patches"
OPTIONS = BorderOptions(fuse="none", gate="support")


def setting() -> rq.Setting:
    """Return AQuant without fusion, gated, with a slower border."""
    base = rq.METHODS["aquant"]
    rates = {name: Learn(lr=1e-4) for name in ("b0", "b1", "b2")}
    learn = tuple((k, rates.get(k, v)) for k, v in base.phases[0].learn if k != "fusion")
    phase = rq.replace(base.phases[0], learn=learn)
    activations = rq.replace(base.activations, options=OPTIONS)
    return rq.replace(base, name="aquant-unfused", activations=activations, phases=(phase,))


def learnt(steps: int, images: int):
    """Return the border, u = x / s of the patches, and which codes the border changes."""
    task, own = prepared(setting(), Bits(weights=2, activations=2), steps, images, UNIT)
    own = descend(task, own, lambda: None, lambda step, found, state: None)
    params = {**own, **hard_params(task.model, own, task.quantized_layers)}
    x = evaluate(task.network, task.inputs, (EDGE,), params)[EDGE]
    mine = {name: value for (node, name), value in own.items() if node == f"{EDGE}.q"}
    quantizer = rq.replace(setting().activations, bits=2)
    neutral = {k: 0 * v if k in ("b0", "b1", "b2") else v for k, v in mine.items()}
    changed = quantizer.codes(x, mine) != quantizer.codes(x, neutral)
    shape = (len(x), *mine["b0"].shape, -1)
    border = BorderParams(mine["b0"], mine["b1"], mine["b2"])
    return border, (x / mine["s_x"]).reshape(shape), changed.reshape(shape)


def make(steps: int = 500, images: int = 512, folder: Path | None = None) -> Path:
    """Draw, print the plotted numbers, save."""
    with rq.arithmetic("pinned"):
        border, u, changed = learnt(steps, images)
    share = np.mean(changed, axis=(0, 3))
    order = np.argsort(share, axis=None)[:: -max(1, share.size // len(CURVES))][: len(CURVES)]
    grid = np.linspace(0, 3, 241)
    curves, _ = border_forward(np.broadcast_to(grid, (1, *share.shape, 241)), border, OPTIONS)
    inside = (u > 0) & (u < 3)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9), width_ratios=(1.7, 1))
    left.axhline(0.5, color=GREY, linewidth=3, alpha=0.5, label="1/2: nearest rounding")
    places = zip(*np.unravel_index(order, share.shape), strict=True)
    for (channel, tap), (color, dashes) in zip(places, CURVES, strict=False):
        label = f"channel {channel}, tap {tap}: {share[channel, tap]:.1%} changed"
        left.plot(grid, curves[0, channel, tap], color=color, linestyle=dashes, label=label)
        at = np.interp((0.5, 1.5, 2.5), grid, curves[0, channel, tap])
        print(label, "B(0.5), B(1.5), B(2.5) =", np.round(at, 3))
    counts, edges = np.histogram(u[inside], 60, (0, 3))
    left.bar(edges[:-1], 0.25 * counts / counts.max(), 0.05, -0.32, align="edge", color="#d9d9d9")
    left.text(2.97, -0.12, "how often each u occurs", ha="right", color=GREY)
    left.set(xlim=(0, 3), ylim=(-0.34, 1.02), xlabel="u = x / s", ylabel="border B(u)")
    left.set_yticks([0, 0.25, 0.5, 0.75, 1])
    left.set_title("digits-resnet, block1.conv2, W2A2: learnt borders")
    left.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        fontsize=8,
        handlelength=3.2,
        title="fraction of u above the curve: up\nbelow or on it: down",
    )
    shown = right.imshow(100 * share, cmap="Purples", aspect="auto", vmin=0)
    right.set(xlabel="kernel position", ylabel="input channel", title="codes changed, %")
    right.set_xticks(range(share.shape[1]))
    figure.colorbar(shown, ax=right)
    print(f"changed: {np.mean(changed):.3f} of all, {np.mean(changed[inside]):.3f} of 0 < u < 3")
    return save(figure, "fig_border_curves", folder)


if __name__ == "__main__":
    print(make())
