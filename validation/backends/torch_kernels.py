"""PyTorch's own fake-quantisation kernels as a backend: values, and the gradients behind LSQ.

refquant verify validation.backends.torch_kernels:PyTorch
"""

import numpy as np
import torch

from refquant.quantizers.grid import Grid
from validation.backends.common import Arrays, dispatch, only


class PyTorch:
    """`torch.round`, `torch.fake_quantize_*` and its learnable kernels, `conv2d`."""

    profile, dtype = "any", "float32"

    def __init__(self, device: str = "cpu") -> None:
        version = torch.__version__.split("+")[0]
        where = "" if device == "cpu" else f" on {device.upper()}"
        self.name, self.device = f"PyTorch {version}, its kernels{where}", device

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Dispatch by name."""
        x = {k: torch.tensor(np.array(v), device=self.device) for k, v in inputs.items()}
        found = dispatch(
            op, x, attrs, round=self.round, fake_quant=self.fake_quant,
            fake_quant_backward=self.fake_quant_backward, conv2d=self.conv2d,
        )  # fmt: skip
        return {k: v.cpu().numpy() for k, v in found.items()}

    def round(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.round`, `floor` and `ceil`."""
        modes = {"rint": torch.round, "floor": torch.floor, "ceil": torch.ceil}
        only(attrs["mode"] in modes, f"no {attrs['mode']}")
        return {"y": modes[attrs["mode"]](inputs["x"])}

    def fake_quant(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.fake_quantize_per_tensor_affine` and `_per_channel_affine`: values alone."""
        only(attrs["rounding"] == "rint", "ties to even only")
        grid, axis = Grid(attrs["grid"], attrs["bits"]), attrs["axis"]
        s, z = inputs["s"], inputs["zero_point"].int()
        quantize = torch.fake_quantize_per_tensor_affine
        where: tuple[int, ...] = ()
        if axis is not None:
            quantize, where = torch.fake_quantize_per_channel_affine, (axis,)
        y = quantize(inputs["x"], s, z, *where, grid.code_min, grid.code_max)
        return {"y": y}

    def fake_quant_backward(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """The learnable kernels behind LSQ in `torch.ao.quantization`."""
        only(attrs["rounding"] == "rint" and attrs["mask"] == "rounded", "one convention only")
        grid, axis = Grid(attrs["grid"], attrs["bits"]), attrs["axis"]
        x, s = inputs["x"].requires_grad_(), inputs["s"].reshape(-1)
        s, z = s.requires_grad_(), inputs["zero_point"].reshape(-1).float()
        quantize = torch._fake_quantize_learnable_per_tensor_affine
        where: tuple[int, ...] = ()
        if axis is not None:
            quantize, where = torch._fake_quantize_learnable_per_channel_affine, (axis,)
        ends = grid.code_min, grid.code_max
        quantize(x, s, z, *where, *ends, attrs["grad_scale"]).backward(inputs["d_y"])
        return {"d_x": x.grad, "d_s": s.grad.reshape(inputs["s"].shape)}

    def conv2d(self, inputs: Arrays, attrs: Arrays) -> Arrays:
        """`torch.nn.functional.conv2d` on a padded map."""
        top, left, bottom, right = attrs["padding"]
        x = torch.nn.functional.pad(inputs["x"], (left, right, top, bottom))
        window = attrs["stride"], 0, attrs["dilation"], attrs["groups"]
        return {"y": torch.nn.functional.conv2d(x, inputs["w"], inputs.get("bias"), *window)}
