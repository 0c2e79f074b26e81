"""The front door: a float network, calibration images and a method in; a quantized network out.

check -> prepare -> lower -> calibrate -> phases over units (the loop) -> harden -> deploy
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from refquant import __version__
from refquant import numerics as nx
from refquant._checks import (
    check_bits,
    check_finite,
    check_int,
    complaint,
)
from refquant._types import Array
from refquant.deploy import HardLayer, absorb_norms, deploy
from refquant.inputs import as_dtype, check_labels, inputs_of, update_digest
from refquant.methods import Setting, resolve
from refquant.network import Network
from refquant.network.graph import Key, replace_params
from refquant.network.run import group_by_node
from refquant.optimal.fold import sign_warning
from refquant.progress import choose
from refquant.reconstruct.allocate import allocated
from refquant.reconstruct.checkpoint import Store
from refquant.reconstruct.history import Record
from refquant.reconstruct.loop import Run, reconstruct
from refquant.reconstruct.model import Bits, Model, build_model, rounded_biases
from refquant.result import Layer, Result, border_of
from refquant.storage import Storage, storage_for

DTYPES = ("float32", "float64")
MAX_SEED = 2**64 - 1  # of the counter generator


class Job(NamedTuple):
    """What was asked for, checked: method, bit widths, seed and number of steps."""

    setting: Setting
    bits: Bits
    seed: int
    steps: int | None


def quantize(
    network: Network,
    x: Array | Iterator[Array],
    method: str | Setting = "adaround",
    *,
    weight_bits: int = 4,
    act_bits: int = 8,
    first_last_bits: int | None = 8,
    labels: Array | None = None,
    seed: int = 0,
    steps: int | None = None,
    dtype: str | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | Callable[..., Any] | None = None,
    cache: str | Path | Storage = "memory",
) -> Result:
    """Quantize a network after training.

    Parameters
    ----------
    network : Network
        Float network; it is not changed.
    x : array (n, *input_shape), np.memmap, or iterator of such arrays
        Calibration inputs, finite. A mapped file in the dtype of the run is not copied;
        the batches of an iterator go to a temporary file as they come.
    method : str or Setting
        A name of `refquant.METHODS`, a composition ``a+b``, or a setting of your own.
    weight_bits, act_bits : int
        2..16, for the inner layers.
    first_last_bits : int or None
        Bits of the weights and of the own input of the first and the last layer (D7); None
        treats them like the others.
    labels : integer array (n,) or None
        Classes of the inputs, in 0..c-1 for c logits. No method after training reads them;
        "qat-lsq", whose loss is the task's, asks for them.
    seed : int
        Non-negative; decides every random draw.
    steps : int or None
        Steps per phase and unit in place of the published number. Learning rates are scaled so
        that parameters can travel as far (methods.md 5.7).
    dtype : {"float32", "float64"} or None
        Arithmetic of the run; None keeps the network's.
    checkpoint : path or None
        Directory in which finished units are kept; a repeated call resumes from it.
    progress : bool, callable or None
        True shows a bar per unit; a callable ``(label, steps) -> tick`` is called instead.
    cache : {"memory", "disk"} or path
        Where what the units read and are measured against is kept, for all calibration inputs:
        in arrays, or in mapped temporary files, in a folder if one is named and else where
        `tempfile` puts them (TMPDIR). A result and its `run_id` do not depend on it.

    Returns
    -------
    Result

    Warns
    -----
    UserWarning
        If a scale xi is not positive, in a batch norm that was not folded too: deployment here
        takes both signs, a fixed-point backend may not.
    FewSamples
        With ``solver="gram"``, if a layer has few columns for each input of its rows.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message says what was expected. Nothing has been written then.
    BundleError
        A ValueError too: what `checkpoint` holds is damaged.
    OSError
        If the disk of `cache` is full.
    """
    job = Job(
        setting=resolve(method),
        bits=_check_bits_of(weight_bits, act_bits, first_last_bits),
        seed=check_int("quantize", "seed", seed, 0, MAX_SEED),
        steps=None if steps is None else check_int("quantize", "steps", steps, 1),
    )
    show, folder = choose(progress), _check_path(checkpoint)
    storage = storage_for("quantize", cache)
    kind = run_dtype("quantize", check_network("quantize", network), dtype)
    inputs = as_dtype(inputs_of("quantize", network, x, kind, storage), kind, storage)
    network = _as_dtype(network, kind)
    classes = _check_labels(job.setting, network, inputs, labels)
    run_id = identify(network, inputs, job, classes)
    model = build_model(network, inputs, job.setting, job.bits)
    if job.setting.allocate is not None:
        model = allocated(model, inputs, job.setting.allocate, job.bits)
    store = None if folder is None else _open(folder, run_id)
    run = Run(job.seed, job.steps, show, store, classes, storage)
    state, history = reconstruct(model, inputs, job.setting, run)
    return _result(model, state, history, job, run_id)


def identify(network: Network, x: Array, job: Job, labels: Array | None = None) -> str:
    """Return the SHA-256 of everything that decides a result, version and arithmetic included."""
    digest = hashlib.sha256()
    graph = (network.name, network.input_shape, network.nodes, network.blocks)
    facts = (__version__, job.setting.to_json(), job.bits, job.seed, job.steps, nx.current())
    digest.update(repr((facts, graph)).encode())
    for key in sorted(network.params):
        digest.update(repr(key).encode())
        update_digest(digest, network.params[key])
    update_digest(digest, x)
    if labels is not None:
        update_digest(digest, labels)
    return digest.hexdigest()


def _check_bits_of(weights: int, activations: int, first_last: int | None) -> Bits:
    ends = None if first_last is None else check_bits("quantize", "first_last_bits", first_last)
    return Bits(
        weights=check_bits("quantize", "weight_bits", weights),
        activations=check_bits("quantize", "act_bits", activations),
        first_last=ends,
    )


def check_network(function: str, network: Any) -> Network:
    """Return `network` if it is one whose parameters are finite; an error if not."""
    if not isinstance(network, Network):
        got, fix = type(network).__name__, "Load one with refquant.zoo.load."
        raise TypeError(complaint(function, "network", got, "a refquant Network", fix))
    for (node, name), value in network.params.items():
        if value.dtype.kind == "f":
            check_finite(function, f"parameter {name!r} of node {node!r}", value)
    return network


def _check_labels(setting: Setting, network: Network, x: Array, labels: Any) -> Array | None:
    """Return the labels if the method reads them, else None."""
    if labels is None and setting.asks_for_labels:
        got, expected = f"None with {setting.name!r}", "the class of every calibration input"
        fix = "Pass labels=..., or choose a method that needs none."
        raise ValueError(complaint("quantize", "labels", got, expected, fix))
    if labels is None:
        return None
    classes = check_labels("quantize", "labels", labels, len(x))
    if not setting.asks_for_labels:
        return None
    shape = network(x[:1]).shape[1:]
    if len(shape) != 1 or classes.min() < 0 or classes.max() >= shape[0]:
        got = f"in {classes.min()}..{classes.max()}, with an output of shape {('n', *shape)}"
        raise ValueError(complaint("quantize", "labels", got, "in 0..c-1, with logits (n, c)"))
    return classes


def run_dtype(function: str, network: Network, dtype: str | None) -> "np.dtype[Any]":
    """Return the dtype of a run: what is asked for, or the network's; an error if it is no such."""
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(complaint(function, "dtype", repr(dtype), f"one of {DTYPES} or None"))
    floats = (v.dtype for v in network.params.values() if v.dtype.kind == "f")
    return np.dtype(dtype) if dtype else np.result_type(np.float32, *floats)


