"""What a quantization run returns: integer codes, steps, two ways to run them, and the history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refquant import __version__
from refquant import numerics as nx
from refquant._bundle import write_bundle
from refquant._checks import check_array, check_in, check_int, complaint
from refquant._types import Array
from refquant.deploy import Plan, run_fake, run_integer
from refquant.methods.allocation import Allocated
from refquant.methods.canonical import as_data
from refquant.methods.setting import Setting
from refquant.network import Network, linear_nodes, predict, replace_params
from refquant.optimal.brute_force import MAX_FREE
from refquant.quantizers.grid import Grid
from refquant.reconstruct.checkpoint import record_to_data
from refquant.reconstruct.history import Record
from refquant.reconstruct.model import Bits
from refquant.report.borders import (
    STORED_BITS,
    BorderReport,
    border_nodes,
    border_report,
    plan_with_border_bits,
    stored_coefficients,
    with_border_bits,
)
from refquant.report.gaps import LayerGap, optimality_gaps


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
        AQuant's border coefficients, (c_in, k) each, as they are used, where the method has them.
    xi, eta : arrays of shape (c_out,), () or (c_out, h, w), or None
        AdaQTransform's output scale and shift, where the method has them; a batch norm that was
        not folded is in them too.
    s_w_in : array of shape (c_out,) or (), or None
        The step that decided the codes, where it is not `s_w` (AdaQTransform's cases 2.1 to 2.3).
    """

    codes: Array
    s_w: Array
    zero_point: Array
    alpha: Array | None = None
    border: Mapping[str, Array] | None = None
    xi: Array | None = None
    eta: Array | None = None
    s_w_in: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """A quantized network. Nothing here refers back to, or changes, the network it came from.

    What a method leaves real stays real in `network`; `integer` needs weights and activations
    quantized and says which node is not.

    Attributes
    ----------
    setting : Setting
        The method as it was resolved.
    bits : Bits
    seed : int
    steps : int or None
        Steps per unit that were asked for; None for the published number.
    arithmetic : Arithmetic
        In which the run was computed.
    layers : mapping of layer name to Layer
        Empty for a method that leaves the weights real.
    history : tuple of Record
        One per phase and unit; empty for a method that learns nothing.
    prepared : Network
        Folded, lowered, with quantize nodes and their steps; its weights are the float ones. Batch
        norms that the method left unfolded are in the xi and eta of the layers before them.
    reference : Network
        The float network that was quantized, with the nodes of `prepared` and no quantizer.
    plan : Plan or None
        The deployed network, overflow proof included; None where the weights are real.
    run_id : str
        SHA-256 of everything that decided this result.
    notes : tuple of str
        Where the steps that look for a pattern acted; that they changed nothing where it is absent.
    widths : mapping of layer name to int
        Bits of the weights of each layer.
    allocation : Allocated or None
        How they were decided, where that was by an integer programme.
    """

    setting: Setting
    bits: Bits
    seed: int
    steps: int | None
    arithmetic: nx.Arithmetic
    layers: Mapping[str, Layer]
    history: tuple[Record, ...]
    prepared: Network
    reference: Network
    plan: Plan | None
    run_id: str
    notes: tuple[str, ...] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    allocation: Allocated | None = None

    def network(self, x: Array) -> Array:
        """Return the logits of the hardened fake-quantized network for inputs `x`, in float64."""
        if self.plan is None:
            real = _in_float64(self.prepared)
            return predict(real, check_array("Result.network", "x", x).astype(np.float64))
        plan = self.plan
        return predict(lambda part: run_fake(plan, part).output, x)

    def integer(self, x: Array, epilogue: str = "float", requantize: str = "double") -> Array:
        """Return the logits of the integer-only network for inputs `x`, in float64.

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
        check_in("Result.integer", "requantize", requantize, ("double", "single"))
        plan = deployed(self)
        return predict(lambda part: run_integer(plan, part, epilogue, requantize).output, x)

    def with_border_bits(self, bits: int | None) -> "Result":
        """Return the result with AQuant's border coefficients stored in `bits` each.

        Parameters
        ----------
        bits : int or None
            2..16; every tensor of coefficients gets one step. None makes them real again.

        Raises
        ------
        ValueError
            If no activation is rounded at a border.
        """
        if not border_nodes(self.prepared):
            got, fix = f"{self.setting.name!r} without a border", "Use 'aquant'."
            raise ValueError(complaint("Result.with_border_bits", "self", got, "a border", fix))
        prepared = with_border_bits(self.prepared, bits)
        layers = {
            name: layer._replace(border=border_of(prepared, name))
            for name, layer in self.layers.items()
        }
        plan = None if self.plan is None else plan_with_border_bits(self.plan, bits)
        return replace(self, prepared=prepared, layers=layers, plan=plan)

    def border_report(self, x: Array, bits: Sequence[int] = STORED_BITS) -> BorderReport | None:
        """Return what the borders cost, and the share of codes that storing them changes on `x`.

        Parameters
        ----------
        x : array (n, *input_shape)
        bits : sequence of int
            Widths at which the coefficients are stored, 2..16.

        Returns
        -------
        BorderReport or None
            None where no activation is rounded at a border.
        """
        check_array("Result.border_report", "x", x)
        return border_report(self.prepared, self.layers, self.bits.weights, x, bits)

    def optimality_gap(self, x: Array, max_exact: int = MAX_FREE) -> tuple[LayerGap, ...]:
        """Return how far each layer's codes are from the best rounding of its weights.

        Parameters
        ----------
        x : array (n, *input_shape)
            Inputs over which the layers' errors are averaged, as the calibration inputs.
        max_exact : int
            Up to that many free weights a channel, 0..22, the optimum is found by brute force;
            beyond, a lower bound stands in for it, and `exact` is False.

        Returns
        -------
        tuple of LayerGap
            In running order; where nothing can be said, with the reason.

        Raises
        ------
        TypeError, ValueError
            If `x` is no such array or `max_exact` out of range.
        """
        check_array("Result.optimality_gap", "x", x)
        check_int("Result.optimality_gap", "max_exact", max_exact, 0, MAX_FREE)
        return optimality_gaps(
            self.prepared, self.reference, self.layers, self._grids(), x, max_exact
        )

    def _grids(self) -> dict[str, Grid]:
        """The grid of every layer's weights."""
        weights, widths = self.setting.weights, self.widths
        return {name: Grid(weights.grid, widths[name]) for name in self.layers}

    def save(self, directory: str | Path, overwrite: bool = False) -> Path:
        """Write codes, steps, biases, history and the full setting as a bundle of .npy files.

        Arrays are called ``layer/field``, as in `layers`, and ``node/parameter`` for what stays
        beside them in `prepared`: biases, and step and zero point of every quantize node. Stored
        border coefficients have ``_codes`` and ``_step`` beside the numbers they come from.

        Raises
        ------
        BundleError
            If the directory is not empty or cannot be written; nothing is left behind.
        """
        arrays = {f"{node}/{name}": v for (node, name), v in self.prepared.params.items()}
        for name, layer in self.layers.items():
            arrays.pop(f"{name}.product/w")  # its codes are saved instead
            fields = layer._replace(border=None)._asdict()
            arrays |= {f"{name}/{f}": v for f, v in fields.items() if v is not None}
        arrays |= stored_coefficients(self.prepared)
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
            "arithmetic": asdict(self.arithmetic),
            "notes": list(self.notes),
            "allocation": None if self.allocation is None else self.allocation.to_data(),
            "history": [record_to_data(record) for record in self.history],
        }

    def __repr__(self) -> str:
        b = self.bits
        text = json.dumps(self.setting.name)
        return f"Result({text}, W{b.weights}A{b.activations}, {len(self.layers)} layers)"


def border_of(prepared: Network, layer: str) -> dict[str, Array] | None:
    """Return the border coefficients in use at a layer's input; None if it has no border."""
    for node in border_nodes(prepared):
        if node.name == f"{layer}.patches.q":
            border = node.attr("component").border(dict(prepared.params_of(node.name)))
            return {name: value for name, value in border._asdict().items() if value is not None}
    return None


def deployed(result: Result) -> Plan:
    """Return the plan of a result; a ValueError that names a node if its weights are real."""
    if result.plan is None:
        got = "a linear layer whose weights are real numbers"
        fix = "Use a method that quantizes weights, or Result.network."
        where = f"node {linear_nodes(result.prepared)[0]!r}"
        raise ValueError(complaint("Result.integer", where, got, "integer weights", fix))
    return result.plan


def _in_float64(network: Network) -> Network:
    narrow = {k: v for k, v in network.params.items() if v.dtype == np.float32}
    return replace_params(network, {k: v.astype(np.float64) for k, v in narrow.items()})
