"""How AdaRound decides: the distribution of h(alpha) over the steps of one layer, and beta.

Every weight of block2.conv1 has one h between 0 (round down) and 1 (round up). While the
regulariser is off they follow the loss alone; as beta falls, it pulls each h to the nearer end.
The snapshots are the states that the optimisation itself hands to its watcher at each step of one
single run: no run is repeated with fewer steps, which would be another schedule.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from one_unit import prepared
from style import BLUE, GREY, RED, plt, save

import refquant as rq
from refquant.quantizers.rectified_sigmoid import rectified_sigmoid_forward
from refquant.reconstruct.model import Bits
from refquant.reconstruct.unit import descend

LAYER, BINS, COLUMNS = "block2.conv1", 40, 120


def snapshots(steps: int, images: int):
    """Return step numbers, h (snapshots, weights) and beta (NaN while the regulariser is off)."""
    bits = Bits(weights=3, activations=8)
    task, own = prepared(rq.METHODS["adaround"], bits, steps, images, LAYER)
    rows, every = [], max(1, steps // COLUMNS)

    def watch(step, found, state):
        if step % every == 0 or step in (1, steps):
            h, _ = rectified_sigmoid_forward(state[(LAYER, "alpha")])
            rows.append((step, h.ravel(), found.beta if found.penalty else np.nan))

    descend(task, own, lambda: None, watch)
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def make(steps: int = 1000, images: int = 512, folder: Path | None = None) -> Path:
    """Draw, print the plotted numbers, save."""
    with rq.arithmetic("pinned"):
        at, h, beta = snapshots(steps, images)
    decided = np.mean(np.abs(2 * h - 1) > 0.999, axis=1)
    shares = np.stack([np.histogram(row, BINS, (0, 1))[0] / row.size for row in h], axis=1)
    figure, (top, low) = plt.subplots(2, 1, figsize=(6.4, 5.6), sharex=True, height_ratios=(3, 2))
    norm = PowerNorm(0.5, vmin=0.0, vmax=0.3)
    shown = top.pcolormesh(at, (np.arange(BINS) + 0.5) / BINS, shares, cmap="Blues", norm=norm)
    figure.colorbar(shown, ax=(top, low), label="share of weights in a bin of 1/40", extend="max")
    top.set(
        ylabel="h(alpha): 0 down, 1 up",
        title=f"digits-resnet, {LAYER}: {h.shape[1]} weights, 3 bits",
    )
    low.plot(at, 100 * decided, color=BLUE)
    low.set(xlabel="step", ylim=(0, 103))
    low.set_ylabel("decided, % of weights", color=BLUE)
    right = low.twinx()
    right.plot(at, beta, color=RED, linestyle="--")
    right.set_ylabel("beta (dashed)", color=RED)
    right.set(ylim=(0, 21))
    right.spines["right"].set_visible(True)
    for axes in (top, low):
        axes.axvline(0.2 * steps, color=GREY, linestyle=":")
    top.text(0.1 * steps, 0.5, "regulariser\noff", ha="center", va="center")
    for i in sorted({0, len(at) // 4, len(at) // 2, 3 * len(at) // 4, len(at) - 1}):
        low_h, high_h = np.mean(h[i] < 0.1), np.mean(h[i] > 0.9)
        print(f"step {at[i]}: h<0.1 {low_h:.3f}, h>0.9 {high_h:.3f}, decided {decided[i]:.3f}")
    return save(figure, "fig_h_over_steps", folder)


if __name__ == "__main__":
    print(make())