def _as_dtype(network: Network, kind: "np.dtype[Any]") -> Network:
    """Return the network in the dtype of the run."""
    other = {k: v for k, v in network.params.items() if v.dtype.kind == "f" and v.dtype != kind}
    return replace_params(network, {k: v.astype(kind) for k, v in other.items()})


def _check_path(checkpoint: Any) -> Path | None:
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, str | os.PathLike):
        got = type(checkpoint).__name__
        raise TypeError(complaint("quantize", "checkpoint", got, "a path or None"))
    return Path(checkpoint)


def _open(folder: Path, run_id: str) -> Store:
    """Return the store of a run, after making sure that its folder can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{run_id[:16]}.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        fix = "Choose a directory you can write to."
        got = f"{str(folder)!r} ({error.strerror})"
        message = complaint("quantize", "checkpoint", got, "a writable path", fix)
        raise ValueError(message) from error
    return Store(folder / run_id[:16])


def _result(
    model: Model, state: dict[Key, Array], history: tuple[Record, ...], job: Job, run_id: str
) -> Result:
    outputs = () if job.setting.output is None else job.setting.output.learnable
    kept = {*outputs, *job.setting.fitted}
    beside = {k: v for k, v in state.items() if k[0] in model.quantizers or k[1] in kept}
    beside |= rounded_biases(model, state, tuple(model.weights))
    prepared, absorbed = absorb_norms(replace_params(model.network, beside))
    prepared = replace_params(prepared, absorbed)
    own = group_by_node({**state, **absorbed})
    _warn_of_signs(prepared)
    steps = {name: component.step(own[name]) for name, component in model.weights.items()}
    return Result(
        setting=job.setting,
        bits=job.bits,
        seed=job.seed,
        steps=job.steps,
        arithmetic=nx.current(),
        layers={
            name: _layer(own[name], model.weights[name], border_of(prepared, name))
            for name in steps
        },
        history=history,
        prepared=prepared,
        reference=model.float_network,
        plan=deploy(prepared, {n: _hard(own[n], s) for n, s in steps.items()}) if steps else None,
        run_id=run_id,
        notes=model.notes,
        widths={name: component.bits for name, component in model.weights.items()},
        allocation=model.allocation,
    )


def _warn_of_signs(prepared: Network) -> None:
    """Warn of layers whose xi is not positive somewhere (D33)."""
    for (layer, name), value in prepared.params.items():
        if name == "xi" and (found := sign_warning(value)):
            warnings.warn(f"quantize(): layer {layer!r}: {found}", stacklevel=4)


def _layer(params: dict[str, Array], component: Any, border: dict[str, Array] | None) -> Layer:
    step, zero_point = component.step(params), component.zero_point(params)
    return Layer(
        codes=params["codes"] + zero_point,
        s_w=step,
        zero_point=zero_point,
        alpha=params.get("alpha"),
        border=border,
        xi=params.get("xi"),
        eta=params.get("eta"),
        s_w_in=params["s_w"].reshape(step.shape) if "s_w_out" in params else None,
    )


def _hard(params: dict[str, Array], step: Array) -> HardLayer:
    return HardLayer(params["codes"], step, params.get("xi"), params.get("eta"))
