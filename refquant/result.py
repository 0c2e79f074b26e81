"""What a quantization run returns: integer codes, steps, two ways to run them, and the history."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from refquant import __version__
from refquant._bundle import write_bundle
from refquant._checks import check_in
from refquant._types import Array
from refquant.deploy import Plan, run_fake, run_integer
from refquant.methods.setting import Setting, as_data
from refquant.network import predict
from refquant.reconstruct.checkpoint import record_to_data
from refquant.reconstruct.history import Record
from refquant.reconstruct.model import Bits


class Layer(NamedTuple):
    """One linear layer after quantization: ``w_hat = s_w * (codes - zero_point)``.

    Attributes
    ----------
    codes : int64 array of the weight's shape
        In code space.
    s_w : array of shape (c_out,) or ()
        Dequantization step.
    zero_point : int64 array that broadcasts against `codes`
    alpha : array of the weight's shape or None
        AdaRound's rounding variable, where the method has one.
    border : mapping of str to array, or None
        AQuant's border coefficients, where the method has them.
    xi, eta : arrays of shape (c_out,) or None
        AdaQTransform's output scale and shift, where the method has them.
    """

    codes: Array
    s_w: Array
    zero_point: Array
    alpha: Array | None = None
    border: Mapping[str, Array] | None = None
    xi: Array | None = None
    eta: Array | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """A quantized network. Nothing here refers back to, or changes, the network it came from.

    Attributes
    ----------
    setting : Setting
        The method as it was resolved.
    bits : Bits
    seed : int
    steps : int or None
        Steps per unit that were asked for; None for the published number.
    layers : mapping of layer name to Layer
    history : tuple of Record
        One per phase and unit; empty for a method that learns nothing.
    plan : Plan
        The deployed network, overflow proof included.
    run_id : str
        SHA-256 of everything that decided this result.
    """

    setting: Setting
    bits: Bits
    seed: int
    steps: int | None
    layers: Mapping[str, Layer]
    history: tuple[Record, ...]
    plan: Plan
    run_id: str

    def network(self, x: Array) -> Array:
        """Return the logits of the hardened fake-quantized network for inputs `x`."""
        return predict(lambda part: run_fake(self.plan, part).output, x)

    def integer(self, x: Array, epilogue: str = "float", requantize: str = "double") -> Array:
        """Return the logits of the integer-only network for inputs `x`.

        Parameters
        ----------
        x : array (n, *input_shape)
        epilogue : {"float", "fixed"}
            "float" rescales int32 accumulators in floating point: its codes equal those of
            `network` by construction. "fixed" uses multipliers and shifts; it needs a step on
            every edge.
        requantize : {"double", "single"}
            Rounding stages of the fixed epilogue (methods.md 17.4).

        Raises
        ------
        ValueError
            If a weight or activation is not quantized, or, for "fixed", an edge has no step; the
            message names the node.
        """
        check_in("Result.integer", "epilogue", epilogue, ("float", "fixed"))
        return predict(
            lambda part: run_integer(self.plan, part, epilogue, requantize).output, x
        )

    def save(self, directory: str | Path, overwrite: bool = False) -> Path:
        """Write codes, steps, history and the full setting as a bundle of .npy files and JSON.

        Raises
        ------
        FileExistsError, OSError
            If the directory is not empty or cannot be written; nothing is left behind.
        """
        arrays: dict[str, Array] = {}
        for name, layer in self.layers.items():
            arrays |= {
                f"{name}/{field}": value
                for field, value in layer._asdict().items()
                if value is not None and field != "border"
            }
        return write_bundle(Path(directory), self.manifest(), arrays, overwrite=overwrite)

    def manifest(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON data."""
        return {
            "format": "refquant-result",
            "refquant": __version__,
            "run_id": self.run_id,
            "setting": as_data(self.setting),
            "bits": asdict(self.bits),
            "seed": self.seed,
            "steps": self.steps,
            "history": [record_to_data(record) for record in self.history],
        }

    def __repr__(self) -> str:
        b = self.bits
        text = json.dumps(self.setting.name)
        return f"Result({text}, W{b.weights}A{b.activations}, {len(self.layers)} layers)"
