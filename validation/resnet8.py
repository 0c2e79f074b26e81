"""MLPerf Tiny's ResNet-8 for CIFAR-10 as a network of refquant, checked against its own trace.

usage: python validation/resnet8.py DATA [--into DIR]      DATA, or REFQUANT_DATA: see below

Reference: Banbury et al., "MLPerf Tiny Benchmark", arXiv:2106.07597; weights and images are read
from the directory DATA, where they must lie, and are not part of this repository:

    models/mlperf_tiny_resnet8_fp32.npz             weights, by the names Keras gave them
    models/mlperf_tiny_resnet8_fp32_trace_8img.npz  activations t22..t37 of 8 images, by LiteRT
    data/cifar10_train_lossless_first2283.npz       x uint8 (n, 3, 32, 32), y: calibration
    data/cifar10_test_lossless_0_380.npz            the same: for reporting alone

    Keras                                        here
    kernel (k_h, k_w, c_in, c_out)               w (c_out, c_in, k_h, k_w)
    conv2d, conv2d_1, ..., conv2d_8, dense       stem, block1.conv1, ..., block3.downsample, fc
    padding "same" at stride 2                   one row and column after the map, none before
    input 0..255, NHWC, not normalised           0..255, NCHW

Prints the largest difference from every activation of the trace, in units of float32 rounding of
the largest activation, and the accuracy on the test images. With --into also writes the folder
that `refquant compare` takes as a network. Exit code 1 if an activation differs by more than
`ROUNDINGS`, 5 if DATA is absent.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

import refquant as rq
from refquant.layers.geometry import Geometry
from refquant.network import Node, evaluate, predict
from refquant.subjects import Subject, save
from refquant.zoo import Split

WEIGHTS = "models/mlperf_tiny_resnet8_fp32.npz"
TRACE = "models/mlperf_tiny_resnet8_fp32_trace_8img.npz"
TRAIN = "data/cifar10_train_lossless_first2283.npz"
TEST = "data/cifar10_test_lossless_0_380.npz"
CALIBRATION = 1024  # training images, from the first
EPS = 1e-3  # of Keras's batch norm
MISMATCH, NOTHING_RAN = 1, 5  # exit codes

# name here -> (Keras's convolution, Keras's batch norm or "", kernel, stride)
CONVS = {
    "stem": ("conv2d", "batch_normalization", 3, 1),
    "block1.conv1": ("conv2d_1", "batch_normalization_1", 3, 1),
    "block1.conv2": ("conv2d_2", "batch_normalization_2", 3, 1),
    "block2.conv1": ("conv2d_3", "batch_normalization_3", 3, 2),
    "block2.conv2": ("conv2d_4", "batch_normalization_4", 3, 1),
    "block2.downsample": ("conv2d_5", "", 1, 2),
    "block3.conv1": ("conv2d_6", "batch_normalization_5", 3, 2),
    "block3.conv2": ("conv2d_7", "batch_normalization_6", 3, 1),
    "block3.downsample": ("conv2d_8", "", 1, 2),
}
# Tensor of the trace -> edge here. LiteRT folds batch norm and ReLU into the convolution before.
EDGES = {
    "t22": "stem.relu",
    "t23": "block1.conv1.relu",
    "t24": "block1.conv2.bn",
    "t25": "block1.relu",
    "t26": "block2.conv1.relu",
    "t27": "block2.conv2.bn",
    "t28": "block2.downsample",
    "t29": "block2.relu",
    "t30": "block3.conv1.relu",
    "t31": "block3.conv2.bn",
    "t32": "block3.downsample",
    "t33": "block3.relu",
    "t34": "pool",
    "t35": "flat",
    "t36": "fc",
}
SOFTMAX = "t37"
# Chosen, not derived: four times the worst that was measured, 16 at t33. What would be wrong is
# larger: an eps of 1.001e-3 in the batch norms, where Keras has 1e-3, gives 66, one of 1.01e-3 673.
ROUNDINGS = 64.0


def main() -> int:
    """Check the network, say how accurate it is and, with --into, write it for a comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("REFQUANT_DATA"), metavar="DATA")
    parser.add_argument("--into", metavar="DIR", help="a new folder for network and images")
    arguments = parser.parse_args()
    if missing := absent(arguments.data):
        print(missing, file=sys.stderr)
        return NOTHING_RAN
    root = Path(arguments.data)
    found = subject(root)
    worst = check_trace(found.network, arrays(root / TRACE))
    for tensor, roundings in worst.items():
        print(f"{tensor}  {EDGES.get(tensor, 'softmax'):18} {roundings:6.2f} float32 roundings")
    logits = predict(found.network, found.test.x.astype(np.float64))
    right = rq.metrics.right_per_image(logits, found.test.y)
    print(f"accuracy {right.mean():.2%} ({right.sum()} of {len(right)} test images)")
    if arguments.into:
        print(f"{save(found, arguments.into)} is in {arguments.into}")
    return 0 if max(worst.values()) <= ROUNDINGS else MISMATCH


