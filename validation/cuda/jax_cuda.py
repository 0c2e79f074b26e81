"""JAX on a GPU, with products in full precision and as they come: XLA may round inputs to TF32."""

from typing import Any

import jax

from validation.backends.common import Arrays
from validation.backends.jax_backend import Jax


class Cuda(Jax):
    """The ops of `Jax`; `precision` is JAX's, None its default."""

    def __init__(self, dtype: str, precision: str | None) -> None:
        super().__init__(dtype)
        how = "" if precision else ", as it comes"
        self.name = f"JAX {jax.__version__}, {jax.default_backend().upper()}, {dtype}{how}"
        self.precision = precision

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Any:
        """Products in the precision that was asked for."""
        with jax.default_matmul_precision(self.precision):
            return super().run(op, inputs, attrs)


Cuda64, Cuda32 = Cuda("float64", "highest"), Cuda("float32", "highest")
Default32 = Cuda("float32", None)
