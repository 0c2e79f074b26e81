"""Where AdaRound disagrees with nearest rounding: a map of one layer's weights, and why there.

Left: every weight of one layer of digits-resnet; its integer code is higher (up) or lower (down)
than the nearest one, or the same. Right: how often, by the distance of w / s from the nearest code.
Nearest rounding is optimal for a weight alone; AdaRound gives that up for a smaller error of the
output.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from style import GREY, RED, plt, save

import refquant as rq
from refquant.quantizers.grid import Grid

LAYER, BITS, BINS = "block3.conv1", 3, 10
DOWN, SAME, UP = "#74add1", "#f7f7f7", RED  # in grey: middle, white, dark


def codes(steps: int, images: int):
    """Return AdaRound's codes less the nearest ones, and |w / s - nearest|, (c_out, c_in, taps)."""
    network, x = rq.zoo.load("digits-resnet"), rq.zoo.data("digits").calib.x[:images]
    result = rq.quantize(network, x, "adaround", weight_bits=BITS, steps=steps)
    layer, grid = result.layers[LAYER], Grid(result.setting.weights.grid, BITS)
    c_out, c_in = layer.codes.shape[:2]
    w = result.prepared.params[(f"{LAYER}.product", "w")].astype(np.float64)
    u = (w / layer.s_w.reshape(-1, 1, 1, 1)).reshape(c_out, c_in, -1)
    nearest = np.clip(np.floor(u + 0.5), *grid.limits(0))
    return layer.codes.reshape(u.shape) - nearest.astype(int), np.abs(u - nearest)


def make(steps: int = 600, images: int = 512, folder: Path | None = None) -> Path:
    """Draw, print the plotted numbers, save."""
    with rq.arithmetic("pinned"):
        flips, distance = codes(steps, images)
    inside = distance <= 0.5  # outside the range both are clipped to its end
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), width_ratios=(2.4, 1))
    figure.get_layout_engine().set(wspace=0.06)
    colours = ListedColormap([DOWN, SAME, UP])
    c_out, c_in, taps = flips.shape
    rows = np.sign(flips).reshape(c_out, -1)
    left.imshow(rows, cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="none")
    up, down = np.mean(flips > 0), np.mean(flips < 0)
    left.set(xlabel=f"input channel, {taps} kernel positions each", ylabel="output channel")
    channels = range(0, c_in, 4)
    left.set_xticks([channel * taps - 0.5 for channel in channels], channels)
    left.set_title(
        f"{LAYER}, {BITS} bits: AdaRound differs in {up + down:.1%} of {flips.size} codes"
    )
    for label, colour in ((f"up {up:.1%}", UP), (f"down {down:.1%}", DOWN)):
        left.plot([], [], "s", color=colour, label=label)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    edges = np.linspace(0, 0.5, BINS + 1)
    counts = np.histogram(distance[inside], edges)[0]
    share = np.histogram(distance[inside & (flips != 0)], edges)[0] / np.maximum(counts, 1)
    right.bar(edges[:-1], 100 * share, width=0.5 / BINS, align="edge", color=GREY, edgecolor="w")
    right.set(xlabel="|w / s - nearest code|", ylabel="codes that differ, %")
    right.set_title("mostly near a tie, not only there")
    for low, high, value, count in zip(edges, edges[1:], share, counts, strict=False):
        print(f"distance {low:.2f}..{high:.2f}: {value:.3f} of {count} differ")
    print(f"up {np.sum(flips > 0)}, down {np.sum(flips < 0)}, of {flips.size}")
    return save(figure, "fig_flip_map", folder)


if __name__ == "__main__":
    print(make())