def absent(root: str | None) -> str:
    """Return what is missing, as a sentence; nothing if all files are there."""
    if not root:
        return "resnet8: name the directory of the data, as an argument or in REFQUANT_DATA"
    missing = [name for name in (WEIGHTS, TRACE, TRAIN, TEST) if not (Path(root) / name).is_file()]
    return f"resnet8: {root} does not hold {', '.join(missing)}" if missing else ""


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of an .npz."""
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def subject(root: Path) -> Subject:
    """Return the network with its calibration and its test images."""
    train, test = arrays(root / TRAIN), arrays(root / TEST)
    calib = train["x"][:CALIBRATION].astype(np.float32)
    labelled = Split(test["x"].astype(np.float32), test["y"].astype(np.int64))
    return Subject(build(arrays(root / WEIGHTS)), Split(calib, None), labelled)


def build(weights: dict[str, np.ndarray]) -> rq.Network:
    """Return ResNet-8 with the parameters of Keras, exact in float64; sizes are the weights'."""
    size = 32  # of the map, in rows and columns
    nodes, params = [], {}
    for name, (_, norm, kernel, stride) in CONVS.items():
        params |= conv_params(name, weights)
        geometry = same(kernel, stride)
        nodes += [Node(name, "conv2d", (source(name),), (("geometry", geometry),))]
        nodes += [Node(f"{name}.bn", "batch_norm", (name,), (("eps", EPS),))] * bool(norm)
        nodes += after(name)
    nodes += [
        Node("pool", "global_average_pool", ("block3.relu",)),
        Node("flat", "flatten", ("pool",)),
        Node("fc", "linear", ("flat",)),
    ]
    params["fc", "w"], params["fc", "bias"] = weights["dense/kernel"].T, weights["dense/bias"]
    channels = weights["conv2d/kernel"].shape[2]
    wide = {key: value.astype(np.float64) for key, value in params.items()}
    return rq.Network("resnet8", (channels, size, size), tuple(nodes), wide, blocks(nodes))


def same(kernel: int, stride: int) -> Geometry:
    """Return Keras's "same" on a map whose sides are multiples of the stride.

    max(kernel - stride, 0) rows of padding, the smaller half of them before the map.
    """
    total = max(kernel - stride, 0)
    before, after_map = total // 2, total - total // 2
    padding = (before, before, after_map, after_map)
    return Geometry((kernel, kernel), (stride, stride), padding=padding)


def source(name: str) -> str:
    """Return the edge that a convolution reads."""
    block, _, part = name.partition(".")
    if block == "stem":
        return "input"
    before = {"block1": "stem", "block2": "block1", "block3": "block2"}[block]
    return f"{block}.conv1.relu" if part == "conv2" else f"{before}.relu"


def after(name: str) -> list[Node]:
    """Return what follows a convolution and its norm: a ReLU, or the end of its block."""
    block, _, part = name.partition(".")
    if part in ("", "conv1"):
        return [Node(f"{name}.relu", "relu", (f"{name}.bn",))]
    if part == "conv2" and f"{block}.downsample" in CONVS:
        return []
    skip = name if part == "downsample" else source(f"{block}.conv1")
    return [
        Node(f"{block}.add", "add", (f"{block}.conv2.bn", skip)),
        Node(f"{block}.relu", "relu", (f"{block}.add",)),
    ]


def blocks(nodes: list[Node]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the residual blocks; stem and classifier belong to none."""
    return tuple(
        (block, tuple(n.name for n in nodes if n.name.startswith(f"{block}.")))
        for block in ("block1", "block2", "block3")
    )


def conv_params(name: str, weights: dict[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Return the parameters of a convolution and of the batch norm behind it."""
    conv, norm, *_ = CONVS[name]
    found = {
        (name, "w"): weights[f"{conv}/kernel"].transpose(3, 2, 0, 1),
        (name, "bias"): weights[f"{conv}/bias"],
    }
    statistics = {"mean": "moving_mean", "var": "moving_variance", "gamma": "gamma", "beta": "beta"}
    if norm:
        found |= {
            (f"{name}.bn", own): weights[f"{norm}/{keras}"] for own, keras in statistics.items()
        }
    return found


def check_trace(network: rq.Network, trace: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the largest difference of every activation, in roundings of the largest one."""
    x = trace["t0"].transpose(0, 3, 1, 2).astype(np.float64)
    found = evaluate(network, x, tuple(EDGES.values()))
    here = {tensor: found[edge] for tensor, edge in EDGES.items()}
    here[SOFTMAX] = rq.numerics.softmax(here["t36"], axis=1)
    unit = float(np.finfo(np.float32).eps) / 2
    return {
        tensor: float(np.abs(nhwc(value, trace[tensor]) - trace[tensor]).max())
        / (unit * float(np.abs(trace[tensor]).max()))
        for tensor, value in here.items()
    }


def nhwc(value: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return an activation in the layout of the trace."""
    moved = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    return moved.reshape(like.shape)


if __name__ == "__main__":
    sys.exit(main())
