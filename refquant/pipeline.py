"""The front door: a float network, calibration images and a method in; a quantized network out.

    prepare -> lower -> calibrate -> phases over units (the loop) -> harden -> deploy
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from refquant import numerics as nx
from refquant._checks import (
    check_array,
    check_bits,
    check_finite,
    check_int,
    complaint,
)
from refquant._types import Array
from refquant.deploy import HardLayer, deploy
from refquant.methods import Setting, resolve
from refquant.network import Network
from refquant.network.graph import Key, replace_params
from refquant.network.run import group_by_node
from refquant.progress import choose
from refquant.reconstruct.checkpoint import Store
from refquant.reconstruct.loop import Run, reconstruct
from refquant.reconstruct.model import Bits, Model, build_model
from refquant.result import Layer, Result

DTYPES = ("float32", "float64")


def quantize(
    network: Network,
    x: Array,
    method: str | Setting = "adaround",
    *,
    weight_bits: int = 4,
    act_bits: int = 8,
    first_last_bits: int | None = 8,
    seed: int = 0,
    steps: int | None = None,
    dtype: str | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | Callable[..., Any] | None = None,
) -> Result:
    """Quantize a network after training.

    Parameters
    ----------
    network : Network
        Float network; it is not changed.
    x : array (n, *input_shape)
        Unlabelled calibration inputs, finite.
    method : str or Setting
        A name of `refquant.METHODS`, or a setting of your own.
    weight_bits, act_bits : int
        2..16, for the inner layers.
    first_last_bits : int or None
        Bits of the weights and of the own input of the first and the last layer (D7); None
        treats them like the others.
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

    Returns
    -------
    Result

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message says what was expected. Nothing has been written then.
    """
    setting = resolve(method)
    bits = _check_bits_of(weight_bits, act_bits, first_last_bits)
    network, x = _check_inputs(network, x, dtype)
    check_int("quantize", "seed", seed, 0)
    if steps is not None:
        check_int("quantize", "steps", steps, 1)
    run_id = identify(network, x, setting, bits, seed, steps)
    store = _open(checkpoint, run_id)
    model = build_model(network, x, setting, bits)
    run = Run(seed=seed, steps=steps, progress=choose(progress), checkpoint=store)
    state, history = reconstruct(model, x, setting, run)
    return _result(model, state, history, setting, bits, (seed, steps, run_id))


def identify(
    network: Network, x: Array, setting: Setting, bits: Bits, seed: int, steps: int | None
) -> str:
    """Return the SHA-256 of everything that decides a result, arithmetic included."""
    digest = hashlib.sha256()
    facts = (setting.to_json(), bits, seed, steps, nx.current(), network.input_shape)
    digest.update(repr((facts, network.nodes)).encode())
    for key in sorted(network.params):
        digest.update(repr(key).encode())
        digest.update(_bytes(network.params[key]))
    digest.update(_bytes(x))
    return digest.hexdigest()


def _bytes(array: Array) -> bytes:
    head = f"{array.dtype.str}{array.shape}".encode()
    return head + np.ascontiguousarray(array).tobytes()


def _check_bits_of(weights: int, activations: int, first_last: int | None) -> Bits:
    if first_last is not None:
        check_bits("quantize", "first_last_bits", first_last)
    return Bits(
        weights=check_bits("quantize", "weight_bits", weights),
        activations=check_bits("quantize", "act_bits", activations),
        first_last=first_last,
    )


def _check_inputs(network: Network, x: Array, dtype: str | None) -> tuple[Network, Array]:
    if not isinstance(network, Network):
        got, fix = type(network).__name__, "Load one with refquant.zoo.load."
        raise TypeError(complaint("quantize", "network", got, "a refquant Network", fix))
    check_array("quantize", "x", x)
    if x.shape[1:] != network.input_shape or x.ndim != len(network.input_shape) + 1 or not len(x):
        expected = f"(n, {', '.join(map(str, network.input_shape))}) with n >= 1"
        got = f"of shape {x.shape}"
        raise ValueError(complaint("quantize", "x", got, expected, "Pass calibration images."))
    check_finite("quantize", "x", x)
    floats = {k: v for k, v in network.params.items() if v.dtype.kind == "f"}
    own = str(np.result_type(*floats.values())) if floats else "float64"
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(complaint("quantize", "dtype", repr(dtype), f"one of {DTYPES} or None"))
    kind = np.dtype(dtype or own)
    cast = {key: value.astype(kind) for key, value in floats.items() if value.dtype != kind}
    return (replace_params(network, cast) if cast else network), x.astype(kind)


def _open(checkpoint: str | Path | None, run_id: str) -> Store | None:
    if checkpoint is None:
        return None
    folder = Path(checkpoint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{run_id[:16]}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        fix = "Choose a directory you can write to."
        got = f"{str(folder)!r} ({error.strerror})"
        message = complaint("quantize", "checkpoint", got, "a writable path", fix)
        raise ValueError(message) from error
    return Store(folder / run_id[:16])


def _result(
    model: Model,
    state: dict[Key, Array],
    history: Any,
    setting: Setting,
    bits: Bits,
    run: tuple[int, int | None, str],
) -> Result:
    own = group_by_node(state)
    steps = {key: value for key, value in state.items() if key[0] in model.quantizers}
    hard = {
        name: HardLayer(
            own[name]["codes"],
            component.step(own[name]),
            own[name].get("xi"),
            own[name].get("eta"),
        )
        for name, component in model.weights.items()
    }
    plan = deploy(replace_params(model.network, steps), hard)
    layers = {name: _layer(own[name], hard[name].step) for name in hard}
    seed, count, run_id = run
    return Result(setting, bits, seed, count, layers, history, plan, run_id)


def _layer(params: dict[str, Array], step: Array) -> Layer:
    return Layer(
        codes=params["codes"] + params["zero_point"],
        s_w=step,
        zero_point=params["zero_point"],
        alpha=params.get("alpha"),
        xi=params.get("xi"),
        eta=params.get("eta"),
    )
