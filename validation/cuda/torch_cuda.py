"""PyTorch on a GPU: eager, compiled by inductor to Triton, with TF32 or without, and as it comes.

PyTorch multiplies matrices in float32 and convolves in TF32 unless told otherwise: 11 significant
bits of each input. `Default32` leaves that as it is and declares float32, as a user would.
"""

from typing import Any

import torch

from validation.backends.torch_backend import Given, Torch
from validation.backends.torch_kernels import PyTorch


class Cuda(Torch):
    """Every op on the GPU; `products` and `convolutions` say which may round inputs to TF32."""

    def __init__(self, dtype: str, products: bool, convolutions: bool, compiled: bool) -> None:
        super().__init__(dtype, compiled, "cuda")
        self.name += ", as it comes" * (convolutions and not products)
        self.products, self.convolutions = products, convolutions

    def run(self, op: str, inputs: Given, attrs: Given) -> dict[str, Any]:
        """Set what PyTorch keeps globally, and run."""
        torch.backends.cuda.matmul.allow_tf32 = self.products
        torch.backends.cudnn.allow_tf32 = self.convolutions
        return super().run(op, inputs, attrs)


Cuda64 = Cuda("float64", products=False, convolutions=False, compiled=False)
Cuda32 = Cuda("float32", products=False, convolutions=False, compiled=False)
Tf32 = Cuda("tf32", products=True, convolutions=True, compiled=False)
Default32 = Cuda("float32", products=False, convolutions=True, compiled=False)
Compiled32 = Cuda("float32", products=False, convolutions=False, compiled=True)
Kernels = PyTorch("cuda")
