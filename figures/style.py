"""One look for all figures, and the way they are saved: small, and the same bytes each time.

Lines differ in dashes as well as in colour, and areas in lightness: figures are printed in grey,
and not everybody tells red from green. `CURVES` are colours of Okabe and Ito.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

HERE = Path(__file__).parent
BLUE, RED, GREY = "#2166ac", "#b2182b", "#7f7f7f"
CURVES = (  # colour and dashes
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#56b4e9", (0, (7, 2))),
    ("#000000", (0, (4, 1, 1, 1, 1, 1))),
)
SETTINGS = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "savefig.dpi": 110,
}
plt.rcParams.update(SETTINGS)


def save(figure: Figure, name: str, folder: Path | None = None) -> Path:
    """Save beside this file, or in `folder`, and return the path."""
    path = (folder or HERE) / f"{name}.png"
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    return path
