"""validation/resnet8.py on a network of the same layout: Keras's padding, order, exit codes."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from oracle_tests.resnet8_samples import images, weights
from oracle_tests.scripts import script
from refquant import subjects
from refquant._types import Array


@pytest.fixture(scope="module")
def resnet8() -> ModuleType:
    """The script as a module."""
    return script("resnet8")


def keras_conv(x: Array, kernel: Array, bias: Array, stride: int) -> Array:
    """Convolve NHWC images with padding "same": TensorFlow's definition, tap by tap."""
    n, h, w, _ = x.shape
    k = len(kernel)
    rows, columns = -(-h // stride), -(-w // stride)
    total = max((rows - 1) * stride + k - h, 0)
    front, back = total // 2, total - total // 2
    padded = np.pad(x, ((0, 0), (front, back), (front, back), (0, 0)))
    out = np.zeros((n, rows, columns, kernel.shape[3])) + bias
    for i in range(k):
        for j in range(k):
            part = padded[:, i : i + h : stride, j : j + w : stride][:, :rows, :columns]
            out += part @ kernel[i, j]
    return out


def keras(x: Array, p: dict[str, Array]) -> dict[str, Array]:
    """Return the tensors of the trace as Keras defines ResNet-8, in float64 and NHWC."""

    def conv(source: Array, index: int, stride: int = 1) -> Array:
        name = f"conv2d_{index}" if index else "conv2d"
        return keras_conv(source, p[f"{name}/kernel"], p[f"{name}/bias"], stride)

    def norm(source: Array, index: int) -> Array:
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        spread = np.sqrt(p[f"{name}/moving_variance"] + 1e-3)
        centred = (source - p[f"{name}/moving_mean"]) / spread
        return p[f"{name}/gamma"] * centred + p[f"{name}/beta"]

    p = {name: value.astype(np.float64) for name, value in p.items()}
    t: dict[str, Array] = {"t0": x, "t22": np.maximum(norm(conv(x, 0), 0), 0)}
    t["t23"] = np.maximum(norm(conv(t["t22"], 1), 1), 0)
    t["t24"] = norm(conv(t["t23"], 2), 2)
    t["t25"] = np.maximum(t["t24"] + t["t22"], 0)
    for source, first, index in ((25, 26, 3), (29, 30, 5)):
        kernel = index if index == 3 else 6
        t[f"t{first}"] = np.maximum(norm(conv(t[f"t{source}"], kernel, 2), index), 0)
        t[f"t{first + 1}"] = norm(conv(t[f"t{first}"], kernel + 1), index + 1)
        t[f"t{first + 2}"] = conv(t[f"t{source}"], kernel + 2, 2)
        t[f"t{first + 3}"] = np.maximum(t[f"t{first + 1}"] + t[f"t{first + 2}"], 0)
    t["t34"] = t["t33"].mean(axis=(1, 2), keepdims=True)
    t["t35"] = t["t34"][:, 0, 0]
    t["t36"] = t["t35"] @ p["dense/kernel"] + p["dense/bias"]
    powers = np.exp(t["t36"] - t["t36"].max(axis=1, keepdims=True))
    t["t37"] = powers / powers.sum(axis=1, keepdims=True)
    return t


@pytest.fixture
def data(tmp_path: Path, resnet8: ModuleType) -> Path:
    """A directory as the script reads it."""
    x, p = images(8).transpose(0, 2, 3, 1).astype(np.float64), weights()
    trace = {k: v.astype(np.float32) for k, v in keras(x, p).items()}
    labels = np.arange(12, dtype=np.uint8) % 10
    for folder in ("models", "data"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / resnet8.WEIGHTS, **p)
    np.savez(tmp_path / resnet8.TRACE, **trace)
    np.savez(tmp_path / resnet8.TRAIN, x=images(12, 1), y=labels)
    np.savez(tmp_path / resnet8.TEST, x=images(12, 2), y=labels)
    return tmp_path


def test_every_activation_is_keras_s(resnet8: ModuleType) -> None:
    """Against a definition that shares no code, tensor by tensor."""
    p = weights()
    trace = keras(images(2).transpose(0, 2, 3, 1).astype(np.float64), p)
    assert set(trace) == {"t0", *resnet8.EDGES, resnet8.SOFTMAX}
    worst = resnet8.check_trace(resnet8.build(p), trace)
    assert max(worst.values()) < 1e-4, worst  # float64 against float64, in float32 roundings


def test_padding_is_behind_the_map_at_stride_two(resnet8: ModuleType) -> None:
    """TensorFlow's rule: the smaller half before."""
    found = {(k, s): resnet8.same(k, s).padding for k, s in ((3, 1), (3, 2), (1, 2))}
    assert found == {(3, 1): (1, 1, 1, 1), (3, 2): (0, 0, 1, 1), (1, 2): (0, 0, 0, 0)}


def test_the_script_writes_a_folder_that_runs_take(
    data: Path, resnet8: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """What is saved is what was read; the name says so."""
    into = data / "into"
    monkeypatch.setattr(sys, "argv", ["resnet8", str(data), "--into", str(into)])
    assert resnet8.main() == 0
    found = subjects.read(into)
    assert found.name in capsys.readouterr().out and found.name.startswith("resnet8:")
    np.testing.assert_array_equal(found.calib.x, images(12, 1).astype(np.float32))
    assert subjects.load(found.name, into).network.blocks[2][0] == "block3"
    with pytest.raises(ValueError, match="plan them again"):
        subjects.load("resnet8:0000000000000000", into)


def test_exit_codes(data: Path, resnet8: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 where files are absent, 1 where an activation is not the trace's."""
    monkeypatch.setattr(sys, "argv", ["resnet8", str(data)])
    monkeypatch.setattr(resnet8, "EPS", 1e-2)
    assert resnet8.main() == resnet8.MISMATCH
    (data / resnet8.TEST).unlink()
    assert resnet8.main() == resnet8.NOTHING_RAN
    assert "cifar10_test" in resnet8.absent(str(data)) and "REFQUANT_DATA" in resnet8.absent(None)
